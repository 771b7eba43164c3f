"""Images of one size in a memory-mapped Arrow file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

FILE = "images.arrow"
CHUNK = 256
"""Images of a record batch; all but the last have as many."""

T = TypeVar("T")


@dataclass(frozen=True)
class Row:
    """What is stored of an image: pixels uint8 [r, r, c], class, split, hash of its content."""

    pixels: np.ndarray
    label: int
    split: int
    number: int


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of CHUNK items, and one of what is left."""
    source = iter(items)
    while chunk := list(islice(source, CHUNK)):
        yield chunk


def write_store(rows: Iterable[Row], directory: Path, resolution: int, channels: int) -> int:
    """Saves the rows as they come, a record batch at a time, and counts them."""
    count = 0
    size = resolution * resolution * channels
    schema = pa.schema(
        {"pixels": pa.binary(size), "label": pa.int32(), "split": pa.uint8(), "number": pa.uint64()}
    )
    with (
        pa.OSFile(str(directory / FILE), "wb") as file,
        pa.ipc.new_file(file, schema) as writer,
    ):
        for chunk in chunks(rows):
            writer.write_batch(
                pa.record_batch(
                    [
                        pa.array([row.pixels.tobytes() for row in chunk], pa.binary(size)),
                        pa.array([row.label for row in chunk], pa.int32()),
                        pa.array([row.split for row in chunk], pa.uint8()),
                        pa.array([row.number for row in chunk], pa.uint64()),
                    ],
                    schema=schema,
                )
            )
            count += len(chunk)
    return count


class ImageStore:
    """N images uint8 [resolution, resolution, channels] as read-only views of a mapped file."""

    def __init__(self, directory: Path, resolution: int, channels: int) -> None:
        shape = (-1, resolution, resolution, channels)
        table = pa.ipc.open_file(pa.memory_map(str(directory / FILE))).read_all()
        pieces = table["pixels"].chunks
        self.views = [np.frombuffer(p.buffers()[1], np.uint8).reshape(shape) for p in pieces]
        self.labels = table["label"].to_numpy().astype(np.int64)  # [N] class index, -1 without
        self.splits = table["split"].to_numpy()  # [N] the source's own, places in SPLITS
        self.numbers = table["number"].to_numpy()  # [N] uint64, hashes of the images' content

    def __len__(self) -> int:
        return len(self.labels)

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """A copy of some images, uint8 [len(rows), resolution, resolution, channels]."""
        return np.stack([self.views[row // CHUNK][row % CHUNK] for row in rows.tolist()])
