"""The molecule modality's configuration and sampling options. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from unite_core.config import Fraction, Section, check_heads


class StemConfig(Section):
    """Sizes of the equivariant stem.

    Molecules of up to `full_graph` tokens have no cutoff, larger ones one of `cutoff` angstrom.
    `random_frames` is the share of molecules that get a random frame in training.
    """

    layers: PositiveInt = 2
    channels: PositiveInt = 8
    full_graph: PositiveInt = 32
    cutoff: PositiveFloat = 6.0
    random_frames: Fraction = 0.1


class FrameConfig(Section):
    """Which tokenizer: in random rotations, or in a frame that turns with the molecule.

    `inertial` takes the principal axes, `ordered` the directions of the first atoms, `equivariant`
    learns them with the stem that `stem` describes.
    """

    kind: Literal["augmented", "inertial", "ordered", "equivariant"] = "ordered"
    stem: StemConfig = StemConfig()


class MoleculeDecoderConfig(Section):
    """Sizes of the decoder's transformer."""

    width: PositiveInt = 128
    depth: PositiveInt = 3
    heads: PositiveInt = 4

    @model_validator(mode="after")
    def heads_fit(self) -> "MoleculeDecoderConfig":
        """Heads share the width."""
        check_heads(self.width, self.heads)
        return self


class LossWeights(Section):
    """Weights of the reconstruction terms; coordinates in angstrom."""

    element: PositiveFloat = 1.0
    coordinate: PositiveFloat = 10.0
    distance: PositiveFloat = 1.0
    bonded: PositiveFloat = 10.0
    bond: PositiveFloat = 1.0
    charge: PositiveFloat = 1.0
    hydrogen: PositiveFloat = 1.0


class MoleculeConfig(Section):
    """`source` is "qm9", "qm9-hub", "qm9-pyg", or a folder or file of SDF or XYZ.

    `layout` gives a latent to each heavy atom (its hydrogens inside it) or to each atom.
    `multiple` pads the tokens of a batch to a multiple of it: few shapes suit `training.compile`.
    `limit` trains on so many molecules of the split only.
    """

    source: str = "qm9"
    split: Literal["adit", "edm"] = "adit"
    layout: Literal["heavy", "atom"] = "heavy"
    frame: FrameConfig = FrameConfig()
    decoder: MoleculeDecoderConfig = MoleculeDecoderConfig()
    loss: LossWeights = LossWeights()
    multiple: PositiveInt = 1
    limit: PositiveInt | None = None


class MoleculeSampleOptions(Section):
    """What `unite sample` takes for molecules."""

    heavy_atoms: Annotated[int, Field(ge=1)] | None = None
