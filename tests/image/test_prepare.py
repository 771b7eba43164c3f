import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from unite_core.errors import ConfigurationError, DataError
from unite_image import prepare as module
from unite_image.config import ImageConfig
from unite_image.decoding import Rejected
from unite_image.prepare import open_store, tell_rejected
from unite_image.records import Record
from unite_image.rejections import Rejections, usable
from unite_image.store import CHUNK

RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    """Twenty images of 8 x 8 in two classes."""
    for place in range(20):
        file = tmp_path / "set" / "ab"[place % 2] / f"{place:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.fromarray(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    return tmp_path / "set"


def config(path, **options):
    return ImageConfig(path=str(path), **{"resolution": 8, "patch": 4, **options})


def spoil(folder):
    """Three files with a fault each, and one too small."""
    whole = (folder / "a" / "00.png").read_bytes()
    (folder / "a" / "zero.png").write_bytes(b"")
    (folder / "a" / "cut.png").write_bytes(whole[:-40])
    (folder / "b" / "page.jpg").write_bytes(b"<html>")
    PIL.Image.new("RGB", (8, 7)).save(folder / "b" / "small.png")


def test_pixels_and_labels_are_stored(folder):
    store, classes = open_store(config(folder))
    assert classes == ["a", "b"]
    files = sorted((folder / "a").iterdir()) + sorted((folder / "b").iterdir())
    np.testing.assert_array_equal(
        store.pixels(np.arange(20)), [np.asarray(PIL.Image.open(file)) for file in files]
    )
    np.testing.assert_array_equal(store.labels, [0] * 10 + [1] * 10)


def test_bad_images_are_an_error_above_the_threshold(folder):
    spoil(folder)
    with pytest.raises(DataError) as caught:
        open_store(config(folder))
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "4 of the 24 images" in message
    assert "data.max_rejected allows 0.10%" in message
    for reason, name in {
        "empty file": "zero.png",
        "truncated or damaged": "cut.png",
        "not an image of a known format": "page.jpg",
        "smaller than 8 x 8": "small.png",
    }.items():
        assert any(f"1 {reason}" in line and name in line for line in message.splitlines())


def test_bad_images_below_the_threshold_are_left_out_with_a_word(folder, caplog):
    spoil(folder)
    assert len(open_store(config(folder, max_rejected=4 / 24))[0]) == 20
    with pytest.raises(DataError):  # though it is prepared by now
        open_store(config(folder, max_rejected=3.9 / 24))
    tell_rejected(config(folder, max_rejected=4 / 24))
    (warning,) = (said for said in caplog.messages if not said.startswith("preparing"))
    assert "left out 4 images" in warning
    assert "1 truncated or damaged: " in warning


def test_good_images_are_no_news(folder, caplog):
    open_store(config(folder))
    caplog.clear()
    tell_rejected(config(folder))
    assert not caplog.messages


def test_small_images_are_enlarged_where_that_is_wanted(folder):
    store, _ = open_store(config(folder, resolution=16, enlarge=True))
    assert store.pixels(np.arange(20)).shape == (20, 16, 16, 3)
    with pytest.raises(DataError):  # and what was prepared so serves no others
        open_store(config(folder, resolution=16))


def test_nothing_usable_leaves_no_cache(folder, cache):
    with pytest.raises(DataError, match=r"none of the 20 .*\n  20 smaller than 16 x 16"):
        open_store(config(folder, resolution=16, max_rejected=1.0))
    assert not [path for path in cache.iterdir() if path.is_dir()]


def test_labels_outside_the_classes_are_rejected(tmp_path):
    images = RNG.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", x=images, y=[0, 1, 7, 0, 1], classes=["u", "v"])
    with pytest.raises(DataError, match=r"1 label that is none of the classes: .* image 2"):
        open_store(config(tmp_path / "set.npz"))


def test_second_opening_reads_nothing_again(folder, monkeypatch):
    open_store(config(folder))
    monkeypatch.setattr(module, "find_source", lambda path: pytest.fail("built again"))
    start = time.perf_counter()
    store, _ = open_store(config(folder))
    assert time.perf_counter() - start < 0.5
    assert len(store) == 20


def test_changed_files_and_sizes_are_prepared_anew(folder, cache):
    open_store(config(folder))
    (folder / "a" / "00.png").unlink()
    assert len(open_store(config(folder))[0]) == 19
    assert open_store(config(folder, resolution=4))[0].views[0].shape[1:] == (4, 4, 3)
    assert open_store(config(folder, channels=1))[0].views[0].shape[1:] == (8, 8, 1)
    assert len([path for path in cache.iterdir() if path.is_dir()]) == 4


@pytest.mark.parametrize(("kept", "found"), [(["a"], "the one class 'a'"), ([], "no classes")])
def test_conditional_needs_classes(folder, kept, found):
    if not kept:
        (folder / "a" / "00.png").rename(folder / "00.png")
    for name in {"a", "b"} - set(kept):
        for file in (folder / name).iterdir():
            file.unlink()
        (folder / name).rmdir()
    with pytest.raises(ConfigurationError, match=f"{found}: set data.conditional=false"):
        open_store(config(folder))
    assert len(open_store(config(folder, conditional=False))[0]) == (10 if kept else 1)
    with pytest.raises(ConfigurationError, match=found):  # though it is prepared by now
        open_store(config(folder))


@pytest.mark.slow
def test_a_hub_set_without_network_is_one_line(cache):
    command = ["-m", "unite_core.cli", "data", "prepare", "--modality", "image", "hub:owner/pets"]
    done = subprocess.run(
        [sys.executable, *command],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "error: could not load 'owner/pets' from the hub" in done.stderr


def test_records_are_taken_as_they_are_used():
    taken = []

    def records():
        for place in range(10 * CHUNK):
            taken.append(place)
            yield Record(str(place), Path())

    results = usable(records(), lambda record: record.name, Rejections())
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    assert len(taken) == CHUNK


def test_rejections_are_counted_in_order_of_frequency():
    rejections = Rejections()

    def use(record):
        raise Rejected("odd" if int(record.name) % 3 else "even")

    assert list(usable((Record(str(i), Path()) for i in range(9)), use, rejections)) == []
    assert rejections.counts == {"even": 3, "odd": 6}
    assert str(rejections).splitlines() == ["  6 odd: 1, 2, 4", "  3 even: 0, 3, 6"]
