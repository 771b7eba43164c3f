"""Means and covariances of features, with their cache."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from unite_core.cache import cache_root
from unite_core.errors import ConfigurationError, DataError, StorageError

from unite_image.arrays import array_names, read_arrays
from unite_image.features import BATCH, FeatureNetwork, encode
from unite_image.image_sets import ImageSet, batches
from unite_image.records import reading

KEPT = 10_000
"""Most features that are kept of a reference, to judge precision and recall by."""

FEWEST = 2
"""Images that a Frechet distance needs on either side."""


@dataclass(frozen=True)
class Statistics:
    """A Gaussian of features; and some of the features, none where a file has moments alone."""

    mean: np.ndarray  # [f] float64
    covariance: np.ndarray  # [f, f] float64
    kept: np.ndarray  # [m, f] float32

    def __post_init__(self) -> None:
        widths = (*self.mean.shape, *self.covariance.shape, *self.kept.shape[1:])
        if self.mean.ndim != 1 or widths != 4 * self.mean.shape:
            raise ValueError(
                f"a mean {self.mean.shape} beside a covariance {self.covariance.shape} "
                f"and features {self.kept.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("a mean or covariance that is not finite")


def moments(parts: Iterable[Float[Tensor, "_ f"]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean [f] and unbiased covariance [f, f] of features that come in parts. DataError below
    `FEWEST`.

    Summed in float64, so that the parts' size does not show.
    """
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for part in parts:
        rows = part.double()
        count += len(rows)
        total = total + rows.sum(0)
        products = products + rows.T @ rows
    if count < FEWEST:
        raise DataError(f"a Frechet distance needs two images or more on each side, not {count}")
    mean = total / count
    covariance = (products - count * torch.outer(mean, mean)) / (count - 1)
    return mean.numpy(), covariance.numpy()


def measure(network: FeatureNetwork, images: ImageSet) -> Statistics:
    """Statistics of images, in one pass."""
    step = -(-len(images) // KEPT)
    kept: list[Tensor] = []

    def parts() -> Iterable[Tensor]:
        start = 0
        for encoded in encode(network, images):
            kept.append(encoded.features[-start % step :: step])
            start += len(encoded.features)
            yield encoded.features

    mean, covariance = moments(parts())
    return Statistics(mean, covariance, torch.cat(kept).numpy())


def fingerprint(images: ImageSet) -> str:
    """SHA-256 of the pixels and sizes of images, in order."""
    digest = sha256()
    for batch in batches(images, BATCH):
        for image in batch:
            digest.update(repr(image.pixels.shape).encode())
            digest.update(image.pixels.tobytes())
    return digest.hexdigest()


def reference_statistics(network: FeatureNetwork, images: ImageSet, name: str) -> Statistics:
    """Statistics of images, from the cache where they were measured before under this name."""
    own = f"{network.name}-{network.fingerprint()}"
    path = cache_root() / "image-statistics" / f"{name}-{own}.npz"
    try:
        return load(path)
    except (DataError, ValueError):
        # absent, or damaged: then measured anew
        statistics = measure(network, images)
    save(statistics, path)
    return statistics


def load(path: Path) -> Statistics:
    """What `save` wrote."""
    return Statistics(*read_arrays(path, ("mu", "sigma", "features")))


def save(statistics: Statistics, path: Path) -> None:
    """Writes the file in one step, so that no process reads half of it. StorageError."""
    mean, covariance, kept = statistics.mean, statistics.covariance, statistics.kept
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        with unfinished.open("wb") as file:
            np.savez(file, mu=mean, sigma=covariance, features=kept)
        unfinished.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path} ({error.strerror}): set UNITE_CACHE") from error


def holds_statistics(path: Path) -> bool:
    """Whether the file is an .npz with `mu` and `sigma`. DataError where it does not open."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    with reading(path), ZipFile(path) as archive:
        return {"mu", "sigma"} <= set(array_names(archive))


def read_statistics(path: Path, network: FeatureNetwork) -> Statistics:
    """Published statistics (`mu`, `sigma`, as ADM's and FID's files have). Errors name the file."""
    arrays = read_arrays(path, ("mu", "sigma"))
    try:
        mean, covariance = (array.astype(float, casting="same_kind") for array in arrays)
        statistics = Statistics(mean, covariance, np.zeros((0, *mean.shape), np.float32))
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} holds no usable mu and sigma: {error}") from error
    if len(mean) != network.width:
        raise ConfigurationError(
            f"{path} is of {len(mean)} features, the network {network.name} has {network.width}: "
            "score with the network that made the file (inception for published ones)"
        )
    return statistics
