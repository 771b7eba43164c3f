from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from unite_core.errors import DataError
from unite_image.config import ImageConfig
from unite_image.data import flipped, open_dataset, prepare, read_images
from unite_image.splits import SPLITS

SHARED = Path(__file__).parents[3] / "shared" / "data" / "images"
RNG = np.random.default_rng(21)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def npz(tmp_path):
    """A hundred images of 8 x 8, whose first red value tells their label of five."""
    images = RNG.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(100) % 5
    images[:, :, :, 0] = labels[:, None, None]
    np.savez(tmp_path / "set.npz", images=images, labels=labels, classes=list("vwxyz"))
    return tmp_path / "set.npz"


def config(path, **options):
    return ImageConfig(path=str(path), **{"resolution": 8, "patch": 4, "held_out": 0.1, **options})


def test_splits_are_disjoint_stable_and_of_every_class(npz):
    rows = []
    for split, size in zip(SPLITS, (80, 10, 10), strict=True):
        data = open_dataset(config(npz), split)
        np.testing.assert_array_equal(data.rows, open_dataset(config(npz), split).rows)
        np.testing.assert_array_equal(np.bincount(data.labels(np.arange(size))), [size // 5] * 5)
        rows.append(data.rows)
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(100))


def test_splits_are_the_same_at_every_resolution(npz):
    smaller = config(npz, resolution=4, channels=1)
    for split in SPLITS:
        rows = open_dataset(smaller, split).rows
        np.testing.assert_array_equal(rows, open_dataset(config(npz), split).rows)


def test_batch_is_the_images_in_order(npz):
    data = open_dataset(config(npz), "train")
    indices = np.array([7, 3, 3, 0])
    batch = data.batch(indices, None)
    assert (batch.pixels.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
    images = data.images(indices)
    for pixels, label, image in zip(batch.pixels, batch.labels, images, strict=True):
        np.testing.assert_array_equal(pixels.permute(1, 2, 0) * 255, image.pixels)
        assert int(label) == image.label == image.pixels[0, 0, 0]
    np.testing.assert_array_equal(data.sizes, [4] * 80)


def test_flips_are_of_seed_and_index_alone(npz):
    data = open_dataset(config(npz), "train")
    plain, turned = data.batch(np.arange(80), None), data.batch(np.arange(80), 5)
    mirrored = (plain.pixels != turned.pixels).flatten(1).any(1)
    assert 20 < mirrored.sum() < 60
    np.testing.assert_array_equal(turned.pixels[mirrored], plain.pixels[mirrored].flip(-1))
    np.testing.assert_array_equal(turned.labels, plain.labels)
    alone = torch.cat([data.batch(np.array([i]), 5).pixels for i in reversed(range(80))])
    np.testing.assert_array_equal(alone.flip(0), turned.pixels)
    assert not torch.equal(turned.pixels, data.batch(np.arange(80), 6).pixels)


def test_flips_are_fair_by_index_and_by_seed():
    by_index = flipped(0, np.arange(4000))
    by_seed = np.concatenate([flipped(seed, np.array([0])) for seed in range(4000)])
    for flips in (by_index, by_seed):
        assert abs(flips.mean() - 0.5) < 0.03  # four standard errors
        assert abs((flips[1:] == flips[:-1]).mean() - 0.5) < 0.03


def test_no_flip_where_it_is_off(npz):
    data = open_dataset(config(npz, flip=False), "train")
    np.testing.assert_array_equal(
        data.batch(np.arange(80), 5).pixels, data.batch(np.arange(80), None).pixels
    )


def test_unconditional_has_neither_classes_nor_labels(npz):
    data = open_dataset(config(npz, conditional=False), "train")
    assert data.classes == []
    assert data.batch(np.arange(3), 0).labels is None
    assert [image.label for image in data.images(np.arange(3))] == [None] * 3


def test_empty_split_is_named(npz):
    with pytest.raises(DataError, match=r"no image .* is for test: change data.held_out"):
        open_dataset(config(npz, held_out=0.0), "test")
    with pytest.raises(DataError, match="for train"):
        open_dataset(config(npz, held_out=0.5), "train")


def test_prepare_tells_what_is_there(tmp_path):
    for name, size in {"a/1": (9, 20), "a/2": (30, 8), "b/3": (12, 12)}.items():
        file = tmp_path / "set" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", size).save(file)
    (tmp_path / "set" / "b" / "4.png").write_bytes(b"")
    lines = prepare(str(tmp_path / "set")).splitlines()
    assert lines[0] == f"{tmp_path / 'set'}: 3 images, rejected 1"
    assert lines[1].startswith("  1 empty file: ")
    assert lines[2:] == ["  short sides from 8 to 12 pixels", "  2 a", "  1 b"]


def test_read_images_of_a_file_and_of_a_folder(tmp_path):
    PIL.Image.new("RGB", (5, 7), (1, 2, 3)).save(tmp_path / "one.png")
    (tmp_path / "deep").mkdir()
    PIL.Image.new("L", (6, 4), 9).save(tmp_path / "deep" / "grey.png")
    (tmp_path / "zero.jpg").write_bytes(b"")
    images, rejected = read_images(tmp_path / "one.png")
    assert (images[0].pixels.shape, images[0].label, rejected) == ((7, 5, 3), None, {})
    images, rejected = read_images(tmp_path)
    assert [image.pixels.shape for image in images] == [(7, 5, 3), (4, 6, 1)]
    assert rejected == {"empty file": 1}
    assert read_images(tmp_path / "zero.jpg") == ([], {"empty file": 1})


def test_read_images_of_arrays_have_labels(npz):
    images, rejected = read_images(npz)
    assert [image.label for image in images] == [i % 5 for i in range(100)]
    assert rejected == {}


def shared(name):
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} is missing")
    return SHARED / name


@pytest.mark.shared
def test_cifar_folder():
    data = open_dataset(config(shared("cifar10_folder"), resolution=32), "train")
    assert (len(data), len(data.classes), data.classes[0]) == (160, 10, "airplane")
    file = sorted((SHARED / "cifar10_folder" / "airplane").iterdir())[4]
    pixels = data.store.pixels(np.array([4]))[0]
    np.testing.assert_array_equal(pixels, np.asarray(PIL.Image.open(file).convert("RGB")))


@pytest.mark.shared
def test_cifar_arrays():
    file = shared("cifar10_5000.npz")
    data = open_dataset(config(file, resolution=32), "train")
    with np.load(file) as arrays:
        assert data.classes == arrays["classes"].tolist()
        rows = data.rows[:20]
        np.testing.assert_array_equal(data.store.pixels(rows), arrays["images"][rows])
        np.testing.assert_array_equal(data.labels(np.arange(20)), arrays["labels"][rows])
    assert len(data) == 4000
