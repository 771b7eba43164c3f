"""Statistics of latents whose nature is known."""

import pytest
import torch
from core.test_objective import toy_batch, toy_model
from torch import Tensor
from unite_core.latent_health import (
    LatentStatistics,
    explained,
    latent_findings,
    look_at_latents,
    statistics,
)

B, N, D, H = 64, 5, 8, 6


@pytest.fixture
def mask() -> Tensor:
    return torch.arange(N) < 2 + torch.arange(B)[:, None] % (N - 1)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[-1]))


def of(z: Tensor, mask: Tensor, x: Tensor | None = None) -> LatentStatistics:
    x = noise(B, N, H) if x is None else x
    return statistics(z * mask[..., None], mask, x * mask[..., None], mask)


def states(found: LatentStatistics) -> dict[str, str]:
    return {finding.about: finding.state for finding in latent_findings(found)}


def test_gaussian_latents_fill_every_dimension(mask: Tensor) -> None:
    found = of(3.0 * noise(B, N, D), mask)
    assert found.size == pytest.approx(3.0, rel=0.1)
    assert found.spread == pytest.approx(1.0, rel=0.05)
    assert found.deviations == pytest.approx(torch.ones(D), rel=0.25)
    assert found.effective == pytest.approx(D, rel=0.1)
    assert found.constant == 0
    assert set(states(found).values()) == {"ok"}


def test_padding_plays_no_part(mask: Tensor) -> None:
    z = noise(B, N, D)
    wide = torch.nn.functional.pad(mask, (0, 3))
    padded = torch.nn.functional.pad(z * mask[..., None], (0, 0, 0, 3))
    x = torch.zeros(B, N + 3, H)
    assert statistics(padded, wide, x, wide).spread == pytest.approx(of(z, mask).spread)


def test_latents_of_the_place_alone_are_collapsed(mask: Tensor) -> None:
    found = of(noise(N, D) + 0.01 * noise(B, N, D), mask)
    assert found.spread == pytest.approx(0.01, rel=0.3)
    assert found.deviations.min() > 0.1
    (finding,) = latent_findings(found)
    assert (finding.about, finding.state) == ("latents", "ill")
    assert "lower objective.flow_weight" in finding.advice


def test_latents_that_are_all_zero_are_collapsed(mask: Tensor) -> None:
    assert states(of(torch.zeros(B, N, D), mask)) == {"latents": "ill"}


def test_nearly_constant_dimensions_are_counted(mask: Tensor) -> None:
    scale = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, 0.001, 0.001, 0.001])
    found = of(noise(B, N, D) * scale + 0.1, mask)
    assert found.constant == 3
    assert found.effective == pytest.approx(5, rel=0.1)
    assert states(found)["latent dimensions"] == "watch"


def test_a_linear_copy_of_the_token_is_named(mask: Tensor) -> None:
    x = noise(B, N, H)
    copy = x @ noise(H, D) + 2.0
    assert of(copy, mask, x).copied == pytest.approx(1.0, abs=1e-6)
    assert states(of(copy, mask, x))["nearly-identity latents"] == "ill"
    mixed = of(copy + noise(B, N, D), mask, x)
    assert 0.5 < (mixed.copied or 0.0) < 0.95
    assert states(mixed)["nearly-identity latents"] == "ok"


def test_a_map_is_judged_by_samples_that_it_was_not_fitted_to() -> None:
    x, z = noise(6, 20), noise(6, 3)
    assert explained(x, z, x, z) == pytest.approx(1.0)
    assert explained(x, z, noise(30, 20), noise(30, 3)) < 0.5


def test_tokens_that_are_not_one_to_one_are_not_compared(mask: Tensor) -> None:
    x = noise(B, N + 1, H)
    found = statistics(noise(B, N, D), mask, x, torch.ones(B, N + 1, dtype=torch.bool))
    assert found.copied is None
    assert "nearly-identity latents" not in states(found)


def test_a_models_latents_and_tokens_are_looked_at_as_they_are() -> None:
    model = toy_model().eval()
    batch = toy_batch(model, 16)
    latents, tokens = model.tokenize(batch), model.tokenizer(batch)
    expected = statistics(latents.z, latents.mask, tokens.x.detach(), tokens.mask)
    found = look_at_latents(model, batch)
    assert (found.spread, found.copied) == (expected.spread, expected.copied)
    assert not model.tokenizer._forward_hooks
