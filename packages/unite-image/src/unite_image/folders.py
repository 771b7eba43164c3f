"""Images in folders: a folder for each class, or one folder of images without classes."""

import os
from collections.abc import Iterator
from pathlib import Path

from unite_core.errors import ConfigurationError, DataError

from unite_image import PICTURES
from unite_image.records import Record, Source, reading
from unite_image.splits import ALIASES


def refuse(error: OSError) -> None:
    """os.walk would pass over a folder that it may not read."""
    raise error


def images_in(folder: Path) -> Iterator[Path]:
    """The image files of a folder and its subfolders, in order; hidden ones are left out."""
    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.lower().endswith(PICTURES) and not name.startswith("."):
                yield Path(root, name)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, in order."""
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def class_names(folder: Path) -> list[str]:
    """Names of the class folders, none where the images have no classes.

    DataError where a folder has no image, ConfigurationError where images lie beside class folders.
    """
    first = next(images_in(folder), None)
    if first is None:
        raise DataError(f"no image in {str(folder)!r} (files ending in {', '.join(PICTURES)})")
    names = subfolders(folder)
    empty = [name for name in names if next(images_in(folder / name), None) is None]
    if first.parent != folder:
        if empty:
            raise DataError(
                f"no image for class {empty[0]!r} in {str(folder)!r}: remove the folder"
            )
        return names
    if len(empty) < len(names):
        raise ConfigurationError(
            f"{str(folder)!r} holds both folders and images ({first.name}): "
            "move the images into class folders, or the folders away"
        )
    return []


def split_folders(folder: Path) -> dict[int, Path]:
    """Places in SPLITS with their folders; the folder itself trains where it has no splits."""
    parts = {name: folder / name for name in subfolders(folder)}
    places = [ALIASES.get(name.lower()) for name in parts]
    if 0 not in places or None in places or len(set(places)) < len(places):
        return {0: folder}
    return {ALIASES[name.lower()]: part for name, part in parts.items()}


def folder_source(folder: Path) -> Source:
    """Classes are the folders' sorted names; folders "train", "val", "test" above them are splits.

    DataError for a class without an image, ConfigurationError where classes cannot be told.
    """
    with reading(folder):
        parts = split_folders(folder)
        classes = class_names(parts[0])
        for part in parts.values():
            if class_names(part) != classes:
                raise ConfigurationError(
                    f"{str(part)!r} and {str(parts[0])!r} have not the same class folders: "
                    f"make them equal, or take {str(parts[0])!r} alone as data.path"
                )

    def labelled(part: Path) -> Iterator[tuple[int, Path]]:
        if not classes:
            yield from ((-1, file) for file in images_in(part))
        for label, name in enumerate(classes):
            yield from ((label, file) for file in images_in(part / name))

    def records() -> Iterator[Record]:
        with reading(folder):
            for split, part in parts.items():
                for label, file in labelled(part):
                    yield Record(str(file), file, label, split)

    return Source(classes, records)
