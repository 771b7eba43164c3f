"""The strokes modality keeps the contract, and its own parts do what they say."""

from pathlib import Path

import numpy as np
import pytest
from unite_core.errors import ConfigurationError, DataError
from unite_core.testing import ModalityContract
from unite_strokes.config import StrokesConfig, StrokesSampleOptions
from unite_strokes.data import characters, evenly, stroke, variation
from unite_strokes.files import read_json, save
from unite_strokes.metrics import told_apart, turning
from unite_strokes.modality import StrokesModality


class TestContract(ModalityContract):
    recipe = "kanji-strokes"
    overrides = (
        "encoder.width=32",
        "encoder.depth=2",
        "encoder.heads=2",
        "data.width=36",
        "objective.draws=1",
    )


def test_points_are_evenly_spaced_and_keep_the_ends() -> None:
    line = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 12.0]])
    points = evenly(line)
    assert np.allclose(points[[0, 3, -1]], line)
    assert np.allclose(np.linalg.norm(np.diff(points, axis=0), axis=1), 1.0)


def test_a_path_of_two_curves_is_followed_to_its_end() -> None:
    points = stroke("M10,20c0,5,0,10,0,15C15,35,20,35,25,35")
    assert np.allclose(points[[0, -1]], [[10, 20], [25, 35]])
    assert np.abs(points - [10, 35]).min(axis=1).max() < 1e-6  # on one of the two sides


def test_shapes_make_every_stroke_again() -> None:
    strokes = np.concatenate(characters("test"))
    mean, shapes = variation(strokes)
    amounts = (strokes.reshape(-1, 32) - mean) @ np.linalg.inv(shapes)
    assert np.allclose((amounts**2).mean(0), 1.0, atol=0.01)  # so much along each, on average


def test_splits_share_no_character() -> None:
    splits = [characters(name) for name in ("train", "validation", "test")]
    drawn = [each.tobytes() for split in splits for each in split]
    assert len(drawn) > 6000
    assert sum(len(set(map(np.ndarray.tobytes, split))) for split in splits) == len(set(drawn))


def test_a_file_keeps_what_it_can_and_counts_the_rest(tmp_path: Path) -> None:
    good = characters("test")[:2]
    path = tmp_path / "mixed.json"
    save(good, path)
    drawn = [[[0, 0], [0.5, 0.5], [1, 1]]]  # a user's stroke of three points
    bad = [[], [[[0, 0]]], [[[0, float("nan")], [1, 1]]], 7]
    text = path.read_text()[:-1] + "".join(f", {each}" for each in [drawn, *bad]) + "]"
    path.write_text(text.replace("nan", "NaN"))
    read, rejected = read_json(path)
    assert all(np.array_equal(a, b) for a, b in zip(good, read[:2], strict=True))
    assert np.allclose(read[2][0], np.linspace(0, 1, 16)[:, None])
    assert read[2].dtype == np.float32
    assert sum(rejected.values()) == 4
    path.write_text("{")
    with pytest.raises(DataError, match=r"mixed\.json"):
        read_json(path)


def test_sets_that_differ_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200, 3))
    assert told_apart(a, b) == pytest.approx(0.5, abs=0.1)
    assert told_apart(a, b + 100) == 1.0


def test_a_corner_turns_by_a_right_angle() -> None:
    corner = evenly(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 12.0]]))
    assert turning([corner[None]]) == pytest.approx(np.pi / 2)


def test_more_strokes_than_the_model_knows_are_refused() -> None:
    modality = StrokesModality(StrokesConfig(), {"stroke_counts": [0, 2, 5]})
    rng = np.random.default_rng(0)
    assert modality.sample_layout(4, rng, StrokesSampleOptions(strokes=2)).sizes.tolist() == [2] * 4
    with pytest.raises(ConfigurationError, match="--strokes 3: this model writes at most 2"):
        modality.sample_layout(4, rng, StrokesSampleOptions(strokes=3))
