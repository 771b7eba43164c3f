"""Latents -> pixels: the published vision transformer decoder (arXiv 2603.22283)."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from unite_core.layers import TransformerBlock, attend, linear
from unite_core.modality import Decoder
from unite_core.parameters import tag_adamw

from unite_image.config import ImageConfig
from unite_image.patches import grid_code, unpatchify


def layer_norm(width: int) -> nn.LayerNorm:
    """The decoder's LayerNorm, with the published epsilon."""
    return tag_adamw(nn.LayerNorm(width, eps=1e-12))


class DecoderBlock(TransformerBlock):
    """Pre-LayerNorm transformer block: attention with qkv bias, MLP with exact GELU."""

    def __init__(self, width: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = layer_norm(width), layer_norm(width)
        self.qkv, self.out = linear(width, 3 * width), linear(width, width)
        self.up, self.down = linear(width, mlp), linear(mlp, width)

    def forward(self, x: Float[Tensor, "b s h"]) -> Float[Tensor, "b s h"]:
        x = x + self.attention(self.norm1(x))
        x = x + self.down(F.gelu(self.up(self.norm2(x))))
        return x

    def attention(self, x: Float[Tensor, "b s h"]) -> Float[Tensor, "b s h"]:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed: Tensor = self.out(attend(q, k, v, None).transpose(1, 2).flatten(2))
        return mixed


class ImageDecoder(Decoder):
    """A transformer over the latents and one learned first token, then a Linear to each patch."""

    code: Tensor

    def __init__(self, config: ImageConfig, latent_dim: int) -> None:
        super().__init__()
        sizes, self.patch = config.decoder, config.patch
        self.latent_in = linear(latent_dim, sizes.inner)
        self.embed = linear(sizes.inner, sizes.width)
        self.first = tag_adamw(nn.Parameter(torch.randn(sizes.width) * 0.02))
        self.register_buffer("code", grid_code(config.side, sizes.width), persistent=False)
        self.blocks = nn.ModuleList(
            DecoderBlock(sizes.width, sizes.heads, sizes.mlp) for _ in range(sizes.depth)
        )
        self.norm = layer_norm(sizes.width)
        self.pixels = tag_adamw(linear(sizes.width, config.patch**2 * config.channels))

    def forward(
        self, z: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, "b c h w"]:
        """Pixels, in [0, 1] where the decoder is sure; `mask` is all true for images."""
        x = self.embed(self.latent_in(z)) + self.code
        first = self.first.to(x.dtype).expand(x.shape[0], 1, -1)
        x = torch.cat([first, x], dim=1)
        for block in self.blocks:
            x = block(x)
        return unpatchify(self.pixels(self.norm(x))[:, 1:], self.patch)
