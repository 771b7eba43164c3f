"""The Generative Encoder: one transformer that tokenizes and denoises (arXiv 2603.22283)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unite_core.config import EncoderConfig
from unite_core.layers import (
    AdaLNBlock,
    RMSNorm,
    TimeEmbedding,
    attention_bias,
    linear,
    modulate,
    rotary,
    sincos_code,
    zero_linear,
)
from unite_core.parameters import tag_adamw
from unite_core.types import Sequence, Tokens


class InContext(nn.Module):
    """Condition tokens [b, length, h]: the condition's embedding plus a learned code."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.code = tag_adamw(nn.Parameter(torch.randn(length, width) * 0.02))

    def forward(self, condition: Float[Tensor, "b h"]) -> Float[Tensor, "b l h"]:
        tokens: Tensor = condition[:, None] + self.code
        return tokens


class Output(nn.Module):
    """Width -> latents: RMSNorm, adaLN, Linear, then the LayerNorm that fixes their scale."""

    def __init__(self, width: int, latent_dim: int, latent_norm: bool) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.modulation = zero_linear(width, 2 * width)
        self.linear = tag_adamw(zero_linear(width, latent_dim))
        self.latent_norm = tag_adamw(nn.LayerNorm(latent_dim)) if latent_norm else None

    def forward(self, x: Float[Tensor, "b n h"], c: Float[Tensor, "b h"]) -> Float[Tensor, "b n d"]:
        shift, scale = self.modulation(F.silu(c)).chunk(2, dim=-1)
        z: Tensor = self.linear(modulate(self.norm(x), shift, scale)).to(self.linear.weight.dtype)
        if self.latent_norm is None:
            return z
        return F.layer_norm(z, z.shape[-1:], self.latent_norm.weight, self.latent_norm.bias)


class GenerativeEncoder(nn.Module):
    """Latents, noise level and condition in; clean latents out. With tokens it tokenizes.

    `registers` is the length K of the register table: the most latents a sample may have.
    """

    def __init__(self, config: EncoderConfig, registers: int) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.latent_in = linear(config.latent_dim, width)
        self.register_code = tag_adamw(nn.Parameter(sincos_code(registers, width)))
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(AdaLNBlock(width, config.heads) for _ in range(config.depth))
        self.in_context = (
            InContext(config.in_context.length, width) if config.in_context is not None else None
        )
        self.output = Output(width, config.latent_dim, config.latent_norm)
        self.activation_checkpointing = False

    def forward(
        self,
        z: Float[Tensor, "b n d"],
        t: Float[Tensor, " b"],
        condition: Float[Tensor, "b h"],
        mask: Bool[Tensor, "b n"],
        tokens: Tokens | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Clean latents; the rows where `mask` is false are zero."""
        n = z.shape[1]
        registers = self.latent_in(z) + self.register_code[:n]
        positions = torch.arange(n, device=z.device, dtype=torch.float32)
        sequence = Sequence(registers, mask, positions)
        if tokens is not None:
            sequence = tokens.join(sequence, free=self.register_code.shape[0])
        c = self.time(t) + condition
        x = self.run_blocks(sequence, c, condition)
        z_hat: Tensor = self.output(x[:, -sequence.x.shape[1] :][:, :n], c) * mask[..., None]
        return z_hat

    def run_blocks(self, sequence: Sequence, c: Tensor, condition: Tensor) -> Tensor:
        """The blocks, with the in-context tokens put in front on the way."""
        x, mask, positions = sequence.x, sequence.mask, sequence.positions
        head_dim = self.config.width // self.config.heads
        start = None if self.config.in_context is None else self.config.in_context.start
        rotation, bias = rotary(positions, head_dim), attention_bias(mask, x.dtype)
        for index, block in enumerate(self.blocks):
            if self.in_context is not None and index == start:
                extra = self.in_context(condition).to(x.dtype)
                x = torch.cat([extra, x], dim=1)
                mask = F.pad(mask, (extra.shape[1], 0), value=True)
                # position zero: in-context tokens neither turn nor shift the others
                positions = F.pad(positions, (extra.shape[1], 0))
                rotation, bias = rotary(positions, head_dim), attention_bias(mask, x.dtype)
            if self.activation_checkpointing and torch.is_grad_enabled():
                x = checkpoint(block, x, c, rotation, bias, use_reentrant=False)
            else:
                x = block(x, c, rotation, bias)
        return x
