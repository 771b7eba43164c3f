"""Which weights each loss reaches, and what the losses are."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from unite_core import flow
from unite_core.config import DecoderNoiseConfig, ObjectiveConfig
from unite_core.model import UniteModel
from unite_core.objective import JointObjective, corrupt
from unite_core.types import Latents, Losses

ENCODER = {"width": 16, "depth": 2, "heads": 2, "latent_dim": 4}


def toy_model(data: Mapping[str, object] | None = None, **encoder: object) -> UniteModel:
    torch.manual_seed(0)
    model = UniteModel("toy", dict(data or {}), ENCODER | encoder, {"longest": 5})
    for parameter in model.parameters():
        if parameter.requires_grad:
            nn.init.normal_(parameter, std=0.2)
    return model


def toy_batch(model: UniteModel, rows: int = 8) -> object:
    return model.modality.dataset("train").batch(torch.arange(rows).numpy(), None)


def reached(loss: Tensor, module: nn.Module) -> set[str]:
    """Names of the parameters that get a gradient."""
    names, parameters = zip(
        *((n, p) for n, p in module.named_parameters() if p.requires_grad), strict=True
    )
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    return {
        name for name, g in zip(names, gradients, strict=True) if g is not None and bool(g.any())
    }


def parts(objective: JointObjective) -> tuple[Tensor, Tensor]:
    """Reconstruction and flow loss with their graphs."""
    kept: dict[str, Tensor] = {}
    flow_loss = objective.flow_loss
    objective.flow_loss = lambda *a: kept.setdefault("flow", flow_loss(*a))  # type: ignore[method-assign]
    losses: Losses = objective(toy_batch(objective.model))
    return losses.total - objective.config.flow_weight * kept["flow"], kept["flow"]


def test_both_losses_reach_the_same_encoder_weights() -> None:
    model = toy_model()
    reconstruction, flow_loss = parts(JointObjective(model, ObjectiveConfig()))
    shared = reached(reconstruction, model.encoder)
    assert shared == reached(flow_loss, model.encoder)
    assert "blocks.0.attention.qkv.weight" in shared


def test_flow_loss_reaches_neither_tokenizer_nor_decoder() -> None:
    model = toy_model()
    _, flow_loss = parts(JointObjective(model, ObjectiveConfig()))
    assert not reached(flow_loss, model.tokenizer)
    assert not reached(flow_loss, model.decoder)


def test_without_stop_gradient_the_flow_loss_moves_the_tokenizer() -> None:
    model = toy_model()
    _, flow_loss = parts(JointObjective(model, ObjectiveConfig(stop_gradient=False)))
    assert reached(flow_loss, model.tokenizer)


def test_separate_weights_keep_the_losses_apart() -> None:
    model = toy_model(denoiser="separate")
    assert model.denoiser is not None
    reconstruction, flow_loss = parts(JointObjective(model, ObjectiveConfig()))
    assert not reached(flow_loss, model.encoder)
    assert not reached(reconstruction, model.denoiser)
    assert reached(flow_loss, model.denoiser)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunks_sum_over_all_draws(chunk: int) -> None:
    model = toy_model()
    objective = JointObjective(model, ObjectiveConfig(draws=3, chunk=chunk))
    seen: list[int] = []
    one = objective.flow_chunk
    objective.flow_chunk = lambda a, b, n: (seen.append(n), one(a, b, n))[1]  # type: ignore[method-assign, func-returns-value]
    objective(toy_batch(model))
    assert sum(seen) == 3
    assert max(seen) == chunk


def test_flow_loss_of_a_known_denoiser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A denoiser that is off by e everywhere costs draws * e^2 * mean weight."""
    model = toy_model()
    batch = toy_batch(model)
    layout = model.modality.layout(batch)
    latents = Latents(torch.randn(*layout.mask.shape, 4) * layout.mask[..., None], layout.mask)
    monkeypatch.setattr(flow, "draw_times", lambda n, shift, device: torch.full((n,), 0.5))
    z = latents.z.repeat(2, 1, 1)
    monkeypatch.setattr(model, "denoise", lambda *_: z + 0.3)
    loss = JointObjective(model, ObjectiveConfig(draws=2)).flow_loss(latents, layout)
    assert loss.item() == pytest.approx(2 * 0.3**2 / 0.5**2, rel=1e-5)


def test_corruption_noises_the_stated_share() -> None:
    torch.manual_seed(0)
    z = torch.ones(4000, 2, 3)
    noisy = corrupt(z, DecoderNoiseConfig(share=0.25, t_min=0.7))
    clean = (noisy == z).all((1, 2)).float().mean().item()
    assert clean == pytest.approx(0.75, abs=0.03)
    assert torch.equal(corrupt(z, DecoderNoiseConfig(share=0.0, t_min=0.7)), z)


def test_one_batch_overfits() -> None:
    model = UniteModel("toy", {}, ENCODER, {"longest": 5})
    objective = JointObjective(model, ObjectiveConfig(decoder_noise=None, flow_weight=0.05))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    batch = toy_batch(model)
    for _ in range(500):
        losses = objective(batch)
        losses.total.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses.terms["points"].item() < 0.01
