"""Images side by side in one picture, enlarged without interpolation so that they can be seen."""

from collections.abc import Sequence
from itertools import chain
from math import ceil, isqrt
from pathlib import Path

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont
from unite_core.errors import StorageError

from unite_image.types import Image

GAP = 2
"""Pixels around each image."""
WIDTH = 1200
"""The most pixels across that a picture is enlarged to; one that is wider as it is stays so."""
LETTERS = 16
"""Size of the font, pixels."""
JPEG_QUALITY = 95

Pair = tuple[Image, Image]
"""An original and its reconstruction."""


def rgb(image: Image) -> np.ndarray:
    """Pixels [h, w, 3]; grey becomes three equal channels."""
    return np.broadcast_to(image.pixels, (*image.pixels.shape[:2], 3))


def beside(pair: Pair) -> Image:
    """Two images of one height as one."""
    return Image(np.concatenate([rgb(image) for image in pair], axis=1))


def near_square(count: int) -> int:
    """Columns of a grid that is about as high as it is wide."""
    return isqrt(count - 1) + 1


def save(picture: PIL.Image.Image, path: Path) -> None:
    """Writes in the format of the path's ending; StorageError."""
    try:
        picture.save(path, quality=JPEG_QUALITY)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def sheet(rows: Sequence[Sequence[Image]], margin: int) -> PIL.Image.Image:
    """A white picture of rows of images, with `margin` pixels left free at the left.

    Every cell has the size of the largest image, times the integer that fills `WIDTH` best.
    """
    columns = max(map(len, rows))
    shapes = np.array([image.pixels.shape[:2] for image in chain.from_iterable(rows)])
    height, width = shapes.max(axis=0).tolist()
    scale = max(1, (WIDTH - margin - GAP * (columns + 1)) // (columns * width))
    down, across = height * scale + GAP, width * scale + GAP
    size = (margin + GAP + columns * across, GAP + len(rows) * down)
    picture = PIL.Image.new("RGB", size, "white")
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            large = rgb(image).repeat(scale, axis=0).repeat(scale, axis=1)
            picture.paste(PIL.Image.fromarray(large), (margin + GAP + j * across, GAP + i * down))
    return picture


def grid(images: Sequence[Image], columns: int | None = None) -> PIL.Image.Image:
    """A picture of the images row by row, near-square where `columns` is not given."""
    columns = columns or near_square(len(images))
    return sheet([images[i : i + columns] for i in range(0, len(images), columns)], margin=0)


def draw_grid(images: Sequence[Image], path: Path, columns: int | None = None) -> None:
    """Saves the images row by row, near-square where `columns` is not given; StorageError."""
    save(grid(images, columns), path)


def draw_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """Saves originals, each with its reconstruction at its right edge; StorageError."""
    draw_grid([beside(pair) for pair in pairs], path)


def draw_rows(rows: Sequence[tuple[str, Sequence[Image]]], path: Path) -> None:
    """Saves rows of images, each with its name at the left; StorageError."""
    font = ImageFont.load_default(LETTERS)
    margin = ceil(max(font.getlength(name) for name, _ in rows)) + 2 * GAP
    picture = sheet([images for _, images in rows], margin)
    pen = ImageDraw.Draw(picture)
    down = (picture.height - GAP) // len(rows)
    for i, (name, _) in enumerate(rows):
        pen.text((GAP, i * down + down // 2), name, fill="black", font=font, anchor="lm")
    save(picture, path)
