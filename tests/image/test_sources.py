import numpy as np
import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from datasets import Image as ImageFeature
from unite_core.errors import ConfigurationError, DataError
from unite_image import sources
from unite_image.decoding import Rejected
from unite_image.records import index_labels
from unite_image.sources import find_source, fingerprint

RNG = np.random.default_rng(11)


def noise(count, *shape):
    return RNG.integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.fixture
def draw(tmp_path):
    """Writes a small image at a path under the test's folder."""

    def make(*names):
        for name in names:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            PIL.Image.fromarray(noise(8, 8, 3)).save(file)

    return make


def encoded(pixels, path):
    PIL.Image.fromarray(pixels).save(path)
    return path.read_bytes()


def found(path):
    """(class name, split, last part of the name) of each record."""
    source = find_source(str(path))
    names = [*source.classes, None]
    return [(names[r.label], r.split, r.name.split("/")[-1]) for r in source.records()]


def test_class_folders(draw, tmp_path):
    draw("b/2.png", "b/1.JPEG", "a/deep/er/3.webp", ".git/no.png", "a/.hidden.png")
    (tmp_path / "a" / "notes.txt").write_text("no image")
    assert find_source(str(tmp_path)).classes == ["a", "b"]
    assert found(tmp_path) == [("a", 0, "3.webp"), ("b", 0, "1.JPEG"), ("b", 0, "2.png")]


def test_names_of_pictures_that_are_not_read_are_counted(draw, tmp_path):
    draw("a/1.png", "b/2.png")
    (tmp_path / "a" / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (tmp_path / "b" / "gone.jfif").symlink_to(tmp_path / "nothing")
    assert [name for *_, name in found(tmp_path)] == ["1.png", "phone.HEIC", "2.png", "gone.jfif"]
    before = fingerprint(str(tmp_path))
    (tmp_path / "nothing").write_bytes(b"something")
    assert fingerprint(str(tmp_path)) != before


def test_flat_folder_has_no_classes(draw, tmp_path):
    draw("2.png", "1.png")
    assert find_source(str(tmp_path)).classes == []
    assert found(tmp_path) == [(None, 0, "1.png"), (None, 0, "2.png")]


def test_split_folders(draw, tmp_path):
    draw("train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png")
    assert found(tmp_path) == [
        ("a", 0, "1.png"),
        ("b", 0, "2.png"),
        ("a", 1, "3.png"),
        ("b", 1, "4.png"),
    ]


def test_split_folders_must_have_the_same_classes(draw, tmp_path):
    draw("train/a/1.png", "train/b/2.png", "val/a/3.png")
    with pytest.raises(ConfigurationError, match=r"val'.*not the same class folders"):
        find_source(str(tmp_path))


def test_empty_class_is_named(draw, tmp_path):
    draw("a/1.png")
    (tmp_path / "lonely").mkdir()
    with pytest.raises(DataError, match="no image for class 'lonely'"):
        find_source(str(tmp_path))


def test_empty_folder(tmp_path):
    with pytest.raises(DataError, match="no image in"):
        find_source(str(tmp_path))


def test_images_beside_class_folders(draw, tmp_path):
    draw("a/1.png", "preview.png")
    with pytest.raises(ConfigurationError, match=r"both folders and images \(preview.png\)"):
        find_source(str(tmp_path))


def test_unknown_path_names_the_nearest():
    with pytest.raises(ConfigurationError, match="did you mean 'emoji'"):
        find_source("emojis")


def test_file_that_is_no_set(draw, tmp_path):
    draw("1.png")
    with pytest.raises(ConfigurationError, match=r"1.png' is no set of images"):
        find_source(str(tmp_path / "1.png"))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 3)])
@pytest.mark.parametrize("keys", [("images", "labels"), ("x", "y")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, shape, keys, save):
    images = noise(9, *shape)
    labels = np.arange(9) % 2
    save(tmp_path / "set.npz", **dict(zip(keys, (images, labels), strict=True)), classes=["u", "v"])
    source = find_source(str(tmp_path / "set.npz"))
    assert source.classes == ["u", "v"]
    records = list(source.records())
    np.testing.assert_array_equal([r.label for r in records], labels)
    pixels = np.stack([r.load()[1] for r in records])
    np.testing.assert_array_equal(pixels, images.reshape(9, 6, 5, -1))


def test_npz_without_labels(tmp_path):
    np.savez(tmp_path / "set.npz", images=noise(3, 4, 4))
    assert find_source(str(tmp_path / "set.npz")).classes == []


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"pictures": noise(2, 4, 4)}, ConfigurationError, "no array images.*it has pictures"),
        ({"images": noise(2, 4, 4) / 255}, DataError, "float64.*save uint8"),
        ({"images": noise(2, 3, 4, 4)}, DataError, r"\[2, 3, 4, 4\]"),
        ({"images": noise(2, 4, 4), "y": np.zeros(3, int)}, DataError, "2 images but 3 labels"),
        ({"images": noise(2, 4, 4), "y": np.zeros(2)}, DataError, "labels are float64"),
        ({"images": np.array([{}, 1], dtype=object)}, DataError, "'images' holds pickled"),
        (
            {"images": noise(2, 4, 4), "labels": np.array([{}, 1], dtype=object)},
            DataError,
            "'labels' holds pickled",
        ),
        ({"images": np.asfortranarray(noise(2, 4, 4))}, DataError, "ascontiguousarray"),
    ],
)
def test_npz_of_another_kind(tmp_path, arrays, error, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(error, match=message):
        find_source(str(tmp_path / "set.npz"))


@pytest.mark.parametrize("name", ["set.npz", "set.parquet"])
def test_broken_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(DataError, match=f"cannot read .*{name}"):
        find_source(str(tmp_path / name))


def test_npz_cut_short_is_an_error(tmp_path):
    file = tmp_path / "set.npz"
    np.savez_compressed(file, images=noise(50, 8, 8))
    content = bytearray(file.read_bytes())
    content[1000] ^= 255
    file.write_bytes(content)
    with pytest.raises(DataError, match="cannot read"):
        list(find_source(str(file)).records())


def write_parquet(path, images, **columns):
    pq.write_table(pa.table({"image": images, **columns}), path)
    return find_source(str(path))


def test_parquet_of_bytes(tmp_path):
    pixels = noise(3, 8, 8, 3)
    cells = [encoded(p, tmp_path / "a.png") for p in pixels]
    source = write_parquet(
        tmp_path / "set.parquet", cells, label=["v", "u", "v"], split=["train", "val", "test"]
    )
    assert source.classes == ["u", "v"]
    records = list(source.records())
    assert [(r.label, r.split) for r in records] == [(1, 0), (0, 1), (1, 2)]
    np.testing.assert_array_equal([r.load()[1] for r in records], pixels)


def test_parquet_of_structs_and_gaps(tmp_path):
    content = encoded(noise(8, 8, 3), tmp_path / "a.png")
    cells = [
        {"bytes": content, "path": None},
        {"bytes": None, "path": "a.png"},
        {"bytes": None, "path": None},
        {"bytes": None, "path": "missing.png"},
    ]
    source = write_parquet(tmp_path / "set.parquet", cells, label=[4, 7, None, 7])
    assert source.classes == ["4", "7"]
    first, second, third, fourth = source.records()
    assert [r.label for r in (first, second, third)] == [0, 1, -1]
    np.testing.assert_array_equal(first.load()[1], second.load()[1])
    with pytest.raises(Rejected, match="empty file"):
        third.load()
    with pytest.raises(Rejected, match="cannot be opened"):
        fourth.load()


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"picture": [b"x"]}, ConfigurationError, "no column image or img .*it has picture"),
        ({"image": ["a.png"]}, DataError, "'image' .* is string: give bytes"),
        ({"image": [b"x"], "split": ["extra"]}, DataError, "'split' .* has 'extra': use train"),
        ({"image": [b"x"], "label": [0.5]}, DataError, "labels are float64"),
    ],
)
def test_parquet_of_another_kind(tmp_path, columns, error, message):
    pq.write_table(pa.table(columns), tmp_path / "set.parquet")
    with pytest.raises(error, match=message):
        find_source(str(tmp_path / "set.parquet"))


@pytest.fixture
def data_set(tmp_path):
    """A data set as `datasets` holds it: an image and a label column, two splits."""

    def make(labels):
        pictures = [PIL.Image.fromarray(p) for p in noise(len(labels), 8, 8, 3)]
        features = Features({"img": ImageFeature(), "kind": ClassLabel(names=["cat", "dog"])})
        return Dataset.from_dict({"img": pictures, "kind": labels}, features=features)

    return make


def test_parquet_keeps_the_class_names_that_datasets_noted(data_set, tmp_path):
    data_set([1, 0]).rename_columns({"kind": "label"}).to_parquet(tmp_path / "set.parquet")
    assert found(tmp_path / "set.parquet") == [
        ("dog", 0, "set.parquet row 0"),
        ("cat", 0, "set.parquet row 1"),
    ]


def test_hub(data_set, monkeypatch):
    parts = DatasetDict({"train": data_set([1, 0, 1]), "test": data_set([0])})
    monkeypatch.setattr("unite_image.hub.load_dataset", {"owner/pets": parts}.__getitem__)
    source = find_source("hub:owner/pets")
    assert source.classes == ["cat", "dog"]
    records = list(source.records())
    assert [(r.label, r.split) for r in records] == [(1, 0), (0, 0), (1, 0), (0, 2)]
    np.testing.assert_array_equal(records[2].load()[1], parts["train"][2]["img"])


def test_hub_split_without_labels_is_left_out(data_set, monkeypatch):
    parts = DatasetDict({"train": data_set([1, 0]), "test": data_set([-1, -1])})
    monkeypatch.setattr("unite_image.hub.load_dataset", lambda name: parts)
    assert [r.split for r in find_source("hub:owner/pets").records()] == [0, 0]


def test_local_copy_of_a_hub_data_set(data_set, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    data_set([1, 0]).to_parquet(tmp_path / "pets" / "train-00000-of-00001.parquet")
    source = find_source(f"hub:{tmp_path / 'pets'}")
    assert source.classes == ["cat", "dog"]
    assert [r.load()[1].shape for r in source.records()] == [(8, 8, 3)] * 2


def test_hub_errors_name_what_is_there(data_set, monkeypatch):
    with pytest.raises(DataError, match="could not load"):
        find_source("hub:/no/such/folder")
    monkeypatch.setattr(
        "unite_image.hub.load_dataset", lambda name: DatasetDict({"extra": data_set([0])})
    )
    with pytest.raises(ConfigurationError, match=r"no split 'train' .* it has extra"):
        find_source("hub:owner/pets")
    text = Dataset.from_dict({"text": ["a"]}, features=Features({"text": Value("string")}))
    monkeypatch.setattr("unite_image.hub.load_dataset", lambda name: DatasetDict({"train": text}))
    with pytest.raises(ConfigurationError, match=r"no column of images .* it has text"):
        find_source("hub:owner/pets")


def test_labels_out_of_range_are_none():
    labels, classes = index_labels(np.array([0, 2, -1, 1]), ["a", "b"])
    np.testing.assert_array_equal(labels, [0, -1, -1, 1])
    assert classes == ["a", "b"]


def test_fingerprint_follows_the_files(draw, tmp_path, monkeypatch):
    draw("a/1.png", "b/2.png")
    before = fingerprint(str(tmp_path))
    assert fingerprint(f"{tmp_path}/a/..") == before
    draw("b/3.png")
    added = fingerprint(str(tmp_path))
    draw("b/2.png")
    assert len({before, added, fingerprint(str(tmp_path))}) == 3


def test_fingerprint_follows_a_local_copy_of_a_hub_data_set(tmp_path):
    copy = tmp_path / "data" / "train.parquet"
    copy.parent.mkdir()
    copy.write_bytes(b"first")
    before = fingerprint(f"hub:{tmp_path}")
    assert fingerprint(f"hub:{tmp_path}") == before
    copy.write_bytes(b"second")
    assert fingerprint(f"hub:{tmp_path}") != before


def test_fingerprint_of_the_hub_needs_no_network(monkeypatch):
    monkeypatch.setattr(sources, "locate", lambda path: pytest.fail("looked at the disk"))
    assert fingerprint("hub:a/b") != fingerprint("hub:a/c")
