"""Strokes -> tokens at the encoder's width, and latents -> strokes."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from unite_core.layers import Block, RMSNorm, attention_bias, linear, rotary
from unite_core.modality import Decoder, Tokenizer
from unite_core.parameters import tag_adamw
from unite_core.types import PairedTokens

from unite_strokes.config import StrokesConfig
from unite_strokes.data import POINTS, StrokeBatch


class StrokeTokenizer(Tokenizer):
    """Each stroke through one linear map; stroke i is paired with register i."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = tag_adamw(linear(2 * POINTS, width))

    def forward(self, batch: StrokeBatch) -> PairedTokens:
        return PairedTokens(self.embed(batch.points.flatten(2)), batch.mask, context=None)


class StrokeDecoder(Decoder):
    """A plain transformer over the latents of a character, then a Linear to each stroke.

    The Linear says how far a stroke goes from `mean` [32] along each of `shapes` [32, 32]: what
    real strokes never do comes out small, so that untrained ones are smooth already.
    """

    mean: Tensor
    shapes: Tensor

    def __init__(
        self, config: StrokesConfig, latent_dim: int, mean: Tensor, shapes: Tensor
    ) -> None:
        super().__init__()
        self.head_dim = config.width // config.heads
        self.latent_in = linear(latent_dim, config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(config.depth))
        self.norm = RMSNorm(config.width)
        self.amounts = tag_adamw(linear(config.width, len(shapes)))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("shapes", shapes, persistent=False)

    def forward(
        self, z: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b n 16 2"]:
        x = self.latent_in(z)
        positions = torch.arange(z.shape[1], device=z.device, dtype=torch.float32)
        rotation, bias = rotary(positions, self.head_dim), attention_bias(mask, x.dtype)
        for block in self.blocks:
            x = block(x, rotation, bias)
        points = self.mean + self.amounts(self.norm(x)).float() @ self.shapes
        return points.view(*mask.shape, POINTS, 2)
