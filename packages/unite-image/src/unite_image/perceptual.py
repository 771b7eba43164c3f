"""LPIPS networks, kept outside the models that they train."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import lpips
import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights
from unite_core.errors import ConfigurationError

from unite_image.pretrained import PretrainedFile

REMEDIES = (
    "name a copy as data.score.lpips_weights for scores; in training, as "
    "data.loss.network_weights, or do without by data.loss.perceptual=0"
)

TRUNKS = {
    "vgg": PretrainedFile(VGG16_Weights.IMAGENET1K_V1.url, REMEDIES),
    "alex": PretrainedFile(AlexNet_Weights.IMAGENET1K_V1.url, REMEDIES),
    "squeeze": PretrainedFile(SqueezeNet1_1_Weights.IMAGENET1K_V1.url, REMEDIES),
}

SMALLEST = {"vgg": 16, "alex": 31, "squeeze": 17}
"""Side in pixels below which a trunk's pooling leaves nothing."""


def in_float32(module: Any, inputs: Any, features: Any) -> Any:
    """Features of a trunk in float32: differences of near-equal ones need the precision."""
    return type(features)(*(feature.float() for feature in features))


def untrained_network(name: str) -> lpips.LPIPS:
    """LPIPS with its published heads upon a random trunk; leaves torch's generator as it was."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", module="torchvision")  # lpips asks in the old way
        network = lpips.LPIPS(net=name, pnet_rand=True, verbose=False)
    network.net.register_forward_hook(in_float32)
    return network.requires_grad_(False)


@cache
def perceptual_network(name: str, weights: Path | None, device: torch.device) -> lpips.LPIPS:
    """The frozen network `name` of `TRUNKS`, in evaluation mode; made once. ConfigurationError."""
    state = TRUNKS[name].load(weights)
    with torch.inference_mode(False):  # whoever asks first, training must be able to use it
        network = untrained_network(name).to(device)
    # slices of the trunk keep torchvision's numbers: slice2.5.weight is features.5.weight
    names = {key: "features." + key.split(".", 1)[1] for key in network.net.state_dict()}
    try:
        network.net.load_state_dict({key: state[theirs] for key, theirs in names.items()})
    except (KeyError, RuntimeError) as error:
        source = weights or TRUNKS[name].cached
        raise ConfigurationError(
            f"{source} does not hold the network {name!r}, which is {TRUNKS[name].url}"
        ) from error
    return network


def perceptual_distance(
    prediction: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    name: str,
    weights: Path | None,
) -> Float[Tensor, " b"]:
    """LPIPS (arXiv 1801.03924) of each pair of images in [0, 1], grey or RGB. ConfigurationError.

    The trunk runs in the precision of an autocast around it, the comparison in float32.
    """
    if min(prediction.shape[2:]) < SMALLEST[name]:
        raise ConfigurationError(
            f"LPIPS with {name!r} needs images of {SMALLEST[name]} pixels or more, "
            f"not {prediction.shape[3]} x {prediction.shape[2]}: set data.loss.perceptual=0"
        )
    network = perceptual_network(name, weights, prediction.device)
    pair = (image.float().expand(-1, 3, -1, -1) for image in (prediction, target))
    distance: Tensor = network(*pair, normalize=True)
    return distance.float().flatten()
