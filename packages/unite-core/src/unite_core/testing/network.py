"""Checks of a modality's parts inside the model: shapes, masks, losses, gradients."""

import numpy as np
import torch
from torch import Tensor

from unite_core.config import RunConfig
from unite_core.model import UniteModel
from unite_core.objective import JointObjective
from unite_core.testing.setting import Setting, of_all_sizes, reached
from unite_core.types import Batch, Latents, PairedTokens, Tokens

BF16_ROUNDING = 0.1
"""Relative difference of the reconstruction loss in bfloat16."""


class NetworkChecks(Setting):
    """What tokenizer, decoder, condition and loss do with one batch."""

    def test_tokens_have_the_stated_shapes(self, model: UniteModel, batch: Batch) -> None:
        tokens, mask = model.tokenizer(batch), model.modality.layout(batch).mask
        assert isinstance(tokens, Tokens), (
            f"the tokenizer gives {type(tokens).__name__}: return PairedTokens or AppendedTokens"
        )
        b, width = len(batch), model.encoder.config.width
        assert (tokens.x.ndim, tokens.x.shape[0], tokens.x.shape[-1]) == (3, b, width), (
            f"Tokens.x is {list(tokens.x.shape)}, not [{b}, m, {width}]"
        )
        assert tokens.mask.shape == tokens.x.shape[:2] and tokens.mask.dtype == torch.bool, (
            f"Tokens.mask is {list(tokens.mask.shape)} of {tokens.mask.dtype}, "
            f"not {list(tokens.x.shape[:2])} of torch.bool"
        )
        if isinstance(tokens, PairedTokens):
            assert torch.equal(tokens.mask, mask), (
                "paired tokens are other ones than the latents of `layout`: token i belongs to "
                "latent i"
            )

    def test_latents_and_reconstructions_have_the_stated_shapes(
        self, model: UniteModel, batch: Batch
    ) -> None:
        latents, mask = model.tokenize(batch), model.modality.layout(batch).mask
        expected = (*mask.shape, model.encoder.config.latent_dim)
        assert latents.z.shape == expected, f"latents are {list(latents.z.shape)}, not {expected}"
        assert not latents.z[~mask].any(), "latents of padding are not zero"
        made = model.reconstruct(batch)
        assert len(made) == len(batch), (
            f"`finish` makes {len(made)} samples of a batch of {len(batch)}"
        )

    def test_batch_mates_and_padding_change_nothing(self, model: UniteModel) -> None:
        modality, data = model.modality, model.modality.dataset("train")
        indices = of_all_sizes(data)
        batch = data.batch(indices, None)
        together, made = model.tokenize(batch), model.reconstruct(batch)
        for row, index in enumerate(indices):
            own = data.batch(np.array([index]), None)
            alone, size = model.tokenize(own).z[0], int(data.sizes[index])
            gap = float((together.z[row, :size] - alone[:size]).abs().max())
            assert gap <= self.rounding, (
                f"latents of sample {index} change by {gap:.2g} among others: look at the mask in "
                "the tokenizer, and for statistics over the batch"
            )
            (error,) = modality.errors([made[row]], model.reconstruct(own))
            assert error <= self.same, (
                f"the reconstruction of sample {index} changes by {error:.2g} among others: look "
                "at the mask in the decoder and in `finish`"
            )

    @torch.no_grad()
    def test_padding_has_no_part_in_the_loss(self, model: UniteModel, batch: Batch) -> None:
        latents, layout, context = model.encode_same(batch, 0)
        torch.manual_seed(0)
        rubbish = torch.where(layout.mask[..., None], latents.z, torch.randn_like(latents.z))
        predictions = [model.decoder(z, layout.mask) for z in (latents.z, rubbish)]
        first, other = (
            float(model.modality.reconstruction_loss(prediction, batch, context)[0])
            for prediction in predictions
        )
        assert abs(other - first) <= self.rounding * abs(first), (
            f"the reconstruction loss goes from {first:.4g} to {other:.4g} where latents of "
            "padding change: look at the mask in `reconstruction_loss` and in the decoder"
        )

    def test_no_condition_is_what_dropped_rows_get(self, model: UniteModel, batch: Batch) -> None:
        b, width = len(batch), model.encoder.config.width
        condition, null = model.modality.layout(batch).condition, model.condition.null(b)
        assert null.shape == (b, width), f"`null({b})` is {list(null.shape)}, not [{b}, {width}]"
        dropped = torch.arange(b) % 2 == 0
        embedded = model.condition(condition, dropped)
        assert embedded.shape == (b, width), (
            f"the embedded condition is {list(embedded.shape)}, not [{b}, {width}]"
        )
        assert torch.equal(embedded[dropped], null[dropped]), (
            "rows with `dropped` differ from `null`: guidance would start from the wrong place"
        )

    def test_both_losses_reach_the_shared_weights(
        self, model: UniteModel, tiny: RunConfig, batch: Batch
    ) -> None:
        reconstruction, flow, _ = losses(model, tiny, batch)
        by_reconstruction = reached(reconstruction, model.encoder)
        by_flow = reached(flow, model.encoder)
        assert by_reconstruction, (
            "the reconstruction loss moves no weight of the encoder: look for detach, argmax or "
            "numpy between latents and loss"
        )
        assert by_reconstruction == by_flow, (
            f"only one loss reaches {sorted(by_reconstruction ^ by_flow)} of the encoder"
        )

    def test_the_flow_loss_stops_at_the_latents(
        self, model: UniteModel, tiny: RunConfig, batch: Batch
    ) -> None:
        _, flow, latents = losses(model, tiny, batch)
        for part in ("tokenizer", "decoder"):
            moved = reached(flow, model.get_submodule(part))
            assert not moved, (
                f"the flow loss moves {sorted(moved)} of the {part}: does it share weights with "
                "the condition's embedding?"
            )
        (gradient,) = torch.autograd.grad(flow, latents.z, allow_unused=True)
        assert gradient is None, "the flow loss has a gradient in the clean latents"

    def test_every_weight_has_a_part_in_the_loss(
        self, model: UniteModel, tiny: RunConfig, batch: Batch
    ) -> None:
        reconstruction, flow, _ = losses(model, tiny, batch)
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(
            reconstruction + flow, list(named.values()), allow_unused=True
        )
        idle = [name for name, g in zip(named, gradients, strict=True) if g is None]
        assert not idle, (
            f"{', '.join(idle)} take no part in the loss: remove them, or give them "
            "requires_grad=False; training on several devices would hang"
        )

    def test_bfloat16_computes_the_same(
        self, model: UniteModel, tiny: RunConfig, batch: Batch
    ) -> None:
        wide, *_ = losses(model, tiny, batch)
        with torch.autocast("cpu", torch.bfloat16):
            narrow, flow, _ = losses(model, tiny, batch)
        gap = abs(float(narrow.detach()) / float(wide.detach()) - 1)
        assert gap <= BF16_ROUNDING, (
            f"the reconstruction loss is {float(wide.detach()):.4g} in float32 and "
            f"{float(narrow.detach()):.4g} in bfloat16: end the decoder with .float()"
        )
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        gradients = torch.autograd.grad(narrow + flow, list(named.values()), allow_unused=True)
        pairs = zip(named, gradients, strict=True)
        bad = [name for name, g in pairs if g is not None and not g.isfinite().all()]
        assert not bad, f"gradients are not finite in bfloat16: {', '.join(bad)}"


def losses(model: UniteModel, config: RunConfig, batch: Batch) -> tuple[Tensor, Tensor, Latents]:
    """Reconstruction and flow loss with their graphs, and the latents that both are of."""
    torch.manual_seed(0)
    objective, layout = JointObjective(model, config.objective), model.modality.layout(batch)
    latents, context = model.encode(batch, layout, config.objective.register_t_max)
    prediction = model.decoder(latents.z, latents.mask)
    reconstruction, _ = model.modality.reconstruction_loss(prediction, batch, context)
    assert reconstruction.ndim == 0, (
        f"`reconstruction_loss` is {list(reconstruction.shape)}, not a scalar: take its mean"
    )
    return reconstruction, objective.flow_loss(objective.flow_target(latents), layout), latents
