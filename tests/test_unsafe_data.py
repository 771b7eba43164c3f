"""Pickles in data that would run code: refused, or taken for something else, never executed."""

import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from unite_core.errors import ConfigurationError, DataError, StorageError
from unite_core.recipes import load_recipe
from unite_image.arrays import read_arrays
from unite_image.decoding import Rejected
from unite_image.official import convert
from unite_image.sources import find_source
from unite_molecule.prepare import source_files

PIXELS = np.zeros((2, 8, 8), np.uint8)


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


@pytest.fixture
def mark(tmp_path):
    """The file that says that code was run."""
    path = tmp_path / "ran"
    yield path
    assert not path.exists()


@pytest.fixture
def objects(mark):
    return np.array([Bomb(mark), 1], dtype=object)


def test_the_bomb_is_real(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "there"))).close()
    assert (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["images", "labels", "classes"])
def test_objects_in_an_archive_of_images(objects, tmp_path, name):
    whole = {"images": PIXELS, "labels": np.arange(2)}
    np.savez(tmp_path / "set.npz", **{**whole, name: objects})
    with pytest.raises(DataError, match=f"'{name}' holds pickled objects"):
        find_source(str(tmp_path / "set.npz"))


def test_objects_in_statistics(objects, tmp_path):
    np.savez(tmp_path / "stats.npz", mu=objects, sigma=np.eye(2))
    with pytest.raises(DataError, match="'mu' holds pickled objects"):
        read_arrays(tmp_path / "stats.npz", ("mu", "sigma"))


def test_a_pickle_in_a_cell_is_no_image(mark, tmp_path):
    cells = [pickle.dumps(Bomb(mark))]
    pq.write_table(pa.table({"image": cells}), tmp_path / "set.parquet")
    (record,) = find_source(str(tmp_path / "set.parquet")).records()
    with pytest.raises(Rejected, match="not an image"):
        record.load()


def test_a_pickled_column_type_is_not_made(mark, tmp_path):
    """What Arrow itself executed before version 14."""
    note = {
        "ARROW:extension:name": "arrow.py_extension_type",
        "ARROW:extension:metadata": pickle.dumps(Bomb(mark)),
    }
    schema = pa.schema([pa.field("image", pa.binary(), metadata=note)])
    pq.write_table(pa.table({"image": [b"x"]}, schema=schema), tmp_path / "set.parquet")
    assert len(list(find_source(str(tmp_path / "set.parquet")).records())) == 1


@pytest.mark.parametrize("ending", [".pt", ".pth", ".pkl", ".npy", ".bin"])
def test_weights_and_pickles_are_no_data(mark, tmp_path, ending):
    path = tmp_path / f"data{ending}"
    torch.save({"ema": Bomb(mark)}, path)
    with pytest.raises(ConfigurationError, match="no set of images"):
        find_source(str(path))
    with pytest.raises(DataError, match="no file ending in"):
        source_files(str(path))
    with pytest.raises(StorageError, match="refused"):
        convert(path, tmp_path / "model")


@pytest.mark.parametrize("name", ["data.pkl", "data.pickle", "pets.py"])
def test_a_local_copy_of_a_hub_set_that_is_code(mark, tmp_path, monkeypatch, name):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "pets"
    folder.mkdir()
    code = f"open({str(mark)!r}, 'w')".encode()
    (folder / name).write_bytes(code if name.endswith("py") else pickle.dumps(Bomb(mark)))
    with pytest.raises((DataError, ConfigurationError)):
        find_source(f"hub:{folder}")


def test_a_recipe_that_names_code(mark, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(f"modality: !!python/object/apply:builtins.open ['{mark}', 'w']\n")
    with pytest.raises(ConfigurationError, match="modality"):
        load_recipe(str(path))
