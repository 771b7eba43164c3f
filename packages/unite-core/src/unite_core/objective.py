"""The joint loss: reconstruction through the decoder, flow through the same encoder."""

from typing import Any

import torch
from torch import Tensor, nn

from unite_core import flow
from unite_core.config import DecoderNoiseConfig, ObjectiveConfig
from unite_core.encoder import GenerativeEncoder
from unite_core.model import UniteModel
from unite_core.types import Latents, Layout, Losses


def corrupt(z: Tensor, config: DecoderNoiseConfig) -> Tensor:
    """Noise a share of the samples of z [b, n, d] to t ~ U[t_min, 1]; leave the others clean."""
    b = z.shape[0]
    t = config.t_min + (1 - config.t_min) * torch.rand(b, device=z.device)
    t = torch.where(torch.rand(b, device=z.device) < config.share, t, 1.0)
    return flow.interpolate(z, torch.randn_like(z), t)


class JointObjective(nn.Module):
    """Both passes in one forward, so that DDP sees every use of the weights (eqs. 3-6)."""

    def __init__(self, model: UniteModel, config: ObjectiveConfig) -> None:
        super().__init__()
        self.model = model
        self.config = config
        for part in model.modules():
            if isinstance(part, GenerativeEncoder):
                part.activation_checkpointing = config.activation_checkpointing

    def forward(self, batch: Any) -> Losses:
        """Losses of a batch; the noise comes from torch's global generators."""
        model = self.model
        layout = model.modality.layout(batch)
        latents, context = model.encode(batch, layout, self.config.register_t_max)
        noise = self.config.decoder_noise
        z = latents.z if noise is None else corrupt(latents.z, noise)
        prediction = model.decoder(z, latents.mask)
        reconstruction, terms = model.modality.reconstruction_loss(prediction, batch, context)
        flow_loss = self.flow_loss(self.flow_target(latents), layout)
        total = reconstruction + self.config.flow_weight * flow_loss
        terms = {"reconstruction": reconstruction.detach(), "flow": flow_loss.detach(), **terms}
        return Losses(total=total, terms=terms)

    def flow_target(self, latents: Latents) -> Latents:
        """Stop-gradient: the flow loss reaches the weights by the denoising pass alone."""
        z = latents.z.detach() if self.config.stop_gradient else latents.z
        return Latents(z, latents.mask)

    def flow_loss(self, target: Latents, layout: Layout) -> Tensor:
        """Sum over the draws of the mean of |z_hat - z|^2 / max(1 - t, 0.05)^2 over latents."""
        draws = self.config.draws
        chunk = draws if self.config.chunk is None else self.config.chunk
        parts = [
            self.flow_chunk(target, layout, min(chunk, draws - start))
            for start in range(0, draws, chunk)
        ]
        return torch.stack(parts).sum()

    def flow_chunk(self, target: Latents, layout: Layout, draws: int) -> Tensor:
        """The flow loss of `draws` draws for each sample, in one pass."""
        model, b = self.model, target.z.shape[0]
        dropped = torch.rand(b, device=target.z.device) < self.config.condition_dropout
        condition = model.condition(layout.condition, dropped).repeat(draws, 1)
        z, mask = target.z.repeat(draws, 1, 1), target.mask.repeat(draws, 1)
        t = flow.draw_times(draws * b, self.config.time_shift, z.device)
        z_t = flow.interpolate(z, torch.randn_like(z), t)
        error = (model.denoise(z_t, t, condition, mask) - z).square().mean(dim=-1)
        weighted = error * mask * flow.loss_weight(t)[:, None]
        return draws * weighted.sum() / mask.sum()
