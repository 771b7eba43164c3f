"""Characters in files: JSON that can be read back, and pictures."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from unite_core.errors import DataError, StorageError

from unite_strokes.data import POINTS, Character, evenly

CELL, COLUMNS = 64, 10
"""Pixels of a character's side in a picture, and characters in a row."""
FINER = 4
"""Pictures are drawn so many times too large, then scaled down, for smooth lines."""


def as_character(strokes: Any) -> Character:
    """Lists of points, any number for each stroke; ValueError where they are something else."""
    lines = [np.array(line, dtype=np.float32) for line in strokes]
    if not lines or any(line.ndim != 2 or line.shape[1] != 2 or len(line) < 2 for line in lines):
        raise ValueError("not strokes of two points or more")
    if not all(np.isfinite(line).all() for line in lines):
        raise ValueError("coordinates that are not finite")
    return np.float32([line if len(line) == POINTS else evenly(line) for line in lines])


def read_json(path: Path) -> tuple[list[Character], Mapping[str, int]]:
    """A list of characters, each a list of strokes, each a list of [x, y]; DataError."""
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not isinstance(records, list):
        raise DataError(f"{path} is no list of characters")
    read, rejected = [], Counter[str]()
    for record in records:
        try:
            read.append(as_character(record))
        except (TypeError, ValueError) as error:
            rejected[str(error)] += 1
    return read, rejected


def save(characters: Sequence[Character], path: Path, columns: int = COLUMNS) -> None:
    """A picture in rows of `columns`, or JSON, as the path's ending says; StorageError."""
    try:
        if path.suffix.lower() == ".png":
            picture(characters, columns).save(path)
        else:
            path.write_text(json.dumps([character.tolist() for character in characters]))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def picture(characters: Sequence[Character], columns: int) -> Image.Image:
    """Black lines on white."""
    rows, cell = -(-len(characters) // columns), CELL * FINER
    sheet = Image.new("L", (columns * cell, rows * cell), 255)
    pen = ImageDraw.Draw(sheet)
    for number, character in enumerate(characters):
        corner = np.array([number % columns, number // columns])
        for line in (corner + (character + 1) / 2) * cell:
            pen.line(line.ravel().tolist(), fill=0, width=2 * FINER, joint="curve")
    return sheet.reduce(FINER)
