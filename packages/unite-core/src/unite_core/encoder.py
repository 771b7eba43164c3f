"""The Generative Encoder: one transformer that tokenizes and denoises (arXiv 2603.22283)."""

from collections.abc import Callable, Iterable
from math import isqrt
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from unite_core.config import EncoderConfig, InContextConfig
from unite_core.layers import (
    AdaLNBlock,
    RMSNorm,
    Rotation,
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

Place = tuple[Rotation, Tensor | None]
"""Of a sequence's tokens: how far each is turned, and the attention bias of their mask."""


class InContext(nn.Module):
    """Condition tokens [b, length, h]: the condition's embedding plus a learned code."""

    def __init__(self, config: InContextConfig, width: int) -> None:
        super().__init__()
        self.start, self.length = config.start, config.length
        self.code = tag_adamw(nn.Parameter(torch.randn(config.length, width) * 0.02))

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
            InContext(config.in_context, width) if config.in_context is not None else None
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
        x = x[:, -sequence.x.shape[1] :][:, :n]
        return self.run(self.output, x, c) * mask[..., None]

    def run(self, part: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """`part` of the inputs; its activations are kept, or computed again for the gradient."""
        if self.activation_checkpointing and torch.is_grad_enabled():
            # nothing random happens inside: the generator's state need not be kept
            outputs: Tensor = checkpoint(
                part, *inputs, use_reentrant=False, preserve_rng_state=False
            )
            return outputs
        return part(*inputs)

    def run_blocks(self, sequence: Sequence, c: Tensor, condition: Tensor) -> Tensor:
        """The blocks, with the in-context tokens put in front on the way."""
        x, places, depth = sequence.x, self.places(sequence), len(self.blocks)
        # the root of the depth: every span keeps its input, one at a time also its blocks'
        # activations, and this makes the sum of both small (arXiv 1604.06174)
        length = isqrt(depth)
        for first in range(0, depth, length):
            span = range(first, min(first + length, depth))
            x = self.run(self.run_span, span, x, c, condition, places)
        return x

    def run_span(
        self, span: Iterable[int], x: Tensor, c: Tensor, condition: Tensor, places: list[Place]
    ) -> Tensor:
        """The blocks of these indices."""
        for index in span:
            if self.in_context is not None and index == self.in_context.start:
                x = torch.cat([self.in_context(condition).to(x.dtype), x], dim=1)
            x = self.blocks[index](x, c, *places[index])
        return x

    def places(self, sequence: Sequence) -> list[Place]:
        """Rotation and attention bias of the tokens of each block."""
        head_dim = self.config.width // self.config.heads

        def place(ahead: int) -> Place:
            # position zero: in-context tokens neither turn nor shift the others
            rotation = rotary(F.pad(sequence.positions, (ahead, 0)), head_dim)
            mask = F.pad(sequence.mask, (ahead, 0), value=True)
            return rotation, attention_bias(mask, sequence.x.dtype)

        if self.in_context is None:
            return [place(0)] * len(self.blocks)
        start, depth = self.in_context.start, len(self.blocks)
        return [place(0)] * start + [place(self.in_context.length)] * (depth - start)
