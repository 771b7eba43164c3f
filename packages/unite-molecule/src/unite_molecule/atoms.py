"""Tokenizers of atoms: each chooses a frame, then embeds every token's content in it."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from unite_core.layers import linear
from unite_core.modality import Tokenizer
from unite_core.parameters import tag_adamw
from unite_core.types import PairedTokens

from unite_molecule.geometry import inertial_frame, random_rotations
from unite_molecule.layout import MAX_HYDROGENS, MoleculeBatch


@dataclass(frozen=True)
class Frame:
    """Where a molecule was: x_world = rotation^T x_frame + origin."""

    rotation: Float[Tensor, "b 3 3"]
    origin: Float[Tensor, "b 3"]

    def enter(self, batch: MoleculeBatch) -> MoleculeBatch:
        """The batch seen from the frame."""
        moved = (batch.coordinates - self.origin[:, None]) * batch.mask[..., None]
        return self.turn(batch, moved, self.rotation)

    def leave(self, batch: MoleculeBatch) -> MoleculeBatch:
        """The batch of this frame, seen from the world."""
        turned = self.turn(batch, batch.coordinates, self.rotation.transpose(1, 2))
        world = (turned.coordinates + self.origin[:, None]) * batch.mask[..., None]
        return replace(turned, coordinates=world)

    @staticmethod
    def turn(batch: MoleculeBatch, coordinates: Tensor, rotation: Tensor) -> MoleculeBatch:
        """Coordinates and hydrogens rotated."""
        return replace(
            batch,
            coordinates=torch.einsum("bij,bnj->bni", rotation, coordinates),
            offsets=torch.einsum("bij,bnkj->bnki", rotation, batch.offsets),
        )

    def __getitem__(self, rows: Tensor) -> "Frame":
        return Frame(self.rotation[rows], self.origin[rows])


@dataclass(frozen=True)
class FramedMolecules:
    """The tokenizer's context: the batch as the decoder should give it back, and its frame."""

    target: MoleculeBatch
    frame: Frame


def centroid(batch: MoleculeBatch) -> Float[Tensor, "b 3"]:
    """Mean of the token coordinates."""
    count = batch.mask.sum(1, keepdim=True)
    return (batch.coordinates * batch.mask[..., None]).sum(1) / count


class TokenEmbedding(nn.Module):
    """Element, charge, hydrogens and coordinates of each token in the frame, at width h."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # atomic numbers address the tables, so that a table serves any data set
        self.element = tag_adamw(nn.Embedding(119, width))
        self.hydrogen_count = tag_adamw(nn.Embedding(MAX_HYDROGENS + 1, width))
        self.charge = tag_adamw(linear(1, width))
        self.coordinates = nn.Sequential(
            tag_adamw(linear(3, width)), nn.SiLU(), linear(width, width)
        )
        self.hydrogens = nn.Sequential(tag_adamw(linear(3, width)), nn.SiLU(), linear(width, width))

    def forward(self, batch: MoleculeBatch) -> Float[Tensor, "b n h"]:
        each = self.hydrogens(batch.offsets) * batch.filled[..., None]
        return (
            self.element(batch.elements)
            + self.hydrogen_count(batch.hydrogens)
            + self.charge(batch.charges[..., None].to(batch.coordinates.dtype))
            + self.coordinates(batch.coordinates)
            + each.sum(2)
        )


class FramedAtoms(Tokenizer):
    """Centres each molecule, turns it into a frame, and pairs each token with its register."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(width)

    def rotation(self, batch: MoleculeBatch) -> Float[Tensor, "b 3 3"]:
        """The frame's axes as rows; `batch` is centred."""
        raise NotImplementedError

    def forward(self, batch: MoleculeBatch) -> PairedTokens:
        origin = centroid(batch)
        still = torch.eye(3, device=origin.device, dtype=origin.dtype).expand(len(batch), 3, 3)
        frame = Frame(self.rotation(Frame(still, origin).enter(batch)), origin)
        target = frame.enter(batch)
        return PairedTokens(
            x=self.embedding(target), mask=batch.mask, context=FramedMolecules(target, frame)
        )


class AugmentedAtoms(FramedAtoms):
    """A Haar-random frame for each molecule in training, the given one otherwise (ADiT's way)."""

    def rotation(self, batch: MoleculeBatch) -> Float[Tensor, "b 3 3"]:
        if self.training:
            return random_rotations(len(batch)).to(batch.coordinates)
        return torch.eye(3).to(batch.coordinates).expand(len(batch), 3, 3)


class InertialAtoms(FramedAtoms):
    """The principal axes of the tokens: latents do not see how the molecule was turned."""

    def rotation(self, batch: MoleculeBatch) -> Float[Tensor, "b 3 3"]:
        weights = batch.mask * (batch.elements + batch.hydrogens).to(batch.coordinates.dtype)
        return inertial_frame(batch.coordinates, batch.mask, weights)
