"""How far a prediction is from the molecules it should be."""

from itertools import permutations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from unite_molecule.config import LossWeights
from unite_molecule.decoder import MoleculePrediction, pair_distances
from unite_molecule.layout import MAX_HYDROGENS, MoleculeBatch

ORDERS = torch.tensor(list(permutations(range(MAX_HYDROGENS))))


def class_loss(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean cross entropy over the leading axes."""
    losses = F.cross_entropy(logits.flatten(0, -2), labels.flatten(), reduction="none")
    return (losses * weight.flatten()).sum() / weight.sum().clamp(min=1)


def matched_offsets(
    predicted: Float[Tensor, "b n 4 3"], target: MoleculeBatch
) -> Float[Tensor, "b n 4 3"]:
    """The target's hydrogens in the order of the prediction's slots that costs least.

    Hydrogens of one atom are a set; only orders that keep the taken slots first are allowed.
    """
    orders = ORDERS.to(predicted.device)
    cost = (predicted.detach()[..., :, None, :] - target.offsets[..., None, :, :]).square().sum(-1)
    filled = target.filled
    forbidden = filled[..., :, None] != filled[..., None, :]
    cost = (cost * (filled[..., :, None] & filled[..., None, :])).masked_fill(forbidden, 1e9)
    slots = torch.arange(MAX_HYDROGENS, device=predicted.device)
    best = orders[cost[..., slots, orders].sum(-1).argmin(-1)]
    return target.offsets.gather(2, best[..., None].expand_as(target.offsets))


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
    atoms, offsets = (
        coordinate_loss(prediction, target),
        matched_offsets(prediction.offsets, target),
    )
    hydrogens = over_hydrogens((prediction.offsets - offsets).square().sum(-1), target)
    stretch = over_hydrogens((lengths(prediction.offsets) - lengths(offsets)).square(), target)
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
