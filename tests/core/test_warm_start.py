import logging
from pathlib import Path

import pytest
import torch
from unite_core.errors import ConfigurationError, StorageError
from unite_core.model import UniteModel
from unite_core.warm_start import start_from


def toy(seed: int, **changes: object) -> UniteModel:
    torch.manual_seed(seed)
    encoder = {"width": 16, "depth": 2, "heads": 2, "latent_dim": 4}
    return UniteModel("toy", {"count": 8, "longest": 5}, {**encoder, **changes}, {"longest": 5})


@pytest.fixture
def saved(tmp_path: Path) -> tuple[UniteModel, str]:
    model = toy(seed=0)
    model.save_pretrained(tmp_path / "model")
    return model, str(tmp_path / "model")


def test_weights_are_those_of_the_model_that_is_named(saved: tuple[UniteModel, str]) -> None:
    source, name = saved
    model = toy(seed=1)
    start_from(model, name)
    torch.testing.assert_close(model.state_dict(), source.state_dict(), rtol=0, atol=0)
    assert not model.condition.table.weight.equal(toy(seed=1).condition.table.weight)


def test_what_other_data_make_another_size_stays_fresh_and_is_named(
    saved: tuple[UniteModel, str], caplog: pytest.LogCaptureFixture
) -> None:
    source, name = saved
    model = toy(seed=1)
    model.condition.table = torch.nn.Embedding(8, 16)
    fresh = model.condition.table.weight.clone()
    with caplog.at_level(logging.WARNING):
        start_from(model, name)
    assert f"not those of {name}, but anew: condition.table.weight" in caplog.text
    assert torch.equal(model.condition.table.weight, fresh)
    for part in ("encoder", "tokenizer", "decoder"):
        mine, theirs = (getattr(each, part).state_dict() for each in (model, source))
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_a_model_with_a_denoiser_of_its_own_starts_from_one_without(
    saved: tuple[UniteModel, str],
) -> None:
    model = toy(seed=1, denoiser="separate")
    fresh = {key: value.clone() for key, value in model.denoiser.state_dict().items()}
    start_from(model, saved[1])
    torch.testing.assert_close(model.denoiser.state_dict(), fresh, rtol=0, atol=0)
    torch.testing.assert_close(model.encoder.state_dict(), saved[0].encoder.state_dict())


def test_another_encoder_is_refused_by_name_and_nothing_is_copied(
    saved: tuple[UniteModel, str],
) -> None:
    model = toy(seed=1, latent_dim=8)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(ConfigurationError, match=r"--from .*\[16, 4\] there, \[16, 8\] here"):
        start_from(model, saved[1])
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_another_modality_is_refused(
    saved: tuple[UniteModel, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = toy(seed=1)
    monkeypatch.setattr(model.modality, "name", "other")
    with pytest.raises(ConfigurationError, match="of modality toy, the recipe's is other"):
        start_from(model, saved[1])


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(StorageError, match="no/such/model"):
        start_from(toy(seed=0), "no/such/model")
