"""Tables of the quality of generated and of reconstructed images."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unite_core.errors import DataError

from unite_image.config import ImageConfig, ImageScoreConfig
from unite_image.data import open_dataset
from unite_image.features import FeatureNetwork, encode_all, open_network
from unite_image.fidelity import fidelity, frechet_distance
from unite_image.image_sets import Blurred, ImageList, ImageSet
from unite_image.similarity import similarity
from unite_image.statistics import (
    FEWEST,
    fingerprint,
    holds_statistics,
    measure,
    read_statistics,
    reference_statistics,
)
from unite_image.types import Image

BLUR = 2.0
"""Gaussian blur in pixels of the row that says what a distance means."""

logger = logging.getLogger(__name__)

Table = dict[str, dict[str, Any]]
"""Row -> metric -> value."""


def score_table(
    config: ImageConfig,
    samples: Sequence[Image],
    reference: str | None,
) -> Table:
    """Generated images against the training images of `reference`, by default of `config.path`.

    Rows "samples", "data" (the test images of the same source) and "data blurred by 2 px" (its
    training images). The row "data" is empty where the source has less than two test images, or
    where `reference` is an .npz of published statistics, which has none. The source is cut to the
    samples' size. ConfigurationError, DataError.
    """
    if len(samples) == 1:
        raise DataError(
            "scores compare many images, and there is one: save samples as .npz or in a folder"
        )
    network = open_network(config.score.network, config.score.network_weights)
    images = ImageList(samples)
    if reference is not None and holds_statistics(Path(reference)):
        statistics = read_statistics(Path(reference), network)
        return {"samples": fidelity(network, encode_all(network, images), statistics), "data": {}}
    resolution, channels = size_of(samples)
    chosen = {"resolution": resolution, "channels": channels}
    return score_sets(network, images, *open_sets(config.model_copy(update=chosen), reference))


def open_sets(config: ImageConfig, reference: str | None) -> tuple[ImageSet, ImageSet]:
    """Training and test images of `reference`, by default of `config.path`; of classes no word.

    A source too small to have test images gives none, with a warning.
    """
    chosen = {"path": reference or config.path, "conditional": False}
    config = config.model_copy(update=chosen)
    training = open_dataset(config, "train")
    try:
        return training, open_dataset(config, "test")
    except DataError as error:
        logger.warning("no figures of held-out images: %s", error)
        return training, ImageList([])


def check_score(config: ImageConfig, reference: str | None) -> None:
    """What `score_table` would raise for samples of the configured size, and no samples needed."""
    network = open_network(config.score.network, config.score.network_weights)
    if reference is not None and holds_statistics(Path(reference)):
        read_statistics(Path(reference), network)
    else:
        open_sets(config, reference)


def size_of(samples: Sequence[Image]) -> tuple[int, int]:
    """Side and channels of square samples of one size. DataError for others."""
    shapes = {image.pixels.shape for image in samples}
    height, width, channels = next(iter(shapes), (0, 0, 0))
    if len(shapes) != 1 or height != width:
        found = ", ".join(f"{w} x {h} x {c}" for h, w, c in sorted(shapes)) or "none"
        raise DataError(f"scores need square samples of one size; there are {found}")
    return height, channels


def score_sets(
    network: FeatureNetwork, samples: ImageSet, training: ImageSet, held_out: ImageSet
) -> Table:
    """The same rows for sets of images; distances are to `training`."""
    name = fingerprint(training)
    statistics = reference_statistics(network, training, name)
    # named, not hashed: to blur a large reference takes far longer than all else here
    blurred = reference_statistics(network, Blurred(training, BLUR), f"{name}-blurred-{BLUR:g}px")
    return {
        "samples": fidelity(network, encode_all(network, samples), statistics),
        "data": fidelity(network, encode_all(network, held_out), statistics)
        if len(held_out) >= FEWEST
        else {},
        f"data blurred by {BLUR:g} px": {
            "images": len(training),
            f"fid ({network.name})": frechet_distance(blurred, statistics),
        },
    }


def score_reconstruction(
    config: ImageScoreConfig, originals: Sequence[Image], reconstructions: Sequence[Image]
) -> dict[str, Any]:
    """Mean L1, PSNR in dB, SSIM and LPIPS of pairs; and rFID, which needs two pairs or more."""
    means = similarity(originals, reconstructions, config.lpips, config.lpips_weights)
    figures = {"images": len(originals), **means}
    if len(originals) < FEWEST:
        return figures
    network = open_network(config.network, config.network_weights)
    sides = [measure(network, ImageList(side)) for side in (originals, reconstructions)]
    return {**figures, f"rfid ({network.name})": frechet_distance(*sides)}
