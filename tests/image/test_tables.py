"""Parquet files that are not what they say; whole ones are in test_sources.py."""

import json
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from image.test_sources import write_parquet
from unite_core.errors import DataError
from unite_image import tables
from unite_image.sources import find_source


def note(label):
    return json.dumps({"info": {"features": {"label": label}}})


NOTES = ["null", "3", '{"info": {"features": []}}', note(None)]
NOTES += [note({"_type": "ClassLabel", "names": names}) for names in (3, [None, {}])]


@pytest.mark.parametrize("written", NOTES)
def test_a_damaged_note_of_datasets(tmp_path, written):
    table = pa.table({"image": [b"x"], "label": [0]})
    pq.write_table(
        table.replace_schema_metadata({"huggingface": written}), tmp_path / "set.parquet"
    )
    with pytest.raises(DataError, match="note of `datasets`"):
        find_source(str(tmp_path / "set.parquet"))


def test_parquet_columns_of_different_lengths(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "read_column", lambda file, name: np.array(["u"]))
    with pytest.raises(DataError, match="not equally long"):
        write_parquet(tmp_path / "set.parquet", [b"x", b"y"], label=["u", "v"])


def test_rows_that_a_parquet_only_claims_take_no_memory():
    file = mock.Mock(spec=pq.ParquetFile)
    file.metadata.num_rows = 10**15
    assert len(tables.alike(file, -1)) == 10**15
