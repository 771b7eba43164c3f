"""Images of a data set on the Hugging Face hub, or of a local copy of one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, load_dataset
from unite_core.errors import ConfigurationError, DataError

from unite_image.records import Record, Source, first_of, index_labels
from unite_image.splits import ALIASES
from unite_image.tables import LABELS, image_content, plain


def load(name: str) -> DatasetDict:
    """All splits, downloaded where that was not done. DataError."""
    try:
        return load_dataset(name)
    except Exception as error:  # datasets and its clients raise many kinds, all meaning this
        told = " ".join(str(error).split())
        raise DataError(f"could not load {name!r} from the hub: {told}") from error


def columns_of(features: Features, name: str) -> tuple[str, str | None]:
    """The columns of images and of labels, None for the latter where there is none."""
    images = [column for column, feature in features.items() if isinstance(feature, Image)]
    if not images:
        raise ConfigurationError(f"no column of images in {name!r}: it has {', '.join(features)}")
    classes = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
    return images[0], first_of((*LABELS, *classes), list(features))


def known_splits(parts: Mapping[str, Dataset], name: str) -> dict[int, Dataset]:
    """Places in SPLITS with their data; a split of another name is left out."""
    found = {ALIASES[part]: data for part, data in parts.items() if part in ALIASES}
    if 0 not in found:
        raise ConfigurationError(f"no split 'train' in {name!r}: it has {', '.join(parts)}")
    return found


def labels_of(
    parts: dict[int, Dataset], column: str | None
) -> tuple[dict[int, np.ndarray], list[str]]:
    """Class indices of each split, with the names of the classes."""
    if column is None:
        return {split: np.full(len(data), -1) for split, data in parts.items()}, []
    values = [plain(data.with_format("arrow")[column][:]) for data in parts.values()]
    names = getattr(parts[0].features[column], "names", None)
    labels, classes = index_labels(np.concatenate(values), names)
    ends = np.cumsum([len(part) for part in values])[:-1]
    return dict(zip(parts, np.split(labels, ends), strict=True)), classes


def hub_source(name: str) -> Source:
    """The data set OWNER/NAME: its first column of images, and its label column where it has one.

    A held-out split without labels is left out where the others have some. DataError where it
    cannot be loaded, ConfigurationError where it has no images or no training split.
    """
    parts = known_splits(load(name), name)
    column, label = columns_of(parts[0].features, name)
    labels, classes = labels_of(parts, label)
    if classes:
        parts = {split: data for split, data in parts.items() if (labels[split] >= 0).any()}

    def records() -> Iterator[Record]:
        for split, data in parts.items():
            cells: Any = data.select_columns([column]).cast_column(column, Image(decode=False))
            for row, cell in enumerate(cells):
                content = image_content(cell[column], Path())
                yield Record(f"{name} row {row}", content, int(labels[split][row]), split)

    return Source(classes, records)
