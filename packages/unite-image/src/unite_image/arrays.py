"""Images in an .npz file of arrays, read one by one however large it is."""

import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from unite_core.errors import ConfigurationError, DataError

from unite_image.records import Record, Source, first_of, index_labels, reading

IMAGES = ("images", "x", "arr_0")  # the last as np.savez calls arrays without names
LABELS = ("labels", "y", "arr_1")
CLASSES = "classes"

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_header(file: Any, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of the array at which a file is open; DataError where it is not plain."""
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise DataError(f"array {name!r} has .npy version {version}: save it with np.savez")
    shape, fortran, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise DataError(f"array {name!r} holds pickled objects, which are not loaded")
    if fortran:
        raise DataError(f"array {name!r} is in Fortran order: save np.ascontiguousarray of it")
    return shape, dtype


def check_images(shape: tuple[int, ...], dtype: np.dtype, path: Path) -> None:
    """DataError where an array is not one of images."""
    if dtype != np.uint8 or len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)):
        raise DataError(
            f"the images in {path} are {dtype} {list(shape)}: "
            "save uint8 [n, h, w], [n, h, w, 1] or [n, h, w, 3]"
        )


def read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """A small array, whole; DataError where it is not plain."""
    with archive.open(f"{name}.npy") as file:
        read_header(file, name)
    with archive.open(f"{name}.npy") as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
    return array


def read_labels(archive: zipfile.ZipFile, names: list[str]) -> tuple[np.ndarray, list[str]] | None:
    """Class indices and the classes' names, None where the file has no labels."""
    label = first_of(LABELS, names)
    if label is None:
        return None
    classes = read_array(archive, CLASSES).tolist() if CLASSES in names else None
    return index_labels(read_array(archive, label), classes)


def array_source(path: Path) -> Source:
    """`images` or `x` uint8 [n, h, w(, c)], with `labels` or `y` [n] and `classes` [C] or not.

    ConfigurationError where there is no such array, DataError where it is of another kind.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        key = first_of(IMAGES, names)
        if key is None:
            raise ConfigurationError(
                f"no array {' or '.join(IMAGES)} in {path}: it has {', '.join(sorted(names))}"
            )
        with archive.open(f"{key}.npy") as file:
            shape, dtype = read_header(file, key)
        check_images(shape, dtype, path)
        found = read_labels(archive, names)
        labels, classes = (np.full(shape[0], -1), []) if found is None else found
        if len(labels) != shape[0]:
            raise DataError(f"{path} has {shape[0]} images but {len(labels)} labels")

    def records() -> Iterator[Record]:
        with reading(path), zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            read_header(file, key)
            for row, label in enumerate(labels.tolist()):
                content = file.read(math.prod(shape[1:]))
                pixels = np.frombuffer(content, np.uint8).reshape(*shape[1:3], -1)
                yield Record(f"{path} image {row}", pixels, label)

    return Source(classes, records)
