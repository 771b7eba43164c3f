"""Transformer parts shared by the encoder and the decoders."""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from unite_core.errors import ConfigurationError
from unite_core.parameters import tag_adamw


class Linear(nn.Linear):
    """nn.Linear whose bias, where it is compiled, is added by the operation that follows.

    Left to itself torch's product copies it into the output first on CPUs, a quarter of its time.
    """

    def forward(self, x: Float[Tensor, "*b i"]) -> Float[Tensor, "*b o"]:
        if self.bias is not None and torch.compiler.is_compiling():
            return F.linear(x, self.weight) + self.bias
        return F.linear(x, self.weight, self.bias)


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """A Linear with Xavier-uniform weights and zero bias."""
    layer = Linear(inputs, outputs, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """A Linear that starts as the zero map."""
    layer = Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def sincos_code(count: int, width: int) -> Float[Tensor, "n h"]:
    """1-D code of positions 0..count-1: sine half, then cosine half, rates 10000^(-2i/h)."""
    rates = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = torch.arange(count, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).float()


Rotation = tuple[Tensor, Tensor]


def rotary(positions: Float[Tensor, " s"], head_dim: int, theta: float = 10000.0) -> Rotation:
    """Cosines and sines [s, head_dim / 2] of the rotary embedding (arXiv 2104.09864)."""
    rates = theta ** (
        -torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    )
    angles = positions.float()[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x: Float[Tensor, "b s a e"], rotation: Rotation) -> Float[Tensor, "b s a e"]:
    """Turns each interleaved pair of the last axis by its position's angle."""
    cos, sin = (part[:, None, :] for part in rotation)
    if torch.compiler.is_compiling():  # which has no code for complex numbers
        cos, sin = cos.to(x.dtype), sin.to(x.dtype)
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    turned = torch.view_as_complex(wide.view(*x.shape[:-1], -1, 2)) * torch.complex(cos, sin)
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def rotate_halves(x: Float[Tensor, "b s a e"], rotation: Rotation) -> Float[Tensor, "b s a e"]:
    """As `rotate` where the first of all pairs come ahead of the second ones."""
    cos, sin = (part[:, None, :].to(x.dtype) for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def firsts_ahead(rows: Float[Tensor, "r *h"], groups: int = 1) -> Float[Tensor, "r *h"]:
    """In each of the `groups` of rows the first of all pairs ahead of the second ones."""
    pairs = rows.reshape(groups, -1, 2, *rows.shape[1:])
    return pairs.transpose(1, 2).flatten(0, 2)


class RMSNorm(nn.Module):
    """x / rms(x) * weight over the last axis."""

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = tag_adamw(nn.Parameter(torch.ones(width)))
        self.eps = eps

    def forward(self, x: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h"]:
        """Computed in float32 at least, returned in x's type."""
        return self.wide(x).to(x.dtype)

    def wide(self, x: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h"]:
        """Computed and returned in float32 at least."""
        return self.scaled(x, self.weight)

    def scaled(self, x: Float[Tensor, "*b h"], weight: Float[Tensor, " h"]) -> Tensor:
        """As `wide`, with `weight` in place of its own.

        On CPUs F.rms_norm is not one kernel but five, and slower than these.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        weight = weight.to(x.dtype)
        if x.is_cuda:
            return F.rms_norm(x, weight.shape, weight, self.eps)
        size: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x * (size.square() / x.shape[-1] + self.eps).rsqrt() * weight


def row_softmax(scores: Tensor) -> Tensor:
    """Softmax over the last axis. On CPUs torch's is slow for rows shorter than a vector register:
    those of molecules take four times as long as here.
    """
    if scores.is_cuda or scores.shape[-1] >= 32:
        return scores.softmax(dim=-1)
    wide = scores.to(torch.promote_types(scores.dtype, torch.float32))
    weights = (wide - wide.amax(dim=-1, keepdim=True)).exp()
    return (weights / weights.sum(dim=-1, keepdim=True)).to(scores.dtype)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """Scaled dot-product attention over [b, heads, s, e]; `bias` [b, 1, 1, s] is 0 or -inf.

    On CPUs two batched matrix products beat the fused kernel at the sequence lengths of molecules,
    and its backward is slow at any: there it is for long sequences without gradients.
    """
    if q.is_cuda or (q.shape[-2] >= 64 and not torch.is_grad_enabled()):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scores = (q * (1.0 / math.sqrt(q.shape[-1]))) @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias
    return row_softmax(scores) @ v


UNSEEN: ContextVar[bool] = ContextVar("unseen", default=False)


@contextmanager
def unseen_masks() -> Iterator[None]:
    """A context in which nobody waits for a device to look at the values of masks."""
    token = UNSEEN.set(True)
    try:
        yield
    finally:
        UNSEEN.reset(token)


def attention_bias(mask: Bool[Tensor, "b s"], dtype: torch.dtype) -> Tensor | None:
    """Additive form [b, 1, 1, s] of a key mask; None where it is seen that nothing is masked.

    The look at the values would break a compiled graph, which takes the general form.
    """
    if not (torch.compiler.is_compiling() or UNSEEN.get()) and bool(mask.all()):
        return None
    bias = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return bias.masked_fill(~mask, float("-inf"))[:, None, None, :]


class Attention(nn.Module):
    """Multi-head self-attention: one qkv Linear with bias, RMSNorm on q and k, rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = linear(width, 3 * width)
        self.q_norm = RMSNorm(width // heads)
        self.k_norm = RMSNorm(width // heads)
        self.out = linear(width, width)

    def forward(
        self, x: Float[Tensor, "b s h"], rotation: Rotation, bias: Tensor | None
    ) -> Float[Tensor, "b s h"]:
        sampling = torch.compiler.is_compiling() and not torch.is_grad_enabled()
        turned = self.turned_halves if sampling else self.turned
        q, k, v = (part.transpose(1, 2) for part in turned(x, rotation))
        y = attend(q, k, v, None if bias is None else bias.to(q.dtype))
        mixed: Tensor = self.out(y.transpose(1, 2).flatten(2))
        return mixed

    def turned(self, x: Float[Tensor, "b s h"], rotation: Rotation) -> tuple[Tensor, ...]:
        """q, k and v [b, s, a, e]; q and k are normed and turned."""
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, self.heads, -1).unbind(2)
        q = rotate(self.q_norm.wide(q), rotation).to(v.dtype)
        k = rotate(self.k_norm.wide(k), rotation).to(v.dtype)
        return q, k, v

    def turned_halves(self, x: Float[Tensor, "b s h"], rotation: Rotation) -> tuple[Tensor, ...]:
        """As `turned`, but q and k have the first of all pairs ahead of the second ones.

        Their product stays the same. torch.compile has no fast code for interleaved numbers, but
        the gradients of this order take longer than it saves.
        """
        paired = 2 * x.shape[-1]

        def ordered(rows: Tensor) -> Tensor:
            return torch.cat([firsts_ahead(rows[:paired], 2 * self.heads), rows[paired:]])

        y = F.linear(x, ordered(self.qkv.weight)) + ordered(self.qkv.bias)
        q, k, v = y.view(*x.shape[:2], 3, self.heads, -1).unbind(2)
        q = self.q_norm.scaled(q, firsts_ahead(self.q_norm.weight))
        k = self.k_norm.scaled(k, firsts_ahead(self.k_norm.weight))
        return *(rotate_halves(part, rotation).to(v.dtype) for part in (q, k)), v


class SwiGLU(nn.Module):
    """Gated MLP of inner width int(2/3 * 4h): silu(first half) * second half."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = int(2 / 3 * 4 * width)
        self.up = linear(width, 2 * inner)
        self.down = linear(inner, width)

    def forward(self, x: Float[Tensor, "*b h"]) -> Float[Tensor, "*b h"]:
        gate, value = self.up(x).chunk(2, dim=-1)
        gated: Tensor = self.down(F.silu(gate) * value)
        return gated


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """adaLN's affine map: shift and scale [b, h] applied to every token of x [b, s, h]."""
    return torch.addcmul(x + shift[:, None], x, scale[:, None])


class TransformerBlock(nn.Module):
    """What `compile_blocks` compiles: a module repeated with the same shapes."""


class AdaLNBlock(TransformerBlock):
    """Transformer block conditioned by adaLN, with a post-block norm (arXiv 2603.22283)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = RMSNorm(width), RMSNorm(width), RMSNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = SwiGLU(width)
        self.modulation = zero_linear(width, 6 * width)

    def forward(
        self,
        x: Float[Tensor, "b s h"],
        c: Float[Tensor, "b h"],
        rotation: Rotation,
        bias: Tensor | None,
    ) -> Float[Tensor, "b s h"]:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.modulation(F.silu(c)).chunk(6, dim=-1)
        y = self.attention(modulate(self.norm1(x), shift1, scale1), rotation, bias)
        x = torch.addcmul(x, gate1[:, None], y.to(x.dtype))
        y = self.mlp(modulate(self.norm2(x), shift2, scale2))
        normed: Tensor = self.norm3(torch.addcmul(x, gate2[:, None], y.to(x.dtype)))
        return normed


class Block(TransformerBlock):
    """Plain pre-norm transformer block, for decoders."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = SwiGLU(width)

    def forward(
        self, x: Float[Tensor, "b s h"], rotation: Rotation, bias: Tensor | None
    ) -> Float[Tensor, "b s h"]:
        x = x + self.attention(self.norm1(x), rotation, bias)
        x = x + self.mlp(self.norm2(x))
        return x


class TimeEmbedding(nn.Module):
    """Noise level t -> width: fixed random Fourier features, then a two-layer MLP."""

    def __init__(self, width: int, features: int = 256) -> None:
        super().__init__()
        self.rates = nn.Parameter(torch.randn(features), requires_grad=False)
        first, second = nn.Linear(2 * features, width), nn.Linear(width, width)
        for layer in (first, second):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.mlp = nn.Sequential(first, nn.SiLU(), second)

    def forward(self, t: Float[Tensor, " b"]) -> Float[Tensor, "b h"]:
        angles = 2 * math.pi * t[:, None].to(self.rates.dtype) * self.rates
        embedded: Tensor = self.mlp(torch.cat([angles.sin(), angles.cos()], dim=-1))
        return embedded


def compile_blocks(model: nn.Module, dynamic: bool = False) -> None:
    """torch.compile for every transformer block of `model`, in place.

    Blocks share one compiled graph for each shape, so that the first step waits for seconds, not
    minutes. Every shape is a graph of its own, or `dynamic` ones serve all: for training these run
    at half the speed. ConfigurationError without a C++ compiler.
    """
    # a second of imports that others can do without
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ConfigurationError(
            "torch.compile needs a C++ compiler and found none: install g++, or do without "
            "(training.compile=false in a recipe, no --compile)"
        ) from error
    torch._dynamo.config.recompile_limit = 256
    for module in model.modules():
        if isinstance(module, TransformerBlock):
            module.compile(dynamic=dynamic)


def as_written() -> AbstractContextManager[None]:
    """A context in which compiled blocks run uncompiled. It holds for all threads."""
    return cast(AbstractContextManager[None], torch.compiler.set_stance("force_eager"))
