"""Figures at several guidance scales."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from core.test_objective import toy_model
from matplotlib.figure import Figure
from PIL import Image
from pydantic import BaseModel
from unite_core import sweep as sweeping
from unite_core.errors import ConfigurationError, StorageError
from unite_core.evaluation import evaluate
from unite_core.processes import ALONE
from unite_core.sampling_settings import Sampling
from unite_core.sweep import plot_sweep, sweep

TABLE: dict[float, dict[str, Any]] = {
    1.0: {"fid": 9.0, "kept": 4, "kind": "toy", "none": None},
    2.0: {"fid": float("nan"), "kept": 5, "kind": "toy", "none": None},
}


def test_each_scale_has_the_scores_of_its_own_samples() -> None:
    model = toy_model().eval()
    result = sweep(model, 6, Sampling(steps=3), [1.0, 2.0], None, ALONE)
    assert result is not None
    for scale in (1.0, 2.0):
        alone = evaluate(model, 6, Sampling(steps=3, guidance=scale), None)
        assert result.samples[scale] == alone.scores["samples"]
        assert result.reconstruction == alone.reconstruction
    assert result.samples[1.0] != result.samples[2.0]
    assert result.others["data"] == {"radius": 1.0}


@pytest.mark.parametrize("score", [lambda *a: sweep(*a, ALONE), evaluate])
def test_what_scoring_lacks_is_told_before_samples_are_made(
    score: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(config: BaseModel, reference: str | None) -> None:
        raise ConfigurationError(f"no {reference}")

    model = toy_model().eval()
    monkeypatch.setattr(type(model.modality), "check_score", staticmethod(refuse))
    monkeypatch.setattr(model, "generate", mock.Mock(side_effect=AssertionError))
    scales = [] if score is evaluate else [[1.0]]
    with pytest.raises(ConfigurationError, match="no such thing"):
        score(model, 6, Sampling(steps=3), *scales, "such thing")


def test_the_split_is_reconstructed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    one = sweeping.reconstruct_split
    monkeypatch.setattr(sweeping, "reconstruct_split", lambda *a: (seen.append(a[1]), one(*a))[1])
    sweep(toy_model().eval(), 4, Sampling(steps=2), [1.0, 1.5, 2.0], None, ALONE)
    assert seen == ["test"]


def test_a_sweep_without_a_condition_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = toy_model(data={"conditional": False}).eval()
    monkeypatch.setattr(sweeping, "reconstruct_split", None)
    with pytest.raises(ConfigurationError, match=r"guidance 1\.4"):
        sweep(model, 4, Sampling(), [1.0, 1.4], None, ALONE)


def test_the_picture_has_a_panel_for_each_numeric_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (drawn.append(self), save(self, *a, **k))[1]
    )
    plot_sweep(TABLE, {"fid": 0.5, "kind": "toy"}, tmp_path / "sweep.png")
    with Image.open(tmp_path / "sweep.png") as picture:
        assert picture.format == "PNG"
    fid, kept = drawn[0].axes
    assert (fid.get_title(), kept.get_title()) == ("fid", "kept")
    assert [line.get_xydata().tolist() for line in kept.lines] == [[[1.0, 4.0], [2.0, 5.0]]]
    curve, data = fid.lines
    assert curve.get_xydata().tolist() == [[1.0, 9.0]]
    assert list(data.get_ydata()) == [0.5, 0.5]


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        plot_sweep(TABLE, {}, tmp_path / "none" / "sweep.png")
