"""One image, and images that move to a device together."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Image:
    """Pixels as a file holds them: uint8 [h, w, c], c 1 (grey) or 3 (RGB); class index or None."""

    pixels: np.ndarray
    label: int | None = None


@dataclass(frozen=True)
class ImageBatch:
    """Images of one size, pixels in [0, 1]; `labels` are class indices, None without classes."""

    pixels: Float[Tensor, "b c h w"]
    labels: Int[Tensor, " b"] | None

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def to(self, device: torch.device) -> "ImageBatch":
        labels = None if self.labels is None else self.labels.to(device)
        return ImageBatch(self.pixels.to(device), labels)
