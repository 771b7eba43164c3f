"""The tokenizer with a learned frame: the equivariant stem's vectors become the axes."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from e3nn import o3
from jaxtyping import Float
from torch import Tensor
from unite_core.layers import linear
from unite_core.parameters import tag_adamw
from unite_core.types import PairedTokens

from unite_molecule.atoms import FramedAtoms, centred, principal_axes
from unite_molecule.config import StemConfig
from unite_molecule.geometry import random_rotations
from unite_molecule.layout import MoleculeBatch
from unite_molecule.stem import EquivariantStem

PARALLEL = 0.05
"""Angle in radians below which two vectors give no frame."""

VANISHING = 1e-3
"""Length below which a pooled vector gives no direction; the stem's features have a size of 1."""


def frame_of(
    first: Float[Tensor, "b 3"], second: Float[Tensor, "b 3"], spare: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 3"]:
    """Rows by Gram-Schmidt, the third the cross product; `spare` axes stand in where that fails.

    The first spare axis replaces a vanishing `first`; the one most across the first axis replaces a
    `second` that vanishes or is within PARALLEL of it.
    """
    lost = first.norm(dim=-1, keepdim=True) < VANISHING
    e1 = F.normalize(torch.where(lost, spare[:, 0], first), dim=-1)
    length = second.norm(dim=-1, keepdim=True)
    across = torch.linalg.cross(e1, second).norm(dim=-1, keepdim=True)
    parallel = (length < VANISHING) | (across < PARALLEL * length)
    best = (spare @ e1[..., None]).abs().argmin(1)  # [b, 1]
    other = spare.gather(1, best[..., None].expand(-1, 1, 3))[:, 0]
    second = torch.where(parallel, other, second)
    e2 = F.normalize(second - (second * e1).sum(-1, keepdim=True) * e1, dim=-1)
    return torch.stack([e1, e2, torch.linalg.cross(e1, e2)], dim=1)


class EquivariantAtoms(FramedAtoms):
    """A frame learned from the stem, and the stem's features beside each token's coordinates in it.

    The reconstruction loss reaches the stem through content and target alike: both turn with the
    frame. With the target's share detached the gradient would be that of no loss: it would turn the
    content towards a target that turns away with it.
    """

    def __init__(self, width: int, config: StemConfig) -> None:
        super().__init__(width)
        channels = config.channels
        self.stem = EquivariantStem(config)
        self.axes = tag_adamw(o3.Linear(self.stem.kinds, "2x1o"))
        self.invariants = tag_adamw(linear(2 * channels, width))
        self.vectors = tag_adamw(linear(6 * channels, width))

    def forward(self, batch: MoleculeBatch) -> PairedTokens:
        # float32: a frame in bfloat16 is no rotation
        with torch.autocast(batch.coordinates.device.type, enabled=False):
            still = centred(batch)
            features = self.stem(still)
            rotation = self.rotation(still, features)
            content = self.content(features, rotation)
        tokens = self.framed(batch, rotation)
        return replace(tokens, x=tokens.x + content)

    def rotation(
        self, batch: MoleculeBatch, features: Float[Tensor, "b n f"]
    ) -> Float[Tensor, "b 3 3"]:
        """The frame of the pooled vectors; in training, a random one for a share of molecules."""
        pooled = self.axes(features).sum(1) / batch.mask.sum(1, keepdim=True)
        first, second = pooled.split(3, dim=-1)
        if not self.training:
            return frame_of(first, second, principal_axes(batch))
        x = batch.coordinates
        random = random_rotations(len(batch), device=x.device).to(x)
        chosen = torch.rand(len(batch), 1, 1, device=random.device) < self.stem.config.random_frames
        return torch.where(chosen, random, frame_of(first, second, random))

    def content(
        self, features: Float[Tensor, "b n f"], rotation: Float[Tensor, "b 3 3"]
    ) -> Float[Tensor, "b n h"]:
        """Scalars and pseudoscalars, and the vectors in the frame, at width h."""
        slices = self.stem.kinds.slices()
        invariants = features[..., slices[0].start : slices[1].stop]
        vectors = features[..., slices[2].start : slices[3].stop]
        vectors = vectors.reshape(*vectors.shape[:2], -1, 3)
        turned = torch.einsum("bij,bncj->bnci", rotation, vectors)
        embedded: Tensor = self.invariants(invariants) + self.vectors(turned.flatten(-2))
        return embedded
