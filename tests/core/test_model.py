"""UniteModel from Python: tokenize, reconstruct, generate, save and load."""

from pathlib import Path

import numpy as np
import pytest
import torch
from core.test_objective import toy_batch, toy_model
from unite_core.errors import ConfigurationError, StorageError
from unite_core.model import RowNoise, UniteModel, equal_size_rows, load_model


def test_generation_does_not_depend_on_the_batch_size() -> None:
    model = toy_model().eval()
    whole = model.generate(24, steps=4, precision="no")
    pieces = model.generate(24, steps=4, batch_size=5, precision="no")
    for a, b in zip(whole, pieces, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("solver", ["euler", "heun", "dopri5", "stochastic"])
def test_generation_repeats_by_seed(solver: str) -> None:
    model = toy_model().eval()
    first, again, other = (
        model.generate(4, steps=3, solver=solver, seed=seed)  # type: ignore[arg-type]
        for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_row_noise_ignores_batch_mates() -> None:
    sizes = torch.tensor([2, 3])
    both = RowNoise([(0, 0), (0, 1)], sizes, 4, torch.device("cpu"))
    alone = RowNoise([(0, 1)], sizes[1:], 4, torch.device("cpu"))
    for _ in range(2):
        assert torch.equal(both()[1:], alone())


def test_row_noise_is_standard_normal_and_fresh() -> None:
    source = RowNoise([(0, i) for i in range(500)], torch.full((500,), 5), 4, torch.device("cpu"))
    first, second = source(), source()
    assert first.std().item() == pytest.approx(1, abs=0.03)
    assert abs(float((first * second).mean())) < 0.03


def test_equal_size_rows_partition_the_samples() -> None:
    sizes = torch.tensor([3, 2, 3, 3, 2])
    groups = [rows.tolist() for rows in equal_size_rows(sizes, 2)]
    assert sorted(row for rows in groups for row in rows) == [0, 1, 2, 3, 4]
    assert all(len({int(sizes[row]) for row in rows}) == 1 and len(rows) <= 2 for rows in groups)


def test_tokenize_ignores_batch_mates() -> None:
    model = toy_model().eval()
    data = model.modality.dataset("train")
    together = model.tokenize(toy_batch(model))  # type: ignore[arg-type]
    alone = model.tokenize(data.batch(np.array([1]), None))
    n = alone.z.shape[1]
    torch.testing.assert_close(together.z[1:2, :n], alone.z)


def test_save_and_load_give_the_same_samples(tmp_path: Path) -> None:
    model = toy_model().eval()
    model.save_pretrained(tmp_path)
    loaded = UniteModel.from_pretrained(tmp_path).eval()
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    for a, b in zip(model.generate(6, steps=3), loaded.generate(6, steps=3), strict=True):
        assert np.array_equal(a, b)


def test_saved_models_say_what_they_are(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "library_name: unite" in card
    assert "both tokenizer and generator" in card


def test_a_run_directory_opens_its_model(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path / "model")
    assert load_model(tmp_path).modality.statistics == {"longest": 5}


def test_unknown_modality_is_named() -> None:
    with pytest.raises(ConfigurationError, match="'tay'; did you mean 'toy'"):
        UniteModel("tay", {}, {}, {})


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no model"):
        load_model(tmp_path)


def test_truncated_weights_are_named(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(StorageError, match="cannot load a model"):
        load_model(tmp_path)
