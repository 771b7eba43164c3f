"""Latents -> elements, coordinates, charges, hydrogens and bonds."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from unite_core.layers import (
    Block,
    RMSNorm,
    attention_bias,
    linear,
    rotary,
    sincos_code,
)
from unite_core.modality import Decoder
from unite_core.parameters import tag_adamw

from unite_molecule.config import MoleculeDecoderConfig
from unite_molecule.layout import MAX_HYDROGENS

BOND_ORDERS = 4
"""Classes of the bond head: none, single, double, triple."""


@dataclass(frozen=True)
class MoleculePrediction:
    """What the decoder says of each token; coordinates in angstrom, in the tokenizer's frame."""

    elements: Float[Tensor, "b n e"]  # logits
    charges: Float[Tensor, "b n c"]  # logits
    hydrogens: Float[Tensor, "b n 5"]  # logits of 0 to 4
    coordinates: Float[Tensor, "b n 3"]
    offsets: Float[Tensor, "b n 4 3"]
    bonds: Float[Tensor, "b n n 4"]  # logits, symmetric


class BondHead(nn.Module):
    """Symmetric logits for each pair: a bilinear form of the tokens plus a function of distance."""

    centres: Tensor

    def __init__(self, width: int, rank: int = 16, centres: int = 24, reach: float = 4.0) -> None:
        super().__init__()
        self.left = linear(width, BOND_ORDERS * rank)
        self.right = linear(width, BOND_ORDERS * rank)
        self.register_buffer("centres", torch.linspace(0.8, reach, centres), persistent=False)
        self.distance = tag_adamw(linear(centres, BOND_ORDERS))

    def forward(
        self, x: Float[Tensor, "b n h"], coordinates: Float[Tensor, "b n 3"]
    ) -> Float[Tensor, "b n n 4"]:
        left = self.left(x).unflatten(-1, (BOND_ORDERS, -1)).transpose(1, 2)
        right = self.right(x).unflatten(-1, (BOND_ORDERS, -1)).transpose(1, 2)
        scores = (left @ right.transpose(-1, -2)) * left.shape[-1] ** -0.5
        logits: Tensor = (scores + scores.transpose(-1, -2)).permute(0, 2, 3, 1)
        spacing = self.centres[1] - self.centres[0]
        gaps = (pair_distances(coordinates)[..., None] - self.centres) / spacing
        logits += self.distance((-0.5 * gaps.square()).exp())
        return logits


def pair_distances(x: Float[Tensor, "b n 3"]) -> Float[Tensor, "b n n"]:
    """Distances between the atoms of each molecule, with a finite gradient at zero."""
    gaps = x[:, :, None] - x[:, None]
    return (gaps.square().sum(-1) + 1e-8).sqrt()


class MoleculeDecoder(Decoder):
    """A plain transformer over latents, then one linear head for each quantity."""

    def __init__(
        self,
        config: MoleculeDecoderConfig,
        latent_dim: int,
        registers: int,
        elements: int,
        charges: int,
    ) -> None:
        super().__init__()
        width = config.width
        self.head_dim = width // config.heads
        self.latent_in = linear(latent_dim, width)
        self.index_code = tag_adamw(nn.Parameter(sincos_code(registers, width)))
        self.blocks = nn.ModuleList(Block(width, config.heads) for _ in range(config.depth))
        self.norm = RMSNorm(width)
        self.splits = (elements, charges, MAX_HYDROGENS + 1, 3, 3 * MAX_HYDROGENS)
        self.heads = tag_adamw(linear(width, sum(self.splits)))
        self.bonds = BondHead(width)

    def forward(self, z: Float[Tensor, "b n d"], mask: Bool[Tensor, "b n"]) -> MoleculePrediction:
        n = z.shape[1]
        x = self.latent_in(z) + self.index_code[:n]
        rotation = rotary(torch.arange(n, device=z.device, dtype=torch.float32), self.head_dim)
        bias = attention_bias(mask, x.dtype)
        for block in self.blocks:
            x = block(x, rotation, bias)
        x = self.norm(x)
        # float32: angstrom-scale coordinates need more than bfloat16's three digits
        with torch.autocast(z.device.type, enabled=False):
            x = x.to(self.heads.weight.dtype)
            elements, charges, hydrogens, coordinates, offsets = self.heads(x).split(
                self.splits, dim=-1
            )
            return MoleculePrediction(
                elements=elements,
                charges=charges,
                hydrogens=hydrogens,
                coordinates=coordinates,
                offsets=offsets.unflatten(-1, (MAX_HYDROGENS, 3)),
                bonds=self.bonds(x, coordinates),
            )
