"""The training images that samples come nearest to: copies would show."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from unite_image.features import FeatureNetwork, encode, encode_all
from unite_image.image_sets import ImageSet


def nearest(
    samples: ImageSet, training: ImageSet, network: FeatureNetwork
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"]]:
    """For each sample the index of the nearest training image, and how far it is in features."""
    ours = encode_all(network, samples).features
    best = torch.full((len(ours),), float("inf"))
    indices = torch.zeros(len(ours), dtype=torch.long)
    start = 0
    for encoded in encode(network, training):
        distances, found = torch.cdist(ours, encoded.features).min(1)
        nearer = distances < best
        best = torch.where(nearer, distances, best)
        indices = torch.where(nearer, found + start, indices)
        start += len(encoded.features)
    return indices, best
