"""The image modality's configuration and sampling options. Imports no torch."""

from pathlib import Path
from typing import Literal

from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveInt,
    model_validator,
)
from unite_core.config import Fraction, Section


class ImageDecoderConfig(Section):
    """Sizes of the decoder's transformer; `inner` is the width between latents and it."""

    depth: PositiveInt = 12
    width: PositiveInt = 768
    heads: PositiveInt = 12
    mlp: PositiveInt = 3072
    inner: PositiveInt = 768

    @model_validator(mode="after")
    def heads_fit(self) -> "ImageDecoderConfig":
        """Heads share the width; the code of a grid takes sine and cosine of two axes from it."""
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width must be a multiple of heads ({self.heads}) and of 4")
        return self


class ImageLossWeights(Section):
    """Weights of the reconstruction terms; a `perceptual` of 0 needs no loss network.

    `network` is LPIPS's. `network_weights` is a file with the network's own weights, for machines
    that cannot download them.
    """

    l1: NonNegativeFloat = 1.0
    perceptual: NonNegativeFloat = 1.0
    network: Literal["vgg", "alex", "squeeze"] = "vgg"
    network_weights: Path | None = None


class ImageScoreConfig(Section):
    """Which network's features the scores compare: the one that is installed, or FID's Inception.

    `lpips` is the network of the LPIPS between originals and reconstructions. `network_weights` and
    `lpips_weights` are files with Inception's and LPIPS's, for machines that cannot download them.
    """

    network: Literal["lite0", "inception"] = "lite0"
    network_weights: Path | None = None
    lpips: Literal["vgg", "alex", "squeeze"] = "vgg"
    lpips_weights: Path | None = None


class ImageConfig(Section):
    """`path` is "emoji", a folder of class folders or of images, an .npz, a .parquet, or a data set
    on the hub as "hub:OWNER/NAME".

    Images are cut to `resolution` squares of `channels` channels, smaller ones refused unless
    `enlarge`, and read in squares of `patch` pixels, each of which has a latent. `tokens` says how
    patches meet the registers: as further positions of the sequence, or added one to one. Samples
    have the classes of the training images as often as these do, or all equally often
    (`class_shares`). Where a source has no test or validation split of its own, each takes a share
    `held_out` of it. More than a share `max_rejected` of unreadable files is an error.
    """

    path: str = "emoji"
    resolution: PositiveInt = 256
    channels: Literal[1, 3] = 3
    enlarge: bool = False
    patch: PositiveInt = 16
    tokens: Literal["appended", "paired"] = "appended"
    conditional: bool = True
    class_shares: Literal["training", "equal"] = "training"
    flip: bool = True
    decoder: ImageDecoderConfig = ImageDecoderConfig()
    loss: ImageLossWeights = ImageLossWeights()
    score: ImageScoreConfig = ImageScoreConfig()
    held_out: Fraction = 0.05
    max_rejected: Fraction = 0.001

    @model_validator(mode="after")
    def patches_fit(self) -> "ImageConfig":
        """The patch must divide the resolution."""
        if self.resolution % self.patch:
            raise ValueError(
                f"patch {self.patch} does not divide resolution {self.resolution}: "
                f"choose a multiple of {self.patch}"
            )
        return self

    @property
    def side(self) -> int:
        """Patches along one side of an image."""
        return self.resolution // self.patch

    @property
    def patches(self) -> int:
        """Patches of an image, which are as many as its latents."""
        return self.side * self.side


class ImageSampleOptions(Section):
    """What `unite sample` takes for images: a class by name or number; all where absent."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, frozen=True, populate_by_name=True
    )

    class_name: str | None = Field(default=None, alias="class")
