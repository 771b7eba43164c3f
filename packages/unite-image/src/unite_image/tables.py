"""Images in a Parquet file, in the columns that `datasets` writes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from unite_core.errors import ConfigurationError, DataError

from unite_image.records import Record, Source, first_of, index_labels, reading
from unite_image.splits import ALIASES

IMAGES = ("image", "img")
LABELS = ("label", "labels")
SPLIT = "split"

BATCH = 256


def image_content(cell: Any, folder: Path) -> bytes | Path:
    """A cell as `datasets` stores images: encoded bytes, or {bytes, path}."""
    content = cell["bytes"] if isinstance(cell, dict) else cell
    if content is None and isinstance(cell, dict) and cell["path"] is not None:
        return folder / str(cell["path"])
    return bytes(content or b"")


def plain(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers, or strings, with -1 or an empty string in place of null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=str)
    if pa.types.is_integer(column.type):
        column = column.cast(pa.int64()).fill_null(-1)
    values: np.ndarray = column.to_numpy()
    return values


def declared_names(schema: pa.Schema, label: str) -> list[str] | None:
    """The classes' names, where `datasets` noted them in the file; DataError for a damaged note."""
    if b"huggingface" not in (schema.metadata or {}):
        return None
    from datasets import Features  # slow to import, and these files alone need it

    try:
        noted = Features.from_arrow_schema(schema).get(label)
    except Exception as error:  # datasets trusts the note's form, and raises many kinds
        raise DataError(f"the file's note of `datasets` cannot be read: {error}") from error
    names: list[str] | None = getattr(noted, "names", None)
    if names is not None and not all(isinstance(name, str) for name in names):
        raise DataError(f"the file's note of `datasets` has {names}: give names")
    return names


def image_column(schema: pa.Schema, path: Path) -> str:
    """The column of images; ConfigurationError without one, DataError where it is no such."""
    name = first_of(IMAGES, schema.names)
    if name is None:
        raise ConfigurationError(
            f"no column {' or '.join(IMAGES)} in {path}: it has {', '.join(schema.names)}"
        )
    kind = schema.field(name).type
    parts = {field.name for field in kind} if pa.types.is_struct(kind) else set()
    if not (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or parts >= {"bytes", "path"}
    ):
        raise DataError(f"column {name!r} of {path} is {kind}: give bytes, or struct(bytes, path)")
    return name


def read_column(file: pq.ParquetFile, name: str) -> np.ndarray:
    """A small column, whole."""
    return plain(file.read(columns=[name]).column(name))


def alike(file: pq.ParquetFile, value: int) -> np.ndarray:
    """The same for every row; takes no memory, however many rows the file claims."""
    return np.broadcast_to(np.array(value), file.metadata.num_rows)


def read_cells(file: pq.ParquetFile, name: str) -> Iterator[Any]:
    """A large column, cell by cell."""
    for batch in file.iter_batches(BATCH, columns=[name]):
        yield from batch.column(0).to_pylist()


def read_splits(file: pq.ParquetFile, path: Path) -> np.ndarray:
    """Each row's place in SPLITS; all train where the file has no column of splits."""
    if SPLIT not in file.schema_arrow.names:
        return alike(file, 0)
    names = read_column(file, SPLIT).tolist()
    unknown = sorted({str(name) for name in names} - set(ALIASES))
    if unknown:
        raise DataError(f"column {SPLIT!r} of {path} has {unknown[0]!r}: use {', '.join(ALIASES)}")
    return np.array([ALIASES[name] for name in names], dtype=int)


def table_source(path: Path) -> Source:
    """Columns `image`, and `label` (numbers or names) and `split` (train, validation, test) or not.

    ConfigurationError where there is no image column, DataError where one is of another kind.
    """
    with reading(path), pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        column, label = image_column(schema, path), first_of(LABELS, schema.names)
        labels, classes = alike(file, -1), list[str]()
        if label is not None:
            labels, classes = index_labels(read_column(file, label), declared_names(schema, label))
        splits = read_splits(file, path)
        if not len(labels) == len(splits) == file.metadata.num_rows:
            raise DataError(f"the columns of {path} are not equally long: write it anew")

    def records() -> Iterator[Record]:
        with reading(path), pq.ParquetFile(path) as file:
            rows = zip(read_cells(file, column), labels, splits, strict=True)
            for row, (cell, label, split) in enumerate(rows):
                content = image_content(cell, path.parent)
                yield Record(f"{path} row {row}", content, int(label), int(split))

    return Source(classes, records)
