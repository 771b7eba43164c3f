"""Image files, by their ending."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from unite_core.errors import ConfigurationError, DataError, StorageError, nearest

from unite_image.grids import grid, rgb, save
from unite_image.types import Image

Writer = Callable[[Sequence[Image], Path], None]


def write_picture(images: Sequence[Image], path: Path) -> None:
    """One image at its own size, several as an enlarged grid."""
    if len(images) > 1:
        save(grid(images), path)
    else:
        pixels = images[0].pixels
        grey = pixels.shape[2] == 1
        save(PIL.Image.fromarray(pixels[..., 0] if grey else pixels), path)


def stacked(images: Sequence[Image], path: Path) -> np.ndarray:
    """Pixels [n, h, w, c] of images of one size; RGB where any is."""
    sizes = sorted({image.pixels.shape[:2] for image in images})
    if len(sizes) > 1:
        raise ConfigurationError(
            f"cannot write {path}: it holds images of one size, these have sizes {sizes[0]} and "
            f"{sizes[-1]}; write a .png"
        )
    all_grey = all(image.pixels.shape[2] == 1 for image in images)
    return np.stack([image.pixels if all_grey else rgb(image) for image in images])


def write_arrays(images: Sequence[Image], path: Path) -> None:
    """The layout of ADM's evaluation, which FID tools read: `arr_0` uint8 [n, h, w, c], and where
    every image has a label, `arr_1` int64 [n].
    """
    labels = [image.label for image in images if image.label is not None]
    known = [np.array(labels, dtype=np.int64)] if len(labels) == len(images) else []
    pixels = stacked(images, path)
    try:
        with path.open("wb") as file:  # of a name, numpy would add .npz to .NPZ
            np.savez(file, pixels, *known)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


WRITERS: dict[str, Writer] = {".png": write_picture, ".jpg": write_picture, ".npz": write_arrays}


def write_images(samples: Sequence[Image], path: Path) -> None:
    """Saves as a picture or as arrays by the ending.

    ConfigurationError, StorageError; DataError where there are none.
    """
    ending = path.suffix.lower()
    if ending not in WRITERS:
        raise ConfigurationError(f"{path}: unknown ending {ending!r}{nearest(ending, WRITERS)}")
    if not samples:
        raise DataError(f"cannot write {path}: there are no images")
    WRITERS[ending](samples, path)
