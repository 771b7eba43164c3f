"""The equivariant stem: a small e3nn network over the tokens of a molecule."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from e3nn import o3
from jaxtyping import Bool, Float
from torch import Tensor, nn
from unite_core.layers import linear, sincos_code
from unite_core.parameters import tag_adamw

from unite_molecule.config import StemConfig
from unite_molecule.layout import MAX_HYDROGENS, MoleculeBatch

HARMONICS = o3.Irreps("0e + 1o + 2e")
FEATURES = o3.Irreps("0e + 0o + 1e + 1o + 2e")
"""Scalars, pseudoscalars, axial and polar vectors, and tensors."""

INDEX_WIDTH = 32
RADIAL_WIDTH = 16
RADIAL_REACH = 2.5  # angstrom


def widened(kinds: o3.Irreps, channels: int) -> o3.Irreps:
    """So many channels of each kind."""
    return o3.Irreps([(channels, kind) for _, kind in kinds])


def spread(
    weights: Float[Tensor, "*b k three_c"], harmonics: Float[Tensor, "*b k 9"]
) -> Float[Tensor, "*b nine_c"]:
    """Sum over k of weights times harmonics, as c x 0e + c x 1o + c x 2e."""
    parts = zip(weights.chunk(3, dim=-1), HARMONICS.slices(), strict=True)
    return torch.cat([(w.mT @ harmonics[..., at]).flatten(-2) for w, at in parts], dim=-1)


def harmonics_of(offsets: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 9"]:
    """Spherical harmonics of the directions up to l = 2."""
    found: Tensor = o3.spherical_harmonics(HARMONICS, offsets, True, normalization="component")
    return found


def radial_basis(distances: Float[Tensor, "*b"]) -> Float[Tensor, "*b r"]:
    """Gaussians of exp(-d / reach), which takes every distance in angstrom into 0 to 1."""
    near = (-distances / RADIAL_REACH).exp()[..., None]
    centres = torch.linspace(0, 1, RADIAL_WIDTH, dtype=near.dtype, device=near.device)
    gaps = (near - centres) * (RADIAL_WIDTH - 1)
    return (-0.5 * gaps.square()).exp()


def radial(outputs: int) -> nn.Sequential:
    """Learned functions of a distance, from its radial basis."""
    return nn.Sequential(
        linear(RADIAL_WIDTH, RADIAL_WIDTH), nn.SiLU(), linear(RADIAL_WIDTH, outputs)
    )


@dataclass(frozen=True)
class Surroundings:
    """What each token sees of each other one; `weight` is zero where there is nothing to see."""

    basis: Float[Tensor, "b n n r"]
    harmonics: Float[Tensor, "b n n 9"]
    weight: Float[Tensor, "b n n"]


def envelope(distances: Tensor, cutoff: float) -> Tensor:
    """From one to zero at the cutoff, with two continuous derivatives."""
    x = (distances / cutoff).clamp(max=1)
    return 1 - x**3 * (10 - 15 * x + 6 * x**2)


def surroundings(
    x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"], config: StemConfig
) -> Surroundings:
    """All pairs, the weights of each token's ones scaled by the root of their sum."""
    offsets = x[:, None] - x[:, :, None]
    distances = offsets.norm(dim=-1)
    others = ~torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
    pairs = mask[:, :, None] & mask[:, None] & others
    full = (mask.sum(1) <= config.full_graph)[:, None, None]
    near = torch.where(full, 1.0, envelope(distances, config.cutoff)) * pairs
    weight = near / (1 + near.sum(2, keepdim=True)).sqrt()
    return Surroundings(radial_basis(distances), harmonics_of(offsets), weight)


class StemLayer(nn.Module):
    """x_i + Linear(x_i (x) A_i) with A_i = sum over j of R(d_ij) s_j Y(r_ij), normalised.

    The density A and its product at the token are MACE's (arXiv 2206.07697, eqs. 8 to 10): products
    for each token cost a ninth of products for each pair.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        kinds, density = widened(FEATURES, channels), widened(HARMONICS, channels)
        paths = [
            (i, j, kind)
            for i, (_, own) in enumerate(kinds)
            for j, (_, other) in enumerate(density)
            for kind in own * other
            if kind in kinds
        ]
        coupled = o3.Irreps([(channels, kind) for _, _, kind in paths]).sort()
        self.channels = channels
        self.radial = radial(3 * channels)
        self.sender = linear(2 * channels, 3 * channels)
        self.product = o3.TensorProduct(
            kinds,
            density,
            coupled.irreps,
            [(i, j, k, "uuu", False) for (i, j, _), k in zip(paths, coupled.p, strict=True)],
        )
        self.mix = o3.Linear(coupled.irreps.simplify(), kinds)

    def forward(self, x: Float[Tensor, "b n f"], around: Surroundings) -> Float[Tensor, "b n f"]:
        weights = self.radial(around.basis) * around.weight[..., None]
        # pseudoscalars count as scalars: rotations are to be respected, mirrors told apart
        sent = self.sender(x[..., : 2 * self.channels])
        density = spread(weights * sent[:, None], around.harmonics)
        x = x + self.mix(self.product(x, density))
        # the length of all features together: rotations keep it
        return F.rms_norm(x, x.shape[-1:], eps=1e-6)


class EquivariantStem(nn.Module):
    """Elements, charges, hydrogens, indices and centred coordinates -> equivariant features.

    The index goes in first, so that equivalent atoms differ and a frame exists for every molecule
    whose atoms are not collinear.
    """

    def __init__(self, config: StemConfig) -> None:
        super().__init__()
        channels = config.channels
        self.config = config
        self.kinds = widened(FEATURES, channels)
        self.element = nn.Embedding(119, channels)
        self.hydrogen_count = nn.Embedding(MAX_HYDROGENS + 1, channels)
        self.charge = linear(1, channels)
        self.index = linear(INDEX_WIDTH, channels)
        self.radial = radial(3 * channels)
        self.hydrogens = o3.Linear(widened(HARMONICS, channels), self.kinds)
        self.layers = nn.ModuleList(StemLayer(channels) for _ in range(config.layers))
        tag_adamw(self)

    def forward(self, batch: MoleculeBatch) -> Float[Tensor, "b n f"]:
        around = surroundings(batch.coordinates, batch.mask, self.config)
        scalars = self.scalars(batch)
        x = self.neighbours(batch) + F.pad(scalars, (0, self.kinds.dim - scalars.shape[-1]))
        for layer in self.layers:
            x = layer(x, around)
        return x * batch.mask[..., None]

    def scalars(self, batch: MoleculeBatch) -> Float[Tensor, "b n c"]:
        """What each token is, and where it stands in the order."""
        kind = batch.coordinates.dtype
        code = sincos_code(batch.mask.shape[1], INDEX_WIDTH).to(batch.coordinates)
        found: Tensor = (
            self.element(batch.elements)
            + self.hydrogen_count(batch.hydrogens)
            + self.charge(batch.charges[..., None].to(kind))
            + self.index(code)
        )
        return found

    def neighbours(self, batch: MoleculeBatch) -> Float[Tensor, "b n f"]:
        """Where each token's own hydrogens are, in whatever order they come."""
        weights = self.radial(radial_basis(batch.offsets.norm(dim=-1))) * batch.filled[..., None]
        found: Tensor = self.hydrogens(spread(weights, harmonics_of(batch.offsets)))
        return found
