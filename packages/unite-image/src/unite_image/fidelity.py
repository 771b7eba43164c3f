"""How near generated images come to a reference as distributions."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
from torch_fidelity.metric_prc import calculate_precision_recall_part

from unite_image.features import Encoded, FeatureNetwork
from unite_image.statistics import KEPT, Statistics, moments

SPLIT = 5000
"""Images of one Inception score, which is a mean over splits; as ADM's evaluator has it."""

NEIGHBOUR = 3
"""Which nearest neighbour bounds an image's surroundings in precision and recall."""


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two Gaussians (arXiv 1706.08500)."""
    pair = [{"mu": one.mean, "sigma": one.covariance} for one in (a, b)]
    distance = float(fid_statistics_to_metric(*pair, verbose=False)[KEY_METRIC_FID])
    return max(distance, 0.0)  # equal ones come out at rounding's mercy


def inception_score(logits: Float[Tensor, "n k"]) -> float:
    """exp E KL(p(class | image) || p(class)) (arXiv 1606.03498), a mean over splits of `SPLIT`."""
    splits = max(1, len(logits) // SPLIT)
    return float(isc_features_to_metric(logits, splits)[KEY_METRIC_ISC_MEAN])


def precision_recall(
    samples: Float[Tensor, "n f"], reference: Float[Tensor, "m f"]
) -> tuple[float, float]:
    """Share of each set within the surroundings of the other (arXiv 1904.06991)."""
    precision, recall = calculate_precision_recall_part(samples, reference, NEIGHBOUR)
    return float(precision), float(recall)


def fidelity(
    network: FeatureNetwork, encoded: Encoded, reference: Statistics
) -> dict[str, int | float]:
    """One row of a table, every figure under the network's name.

    Precision and recall need more than `NEIGHBOUR` images on both sides, and are taken of the
    first `KEPT` samples; they are absent where the reference has moments alone.
    """
    features = encoded.features
    own = Statistics(*moments([features]), kept=features[:KEPT].numpy())
    row = {
        "images": len(features),
        f"fid ({network.name})": frechet_distance(own, reference),
        f"inception score ({network.name})": inception_score(encoded.logits),
    }
    if min(len(features), len(reference.kept)) > NEIGHBOUR:
        shares = precision_recall(features[:KEPT], torch.from_numpy(reference.kept))
        row |= zip((f"precision ({network.name})", f"recall ({network.name})"), shares, strict=True)
    return row
