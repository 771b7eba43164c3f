"""Images as patches on a grid: their tokens, their positions, and the way back to pixels."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from unite_core.layers import sincos_code
from unite_core.modality import Tokenizer
from unite_core.parameters import tag_adamw
from unite_core.types import AppendedTokens, PairedTokens, Tokens

from unite_image.config import ImageConfig
from unite_image.types import ImageBatch


class PatchTokenizer(Tokenizer):
    """Each patch through one linear map, a convolution whose stride is its size.

    Patches carry no position of their own: the encoder's rotary embedding has it. Subclasses say
    how patches meet the registers.
    """

    tokens: ClassVar[type[Tokens]]

    def __init__(self, config: ImageConfig, width: int) -> None:
        super().__init__()
        self.projection = tag_adamw(
            nn.Conv2d(config.channels, width, config.patch, stride=config.patch)
        )
        weight, bias = self.projection.parameters()
        nn.init.xavier_uniform_(weight.data.flatten(1))
        nn.init.zeros_(bias)

    def forward(self, batch: ImageBatch) -> Tokens:
        x = self.projection(batch.pixels).flatten(2).transpose(1, 2)
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        return self.tokens(x, mask, None)


class AppendedPatches(PatchTokenizer):
    """Patches follow the registers in the sequence (arXiv 2603.22283)."""

    tokens = AppendedTokens


class PairedPatches(PatchTokenizer):
    """Patch i is added to register i: half the sequence, and latents tied to places."""

    tokens = PairedTokens


def unpatchify(x: Float[Tensor, "b n e"], patch: int) -> Float[Tensor, "b c h w"]:
    """Square images from their patches in reading order, each laid out (row, column, channel)."""
    b, n, _ = x.shape
    side = int(n**0.5)
    grid = x.reshape(b, side, side, patch, patch, -1)
    return grid.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def grid_code(side: int, width: int) -> Float[Tensor, "n h"]:
    """2-D code of a square grid in reading order: the column's 1-D code, then the row's."""
    code = sincos_code(side, width // 2)
    columns, rows = code.repeat(side, 1), code.repeat_interleave(side, dim=0)
    return torch.cat([columns, rows], dim=1)
