"""The likeliest choice that fits, against a search of all choices."""

from dataclasses import replace
from itertools import product
from unittest import mock

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from unite_molecule.assignment import JOINS, Assignment, Beliefs, Program, assign, independent

NEUTRALS = [(0, 0, 4, 0), (0, 0, 3, 1), (0, 0, 2, 2), (0, 0, 1, 3), (1, 0, 1, 1), (1, 0, 0, 2)]
IONS = [(0, 1, 2, 1), (0, 1, 1, 2), (1, 1, 0, 1), (1, 2, 1, 2)]
STATES = np.array(NEUTRALS + IONS)
"""Carbons and oxygens: element, charge, hydrogens, orders of other bonds."""

CHARGES = np.array([0, -1, 1])
NEUTRAL = (0, 0)


def logs(*shape: int, rng: np.random.Generator) -> np.ndarray:
    values = rng.normal(size=shape) * 2
    return values - np.log(np.exp(values).sum(-1, keepdims=True))


def beliefs(n: int, seed: int) -> Beliefs:
    rng = np.random.default_rng(seed)
    scores = logs(n, n, 4, rng=rng)
    bonds = np.maximum(scores, scores.transpose(1, 0, 2))
    heads = logs(n, 2, rng=rng), logs(n, 3, rng=rng), logs(n, 5, rng=rng)
    return Beliefs(*heads, bonds, STATES, CHARGES, NEUTRAL)


def told(elements: np.ndarray, hydrogens: np.ndarray, bonds: np.ndarray) -> Beliefs:
    """With charges that are most likely zero."""
    charges = np.tile(np.log([0.9, 0.05, 0.05]), (len(elements), 1))
    return Beliefs(elements, charges, hydrogens, bonds, STATES, CHARGES, NEUTRAL)


def score(about: Beliefs, choice: Assignment) -> float:
    n = len(choice.elements)
    rows = np.arange(n)
    first, second = np.triu_indices(n, 1)
    return float(
        about.elements[rows, choice.elements].sum()
        + about.charges[rows, choice.charges].sum()
        + about.hydrogens[rows, choice.hydrogens].sum()
        + about.bonds[first, second, choice.bonds[first, second]].sum()
    )


def best_by_search(about: Beliefs) -> float:
    """The score of the best of all choices that fit."""
    n = len(about.elements)
    first, second = np.triu_indices(n, 1)
    best = -np.inf
    for orders in product(range(4), repeat=len(first)):
        bonds = np.zeros((n, n), dtype=int)
        bonds[first, second] = bonds[second, first] = orders
        options = [STATES[STATES[:, 3] == total] for total in bonds.sum(1)]
        for states in product(*options):
            element, charge, hydrogens, _ = np.array(states).T
            choice = Assignment(element, charge, hydrogens, bonds)
            if choice.fits(about):
                best = max(best, score(about, choice))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_fits_is_likelier(seed: int) -> None:
    about = beliefs(3, seed)
    found = assign(about)
    assert found.fits(about)
    assert score(about, found) == pytest.approx(best_by_search(about), abs=1e-5)


def test_what_fits_already_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methanol, told without doubt, needs no program."""
    monkeypatch.setattr(Program, "solve", lambda self: pytest.fail("there was nothing to solve"))
    sure = np.log(np.eye(5) * 0.99 + 0.002)
    bonds = np.zeros((2, 2, 4)) + np.log([0.97, 0.01, 0.01, 0.01])
    bonds[0, 1] = bonds[1, 0] = np.log([0.01, 0.97, 0.01, 0.01])
    about = told(sure[[0, 1], :2], sure[[3, 1]], bonds)
    found = assign(about)
    assert found.hydrogens.tolist() == [3, 1]
    assert found.bonds.tolist() == [[0, 1], [1, 0]]


def test_first_piece_is_the_connected_component() -> None:
    rng = np.random.default_rng(0)
    for n in rng.integers(1, 10, 200):
        upper = np.triu(rng.integers(1, 4, (n, n)) * (rng.random((n, n)) < 0.25), 1)
        bonds = upper + upper.T
        none = np.zeros(n, dtype=int)
        _, labels = connected_components(csr_matrix(bonds), directed=False)
        found = Assignment(none, none, none, bonds).first_piece()
        assert np.array_equal(found, labels == labels[0])


def test_pieces_are_joined() -> None:
    """Two methyls that see no bond get one; apart, as methanes, they would be likelier."""
    hydrogens = np.log(np.array([[0.01, 0.01, 0.01, 0.17, 0.8]] * 2))
    bonds = np.zeros((2, 2, 4)) + np.log([0.9, 0.05, 0.03, 0.02])
    elements = np.log(np.array([[0.99, 0.01]] * 2))
    about = told(elements, hydrogens, bonds)
    apart = Program(about).solve()
    assert apart is not None
    assert apart.hydrogens.tolist() == [4, 4]
    found = assign(about)
    assert found.hydrogens.tolist() == [3, 3]
    assert found.bonds[0, 1] == 1


def test_what_stays_apart_is_given_up() -> None:
    """Each head's own choice is left where the joins are used up."""
    about = beliefs(6, seed=0)
    alone = independent(about)
    assert not alone.fits(about)
    none = np.zeros(6, dtype=int)
    apart = Assignment(none, none, none, np.zeros((6, 6), dtype=int))
    with mock.patch.object(Program, "solve", return_value=apart) as solve:
        found = assign(about)
    assert solve.call_count == 1 + JOINS
    assert np.array_equal(found.bonds, alone.bonds)


def test_a_lone_ion_is_no_way_out() -> None:
    """CH2-CH3 would be likeliest as an anion, which the training data do not have."""
    carbons = np.log(np.array([[0.999, 0.001]] * 2))
    hydrogens = np.log(
        np.array([[0.001, 0.001, 0.897, 0.1, 0.001], [0.001, 0.001, 0.001, 0.996, 0.001]])
    )
    bonds = np.zeros((2, 2, 4)) + np.log([0.001, 0.997, 0.001, 0.001])
    about = told(carbons, hydrogens, bonds)
    charged = assign(replace(about, totals=(-1, 0), charges=np.log(np.full((2, 3), 1 / 3))))
    assert CHARGES[charged.charges].tolist() == [-1, 0]
    neutral = assign(about)
    assert CHARGES[neutral.charges].tolist() == [0, 0]
    assert neutral.hydrogens.tolist() == [3, 3]


def test_the_impossible_is_left_as_it_is() -> None:
    """A lone oxygen with one hydrogen is in no known state, and there is no other choice."""
    about = beliefs(1, 0)
    only = replace(about, states=STATES[4:5])
    found, plain = assign(only), independent(only)
    assert (found.elements, found.hydrogens) == (plain.elements, plain.hydrogens)
    assert not found.fits(only)
