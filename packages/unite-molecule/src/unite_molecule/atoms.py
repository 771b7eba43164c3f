"""Tokenizers of atoms: each chooses a frame, then embeds every token's content in it."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from unite_core.layers import linear
from unite_core.modality import Tokenizer
from unite_core.parameters import tag_adamw
from unite_core.types import PairedTokens

from unite_molecule.geometry import inertial_frame, ordered_frame, random_rotations
from unite_molecule.layout import MAX_HYDROGENS, MoleculeBatch


@dataclass(frozen=True)
class Frame:
    """Where a molecule was: x_world = rotation^T x_frame + origin."""

    rotation: Float[Tensor, "b 3 3"]
    origin: Float[Tensor, "b 3"]

    def enter(self, batch: MoleculeBatch) -> MoleculeBatch:
        """The batch seen from the frame, each token's hydrogens in the frame's order."""
        moved = (batch.coordinates - self.origin[:, None]) * batch.mask[..., None]
        turned = self.turn(batch, moved, self.rotation)
        return replace(turned, offsets=in_order(turned))

    def leave(self, batch: MoleculeBatch) -> MoleculeBatch:
        """The batch of this frame, seen from the world."""
        turned = self.turn(batch, batch.coordinates, self.rotation.transpose(1, 2))
        world = (turned.coordinates + self.origin[:, None]) * batch.mask[..., None]
        return replace(turned, coordinates=world)

    @staticmethod
    def turn(batch: MoleculeBatch, coordinates: Tensor, rotation: Tensor) -> MoleculeBatch:
        """Coordinates and hydrogens rotated."""
        # float32: this makes the target, and bfloat16 has three digits
        with torch.autocast(rotation.device.type, enabled=False):
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

    def __getitem__(self, rows: Tensor) -> "FramedMolecules":
        return FramedMolecules(self.target[rows], self.frame[rows])


def height(like: Tensor) -> Float[Tensor, "3"]:
    """The direction (1, 2, 3) along which hydrogens are ordered: no axis, where symmetric ones lie
    level. Made where `like` is, and not waited for.
    """
    return torch.arange(1, 4, dtype=like.dtype, device=like.device)


def in_order(batch: MoleculeBatch) -> Float[Tensor, "b n 4 3"]:
    """Each token's hydrogens from the highest down; three or more turn left seen from outside.

    Hydrogens of one atom are a set, and no continuous function gives a set's members an order: a
    turn of a methyl group by a third would take each to the next. So latents carry the order, which
    the decoder then follows smoothly; were it free to choose, it would err where its choice jumps.
    """
    with torch.no_grad():
        # no matrix product: autocast would round it, and training see another order
        heights = (batch.offsets * height(batch.offsets)).sum(-1)
        heights = heights.masked_fill(~batch.filled, -torch.inf)
        order = heights.argsort(dim=-1, descending=True, stable=True)
    ordered = batch.offsets.take_along_dim(order[..., None], dim=2)
    first, second, third, fourth = ordered.unbind(2)
    handed = (torch.linalg.cross(first, second) * third).sum(-1)
    wrong = ((handed < 0) & (batch.hydrogens > 2))[..., None]
    turned = second.where(~wrong, third), third.where(~wrong, second)
    return torch.stack([first, *turned, fourth], dim=2)


def centroid(batch: MoleculeBatch) -> Float[Tensor, "b 3"]:
    """Mean of the token coordinates."""
    count = batch.mask.sum(1, keepdim=True)
    return (batch.coordinates * batch.mask[..., None]).sum(1) / count


def centred(batch: MoleculeBatch) -> MoleculeBatch:
    """The batch with every centroid at the origin."""
    moved = (batch.coordinates - centroid(batch)[:, None]) * batch.mask[..., None]
    return replace(batch, coordinates=moved)


def principal_axes(batch: MoleculeBatch) -> Float[Tensor, "b 3 3"]:
    """The inertial frame of a centred batch, atoms weighing as much as their nuclear charge."""
    weights = batch.mask * (batch.elements + batch.hydrogens).to(batch.coordinates.dtype)
    return inertial_frame(batch.coordinates, batch.mask, weights)


class PositionEmbedding(nn.Sequential):
    """An MLP of positions in angstrom, and of `marks` more numbers, at width h."""

    def __init__(self, width: int, marks: int = 0) -> None:
        super().__init__(tag_adamw(linear(3 + marks, width)), nn.SiLU(), linear(width, width))

    def forward(self, x: Float[Tensor, "*b c"]) -> Float[Tensor, "*b h"]:
        # float32: bfloat16 rounds a coordinate of 3 angstrom by up to 0.008
        with torch.autocast(x.device.type, enabled=False):
            first = self[0](x)
        embedded: Tensor = self[2](self[1](first))
        return embedded


class TokenEmbedding(nn.Module):
    """What each token holds, seen from the frame, hydrogens in their order; at width h."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # atomic numbers address the tables, so that a table serves any data set
        self.element = tag_adamw(nn.Embedding(119, width))
        self.hydrogen_count = tag_adamw(nn.Embedding(MAX_HYDROGENS + 1, width))
        self.charge = tag_adamw(linear(1, width))
        self.coordinates = PositionEmbedding(width)
        self.hydrogens = PositionEmbedding(width, MAX_HYDROGENS)

    def forward(self, batch: MoleculeBatch) -> Float[Tensor, "b n h"]:
        x = batch.offsets
        places = torch.eye(MAX_HYDROGENS, dtype=x.dtype, device=x.device)
        placed = torch.cat([x, places.expand(*batch.filled.shape, -1)], dim=-1)
        each = self.hydrogens(placed) * batch.filled[..., None]
        embedded: Tensor = (
            self.element(batch.elements)
            + self.hydrogen_count(batch.hydrogens)
            + self.charge(batch.charges[..., None].to(batch.coordinates.dtype))
            + self.coordinates(batch.coordinates)
            + each.sum(2)
        )
        return embedded


class FramedAtoms(Tokenizer):
    """Centres each molecule, turns it into a frame, and pairs each token with its register."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embedding = TokenEmbedding(width)

    def framed(self, batch: MoleculeBatch, rotation: Float[Tensor, "b 3 3"]) -> PairedTokens:
        """The tokens seen from the frame whose axes are the rows of `rotation`."""
        frame = Frame(rotation, centroid(batch))
        target = frame.enter(batch)
        return PairedTokens(
            x=self.embedding(target), mask=batch.mask, context=FramedMolecules(target, frame)
        )


class AugmentedAtoms(FramedAtoms):
    """A Haar-random frame for each molecule in training, the given one otherwise (ADiT's way)."""

    def forward(self, batch: MoleculeBatch) -> PairedTokens:
        x = batch.coordinates
        given = torch.eye(3, dtype=x.dtype, device=x.device).expand(len(batch), 3, 3)
        return self.framed(
            batch, random_rotations(len(batch), device=x.device).to(x) if self.training else given
        )


class InertialAtoms(FramedAtoms):
    """The principal axes of the tokens: latents do not see how the molecule was turned."""

    def forward(self, batch: MoleculeBatch) -> PairedTokens:
        return self.framed(batch, principal_axes(centred(batch)))


class OrderedAtoms(FramedAtoms):
    """Axes towards the first tokens: with atoms in canonical order they are the molecule's own."""

    def forward(self, batch: MoleculeBatch) -> PairedTokens:
        return self.framed(batch, ordered_frame(centred(batch).coordinates, batch.mask))
