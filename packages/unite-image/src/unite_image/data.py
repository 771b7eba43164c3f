"""Training sets of images: splits of a store, as batches."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from unite_core.errors import DataError
from unite_core.modality import Dataset

from unite_image import PICTURES
from unite_image.config import ImageConfig
from unite_image.folders import images_in
from unite_image.prepare import open_store
from unite_image.records import Record, reading
from unite_image.rejections import Rejections, usable
from unite_image.sources import find_source
from unite_image.splits import members, split_rows
from unite_image.store import ImageStore
from unite_image.types import Image, ImageBatch


def flipped(seed: int, indices: np.ndarray) -> np.ndarray:
    """Which images are mirrored [len(indices)]: half of them, each by (seed, index) alone."""
    sources = [np.random.SeedSequence((seed, index)) for index in indices.tolist()]
    return np.array([source.generate_state(1)[0] % 2 == 1 for source in sources], dtype=bool)


class ImageDataset(Dataset):
    """Rows of a store. `classes` are the names of the labels, none for an unconditional model."""

    def __init__(
        self, store: ImageStore, rows: np.ndarray, classes: list[str], patches: int, flip: bool
    ) -> None:
        self.store = store
        self.rows = rows
        self.classes = classes
        self.flip = flip
        self.sizes = np.full(len(rows), patches)

    def __len__(self) -> int:
        return len(self.rows)

    def labels(self, indices: np.ndarray) -> np.ndarray | None:
        """Class indices [len(indices)], None without classes."""
        return self.store.labels[self.rows[indices]] if self.classes else None

    def batch(self, indices: np.ndarray, seed: int | None) -> ImageBatch:
        """Images in [0, 1]; given a seed, half of them mirrored left to right where `flip`."""
        pixels = self.store.pixels(self.rows[indices])
        if self.flip and seed is not None:
            mirrored = flipped(seed, indices)
            pixels[mirrored] = pixels[mirrored, :, ::-1]
        labels = self.labels(indices)
        return ImageBatch(
            pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous().float() / 255,
            labels=None if labels is None else torch.from_numpy(labels),
        )

    def images(self, indices: np.ndarray) -> list[Image]:
        """Images as they are stored, with their labels where the model is conditional."""
        pixels = self.store.pixels(self.rows[indices])
        labels = self.labels(indices)
        known = [None] * len(indices) if labels is None else labels.tolist()
        return [Image(*both) for both in zip(pixels, known, strict=True)]


def open_dataset(config: ImageConfig, split: str) -> ImageDataset:
    """The "train", "validation" or "test" images of the configured source, prepared where need be.

    DataError where there are none or too many unusable ones, ConfigurationError where a conditional
    model finds no classes or there is no such source or split.
    """
    store, classes = open_store(config)
    places = members(store.splits, store.labels, store.numbers, config.held_out)
    rows = split_rows(places, store.numbers, split)
    if len(rows) == 0:
        raise DataError(f"no image of {config.path!r} is for {split}: change data.held_out")
    used = classes if config.conditional else []
    return ImageDataset(store, rows, used, config.patches, config.flip)


def prepare(path: str) -> str:
    """Reads every image of a source (a data set on the hub is downloaded), and says what is there.

    Pixels are stored when a run first asks for them, at its resolution.
    """
    source, rejections = find_source(path), Rejections()
    shapes = list(usable(source.records(), lambda r: (r.load()[1].shape, r.label), rejections))
    lines = [f"{path}: {len(shapes):,} images, rejected {rejections.total:,}", str(rejections)]
    if shapes:
        sides = [min(shape[:2]) for shape, _ in shapes]
        lines.append(f"  short sides from {min(sides)} to {max(sides)} pixels")
    counts = Counter(label for _, label in shapes)
    lines += [f"  {counts[label]:,} {name}" for label, name in enumerate(source.classes)]
    return "\n".join(line for line in lines if line)


def records_of(path: Path) -> Iterator[Record]:
    """The records of a file or folder of a user's."""
    if path.is_dir():
        with reading(path):
            yield from (Record(str(file), file) for file in images_in(path))
    elif path.suffix.lower() in PICTURES:
        yield Record(str(path), path)
    else:
        yield from find_source(str(path)).records()


def read_images(path: Path) -> tuple[list[Image], Mapping[str, int]]:
    """The images of a file or folder at their own sizes, and how many were rejected and why.

    From an .npz or .parquet also their labels; a folder is searched with all its subfolders.
    """
    rejections = Rejections()

    def load(record: Record) -> Image:
        label = record.label if record.label >= 0 else None
        return Image(record.load()[1], label)

    return list(usable(records_of(path), load, rejections)), rejections.counts
