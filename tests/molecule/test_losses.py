from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from unite_molecule.config import LossWeights
from unite_molecule.decoder import BOND_ORDERS, MoleculePrediction
from unite_molecule.layout import MAX_HYDROGENS
from unite_molecule.losses import class_loss, molecule_loss

SMILES = ("CCO", "C", "CC#N", "NC=O")
CLASSES = 10
GEOMETRY = ("coordinate", "distance")


@pytest.fixture
def target(batch_of):
    return batch_of(*SMILES)


def one_hot(labels, classes):
    """Logits that are as sure as they can be."""
    return 1000.0 * F.one_hot(labels, classes).float()


def perfect(target):
    return MoleculePrediction(
        elements=one_hot(target.elements, CLASSES),
        charges=one_hot(target.charges + 1, CLASSES),
        hydrogens=one_hot(target.hydrogens, MAX_HYDROGENS + 1),
        coordinates=target.coordinates.clone(),
        offsets=target.offsets.clone(),
        bonds=one_hot(target.bonds, BOND_ORDERS),
    )


def loss(prediction, target, **weights):
    labels = target.elements, target.charges + 1
    return molecule_loss(prediction, target, *labels, LossWeights(**weights))


def disturbed(target, scale=0.1):
    torch.manual_seed(0)
    prediction = perfect(target)
    return replace(
        prediction,
        coordinates=prediction.coordinates + scale * torch.randn_like(prediction.coordinates),
        offsets=prediction.offsets + scale * torch.randn_like(prediction.offsets),
    )


def test_perfect_prediction_costs_nothing(target):
    total, terms = loss(perfect(target), target)
    assert float(total) == pytest.approx(0, abs=1e-6)
    assert all(float(term) == pytest.approx(0, abs=1e-6) for term in terms.values())


@pytest.mark.parametrize("name", ["elements", "charges", "hydrogens", "bonds"])
def test_each_wrong_class_costs(target, name):
    prediction = perfect(target)
    shifted = getattr(prediction, name).roll(1, dims=-1)
    total, _ = loss(replace(prediction, **{name: shifted}), target)
    assert float(total) > 100


@pytest.mark.parametrize("name", ["coordinates", "offsets"])
def test_misplaced_atoms_cost(target, name):
    prediction = perfect(target)
    moved = getattr(prediction, name) * 1.1
    assert float(loss(replace(prediction, **{name: moved}), target)[0]) > 1e-3


def test_rmsd_of_a_known_shift(target):
    prediction = perfect(target)
    shift = torch.tensor([0.3, 0.0, 0.4])
    _, terms = loss(replace(prediction, coordinates=prediction.coordinates + shift), target)
    assert float(terms["rmsd"]) == pytest.approx(0.5, rel=1e-5)
    assert float(terms["distance"]) == pytest.approx(0, abs=1e-6)


def test_coordinate_term_is_quadratic(target):
    small, large = (loss(disturbed(target, s), target)[1]["coordinate"] for s in (1e-3, 2e-3))
    assert float(large / small) == pytest.approx(4, rel=1e-3)


def test_bonded_distances_weigh_more(target):
    prediction = disturbed(target)
    weighed, plain = (
        loss(prediction, target, bonded=weight)[1]["distance"] for weight in (10.0, 1.0)
    )
    assert not torch.isclose(weighed, plain)


@pytest.mark.parametrize("term", GEOMETRY)
def test_turned_prediction_keeps_its_distances(target, term):
    """Only the coordinate term knows how the molecule lies in its frame."""
    turn = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    prediction = perfect(target)
    turned = replace(
        prediction, coordinates=prediction.coordinates @ turn, offsets=prediction.offsets @ turn
    )
    value = float(loss(turned, target)[1][term])
    assert value == pytest.approx(0, abs=1e-5) if term == "distance" else value > 1


def test_hydrogens_are_compared_place_by_place(target):
    """Their order is the tokenizer's: the loss does not choose one, as that choice would jump."""
    row, methyl = (target.hydrogens == 3).nonzero()[0].tolist()
    offsets = target.offsets.clone()
    offsets[row, methyl, :3] = target.offsets[row, methyl, [1, 2, 0]]
    gaps = (offsets - target.offsets).square().sum(-1)[target.filled]
    found = loss(replace(perfect(target), offsets=offsets), target, coordinate=1.0)[1]
    assert float(found["coordinate"]) == pytest.approx(float(gaps.mean()), rel=1e-4)
    assert float(gaps.mean()) > 0.1


def test_empty_slots_and_padding_are_free(target):
    prediction = perfect(target)
    free = ~target.filled[..., None]
    rubbish = replace(
        prediction,
        offsets=prediction.offsets.masked_fill(free, 7.0),
        coordinates=prediction.coordinates.masked_fill(~target.mask[..., None], 7.0),
    )
    assert float(loss(rubbish, target)[0]) == pytest.approx(0, abs=1e-6)


def test_padding_changes_nothing(batch_of):
    target, padded = batch_of(*SMILES), batch_of(*SMILES, multiple=8)
    n = target.mask.shape[1]
    whole = disturbed(padded)
    fields = ("elements", "charges", "hydrogens", "coordinates", "offsets")
    cut = {name: getattr(whole, name)[:, :n] for name in fields}
    expected = loss(MoleculePrediction(**cut, bonds=whole.bonds[:, :n, :n]), target)[0]
    torch.testing.assert_close(loss(whole, padded)[0], expected)


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_gradients_are_finite_where_atoms_coincide(target, scale):
    prediction = perfect(target)
    x = torch.zeros_like(prediction.coordinates, requires_grad=True)
    offsets = (scale * prediction.offsets).detach().requires_grad_()
    loss(replace(prediction, coordinates=x, offsets=offsets), target)[0].backward()
    assert x.grad.isfinite().all()
    assert offsets.grad.isfinite().all()
    assert x.grad.any()


def test_class_loss_of_undecided_logits_is_the_log_of_their_number():
    weight = torch.tensor([1.0, 1.0, 0.0])
    labels = torch.tensor([0, 3, 1])
    value = class_loss(torch.zeros(3, 5), labels, weight)
    torch.testing.assert_close(value, torch.tensor(5.0).log())
