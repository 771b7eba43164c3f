"""Sets of images by index, as the scores read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.ndimage import gaussian_filter

from unite_image.types import Image


@runtime_checkable
class ImageSet(Protocol):
    """Images of one size, read when they are asked for: a split of a dataset, say."""

    def __len__(self) -> int: ...

    def images(self, indices: np.ndarray) -> list[Image]:
        """The images at `indices`."""
        ...


@dataclass(frozen=True)
class ImageList:
    """Images in memory."""

    items: Sequence[Image]

    def __len__(self) -> int:
        return len(self.items)

    def images(self, indices: np.ndarray) -> list[Image]:
        return [self.items[i] for i in indices]


@dataclass(frozen=True)
class Blurred:
    """Images under a Gaussian blur of `sigma` pixels."""

    source: ImageSet
    sigma: float

    def __len__(self) -> int:
        return len(self.source)

    def images(self, indices: np.ndarray) -> list[Image]:
        return [self.blur(image) for image in self.source.images(indices)]

    def blur(self, image: Image) -> Image:
        """One image, its channels apart and its borders repeated outwards."""
        sigmas = (self.sigma, self.sigma, 0)
        soft = gaussian_filter(image.pixels.astype(np.float32), sigmas, mode="nearest")
        return replace(image, pixels=np.rint(soft).astype(np.uint8))


def batches(images: ImageSet, size: int) -> Iterator[list[Image]]:
    """All images in order, `size` at a time."""
    for start in range(0, len(images), size):
        yield images.images(np.arange(start, min(start + size, len(images))))
