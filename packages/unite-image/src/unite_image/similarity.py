"""How like reconstructions are to their originals, pair by pair."""

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from unite_core.errors import ConfigurationError

from unite_image.perceptual import (
    SMALLEST,
    TRUNKS,
    perceptual_distance,
    perceptual_network,
)
from unite_image.types import Image

logger = logging.getLogger(__name__)

BATCH = 64
"""Pairs compared at once."""


def l1(images: Float[Tensor, "b c h w"], others: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Mean absolute difference of each pair."""
    return (images - others).abs().mean((1, 2, 3))


def psnr(images: Float[Tensor, "b c h w"], others: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio of each pair, dB.

    Equal ones count as if half a level in one value told them apart: infinity has no mean.
    """
    ratios = peak_signal_noise_ratio(
        images, others, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    return ratios.clamp(max=10 * math.log10(510**2 * images[0].numel()))


def ssim(images: Float[Tensor, "b c h w"], others: Float[Tensor, "b c h w"]) -> Float[Tensor, " b"]:
    """Structural similarity of each pair (Wang et al. 2004: Gaussian window of 1.5 pixels)."""
    values = structural_similarity_index_measure(images, others, data_range=1.0, reduction="none")
    assert isinstance(values, Tensor)
    return values


def pixels(images: Sequence[Image]) -> Float[Tensor, "b c h w"]:
    """Images of one size in [0, 1]."""
    arrays = np.stack([image.pixels for image in images])
    return torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 255


def mean(
    measure: Callable[[Tensor, Tensor], Tensor],
    images: Sequence[Image],
    others: Sequence[Image],
) -> float:
    """The mean of a measure over all pairs."""
    starts = range(0, len(images), BATCH)
    pairs = ((images[i : i + BATCH], others[i : i + BATCH]) for i in starts)
    with torch.no_grad():
        values = torch.cat([measure(pixels(a), pixels(b)) for a, b in pairs])
    return float(values.double().mean())


def lpips(
    originals: Sequence[Image],
    reconstructions: Sequence[Image],
    network: str,
    weights: Path | None,
) -> float | str:
    """Mean LPIPS of the pairs; where that cannot be had, what it needs.

    ConfigurationError where `weights` are given and do not fit.
    """
    if min(originals[0].pixels.shape[:2]) < SMALLEST[network]:
        return f"needs {SMALLEST[network]} pixels"
    try:
        perceptual_network(network, weights, torch.device("cpu"))
    except ConfigurationError as error:
        if weights is not None:
            raise
        logger.warning("no LPIPS: %s", error)
        return f"needs {TRUNKS[network].name}"

    def measure(images: Tensor, others: Tensor) -> Tensor:
        return perceptual_distance(images, others, network, weights)

    return mean(measure, originals, reconstructions)


def similarity(
    originals: Sequence[Image],
    reconstructions: Sequence[Image],
    network: str,
    weights: Path | None,
) -> dict[str, float | str]:
    """Means over pairs; `network` is that of LPIPS, whose weights are torch hub's where None."""
    figures = {
        name: mean(measure, originals, reconstructions)
        for name, measure in (("l1", l1), ("psnr", psnr), ("ssim", ssim))
    }
    return {**figures, f"lpips ({network})": lpips(originals, reconstructions, network, weights)}
