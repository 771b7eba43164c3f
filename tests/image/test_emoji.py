"""The packaged emoji: all are there, and what is held out is really unseen."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
from unite_image.config import ImageConfig
from unite_image.data import open_dataset, prepare
from unite_image.sources import PACKAGED, find_source
from unite_image.splits import SPLITS

CLASSES = (
    "activities", "animals", "component", "flags", "food", "objects", "people", "smileys",
    "symbols", "travel",
)  # fmt: skip
COUNTS = (85, 159, 5, 270, 131, 264, 2261, 169, 224, 218)

SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}


@pytest.fixture(scope="module")
def table():
    """The packaged file without its images."""
    return pq.read_table(PACKAGED["emoji"], columns=["label", "split", "name", "code"]).to_pylist()


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNITE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def test_file_is_small_and_comes_with_its_licences():
    assert PACKAGED["emoji"].stat().st_size <= 8_000_000
    folder = PACKAGED["emoji"].parent
    notice = (folder / "NOTICE.txt").read_text()
    assert "Noto Emoji" in notice
    assert "Apache License, Version 2.0" in notice
    assert "Version 2.0, January 2004" in (folder / "LICENSE-Apache-2.0.txt").read_text()


def test_all_emoji_are_there(table):
    counts = Counter(row["label"] for row in table)
    assert counts == dict(zip(CLASSES, COUNTS, strict=True))
    assert len({row["code"] for row in table}) == len(table) == 3786


def test_a_twentieth_of_every_class_is_held_out(table):
    for label, count in zip(CLASSES, COUNTS, strict=True):
        if label == "component":  # five swatches of skin
            continue
        for split in ("validation", "test"):
            held_out = sum((row["label"], row["split"]) == (label, split) for row in table)
            assert held_out / count == pytest.approx(0.05, abs=0.025)


def test_variants_share_a_split(table):
    splits = defaultdict(set)
    for row in table:
        points = [p for p in row["code"].split("-") if p not in SKIN_TONES]
        splits["-".join(points) or row["code"]].add(row["split"])
    assert len(splits) < 2000
    assert all(len(found) == 1 for found in splits.values())


@pytest.fixture(scope="module", params=[32, 64])
def data(request, cache):
    config = ImageConfig(path="emoji", resolution=request.param, patch=8)
    return {split: open_dataset(config, split) for split in SPLITS}


def test_splits_are_the_files_own(data, table):
    counts = Counter(row["split"] for row in table)
    assert {split: len(part) for split, part in data.items()} == counts
    assert sorted(np.concatenate([part.rows for part in data.values()])) == list(range(3786))
    for part in data.values():
        assert part.classes == list(CLASSES)
        own = [table[row]["label"] for row in part.rows[:50]]
        assert [part.classes[label] for label in part.labels(np.arange(50))] == own


def test_no_picture_is_in_two_splits(data):
    seen = [
        {image.pixels.tobytes() for image in part.images(np.arange(len(part)))}
        for part in data.values()
    ]
    assert not any(a & b for a, b in ((seen[0], seen[1]), (seen[0], seen[2]), (seen[1], seen[2])))


def test_corners_are_white(data):
    corners = data["train"].batch(np.arange(500), None).pixels[:, :, 0, 0]
    assert (corners == 1).all(1).float().mean() > 0.9


def test_emoji_may_be_enlarged():
    assert find_source("emoji").enlarge


def test_prepare_counts_the_classes():
    lines = prepare("emoji").splitlines()
    assert lines[:2] == ["emoji: 3,786 images, rejected 0", "  short sides from 64 to 64 pixels"]
    assert lines[2:4] == ["  85 activities", "  159 animals"]
