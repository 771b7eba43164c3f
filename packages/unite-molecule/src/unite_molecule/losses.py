"""How far a prediction is from the molecules it should be."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unite_molecule.config import LossWeights
from unite_molecule.decoder import MoleculePrediction, pair_distances
from unite_molecule.layout import MoleculeBatch


def class_loss(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean cross entropy over the leading axes."""
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return (losses * weight.flatten()).sum() / weight.sum().clamp(min=1)


def coordinate_loss(prediction: MoleculePrediction, target: MoleculeBatch) -> Tensor:
    """Mean squared distance of the tokens' atoms [A^2]."""
    atoms = (prediction.coordinates - target.coordinates).square().sum(-1) * target.mask
    return atoms.sum() / target.mask.sum()


def over_hydrogens(error: Float[Tensor, "b n 4"], target: MoleculeBatch) -> Tensor:
    """Mean over the hydrogens that there are."""
    return (error * target.filled).sum() / target.filled.sum().clamp(min=1)


def distance_loss(prediction: MoleculePrediction, target: MoleculeBatch, bonded: float) -> Tensor:
    """Squared error of pair distances [A^2], bonded pairs counting `bonded` times."""
    pairs = target.mask[:, :, None] & target.mask[:, None]
    pairs = pairs & ~torch.eye(pairs.shape[1], dtype=torch.bool, device=pairs.device)
    error = pair_distances(prediction.coordinates) - pair_distances(target.coordinates)
    weight = pairs * torch.where(target.bonds > 0, bonded, 1.0)
    return (error.square() * weight).sum() / weight.sum().clamp(min=1)


def lengths(x: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b"]:
    """Euclidean length, with a finite gradient at zero."""
    return (x.square().sum(-1) + 1e-8).sqrt()


def molecule_loss(
    prediction: MoleculePrediction,
    target: MoleculeBatch,
    elements: Tensor,
    charges: Tensor,
    weights: LossWeights,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum and its terms. `elements`, `charges` [b, n] are the target's class labels."""
    token = target.mask.float()
    pairs = target.mask[:, :, None] & target.mask[:, None]
    off_diagonal = ~torch.eye(pairs.shape[1], dtype=torch.bool, device=pairs.device)
    atoms = coordinate_loss(prediction, target)
    hydrogens = over_hydrogens((prediction.offsets - target.offsets).square().sum(-1), target)
    gaps = lengths(prediction.offsets) - lengths(target.offsets)
    stretch = over_hydrogens(gaps.square(), target)
    terms = {
        "element": weights.element * class_loss(prediction.elements, elements, token),
        "charge": weights.charge * class_loss(prediction.charges, charges, token),
        "hydrogen": weights.hydrogen * class_loss(prediction.hydrogens, target.hydrogens, token),
        "bond": weights.bond * class_loss(prediction.bonds, target.bonds, pairs & off_diagonal),
        "coordinate": weights.coordinate * (atoms + hydrogens),
        "distance": weights.distance
        * (distance_loss(prediction, target, weights.bonded) + stretch),
    }
    total = torch.stack(list(terms.values())).sum()
    rmsd = atoms.detach().sqrt()
    return total, {**{name: term.detach() for name, term in terms.items()}, "rmsd": rmsd}
