"""Generate, reconstruct and score with a finished model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from core.test_objective import toy_model
from PIL import Image
from unite_core import precision
from unite_core.errors import StorageError
from unite_core.evaluation import (
    draw_strips,
    drawn_with,
    evaluate,
    generate,
    open_on_device,
    preview,
    reconstruct,
    reconstruct_split,
)
from unite_core.model import UniteModel
from unite_core.reporting import read_log
from unite_core.sampling_settings import Sampling


@pytest.fixture
def model() -> UniteModel:
    return toy_model().eval()


def test_reconstruction_does_not_depend_on_the_batch_size(model: UniteModel) -> None:
    samples = model.modality.originals(model.modality.dataset("test").batch(np.arange(9), None))
    whole, pieces = reconstruct(model, samples, 9), reconstruct(model, samples, 2)
    for a, b, original in zip(whole, pieces, samples, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        assert a.shape == original.shape


def test_a_split_is_paired_with_its_reconstructions(model: UniteModel) -> None:
    data = model.modality.dataset("test")
    pairs = reconstruct_split(model, "test", 7, 3)
    originals = model.modality.originals(data.batch(np.arange(7), None))
    for (original, made), expected in zip(pairs, originals, strict=True):
        assert np.array_equal(original, expected)
        assert made.shape == original.shape
    assert len(reconstruct_split(model, "test", 10**6, 30)) == len(data)


def test_evaluation_scores_what_it_keeps(model: UniteModel) -> None:
    result = evaluate(model, 6, Sampling(steps=2), None)
    modality = model.modality
    assert len(result.samples) == len(result.pairs) == 6
    assert result.scores == modality.score(modality.config, result.samples, None)
    originals, made = zip(*result.pairs, strict=True)
    assert result.reconstruction == modality.score_reconstruction(modality.config, originals, made)


def test_samples_follow_all_settings(model: UniteModel) -> None:
    sampling = Sampling(steps=3, solver="heun", seed=5, batch_size=2, guidance=1.5)
    expected = model.generate(4, steps=3, solver="heun", seed=5, batch_size=2, guidance=1.5)
    for a, b in zip(generate(model, 4, sampling), expected, strict=True):
        assert np.array_equal(a, b)
    sampling = Sampling(steps=3, temperature=0.5, strength=1.0, rounds=1)
    expected = model.generate(4, steps=3, temperature=0.5, strength=1.0, rounds=1)
    for a, b in zip(generate(model, 4, sampling), expected, strict=True):
        assert np.array_equal(a, b)


def test_settings_say_what_the_modality_chose(model: UniteModel) -> None:
    chosen = drawn_with(model, Sampling())
    assert (chosen["strength"], chosen["rounds"]) == (model.modality.strength, 0)
    given = drawn_with(model, Sampling(strength=0.5, rounds=3))
    assert (given["strength"], given["rounds"]) == (0.5, 3)
    assert drawn_with(model, Sampling(solver="heun"))["strength"] is None


@pytest.mark.parametrize(("has", "products"), [(True, "bfloat16"), (False, "float32")])
def test_settings_say_on_what_and_in_which_precision(
    model: UniteModel, monkeypatch: pytest.MonkeyPatch, has: bool, products: str
) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda device: has)
    told = drawn_with(model, Sampling())
    assert (told["device"], told["products"]) == ("cpu", products)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture, in which the toy draws a pixel for each sample."""
    with Image.open(path) as picture:
        return picture.size


def test_strips_are_a_row_for_each_sample(model: UniteModel, tmp_path: Path) -> None:
    draw_strips(model, 3, 4, Sampling(steps=5), None, tmp_path / "strips.png")
    assert size_of(tmp_path / "strips.png") == (4, 3)


def test_pictures_of_samples_and_of_pairs(model: UniteModel, tmp_path: Path) -> None:
    preview(model, 40, tmp_path / "previews")
    pictures = {path.name: size_of(path) for path in (tmp_path / "previews").iterdir()}
    assert pictures == {
        "step-000000040-samples.png": (20, 1),
        "step-000000040-reconstructions.png": (20, 1),
    }


def test_a_model_opens_in_evaluation_mode_and_says_nothing(
    model: UniteModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model.save_pretrained(tmp_path)
    opened = open_on_device(tmp_path)
    assert not opened.training
    assert not capsys.readouterr().out
    state = {name: tensor.cpu() for name, tensor in opened.state_dict().items()}
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


def test_a_directory_without_a_log_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not a run"):
        read_log(tmp_path)
