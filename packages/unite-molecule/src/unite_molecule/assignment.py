"""The likeliest elements, charges, hydrogens and bonds that fit together."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

JOINS = 3
"""How often pieces found apart are joined before a molecule is given up: of a trained model hardly
any are, and those of one barely trained would be solved over and over."""

UNLIKELY = 20.0
"""States and orders this much less likely (natural logarithm) than the best are not considered."""


@dataclass(frozen=True)
class Beliefs:
    """Log-probabilities of one molecule's n tokens, and what is allowed.

    A state is (element class, charge class, hydrogens, sum of bond orders to other tokens); the sum
    of formal charges lies between the two `totals`.
    """

    elements: np.ndarray  # [n, e]
    charges: np.ndarray  # [n, c]
    hydrogens: np.ndarray  # [n, 5]
    bonds: np.ndarray  # [n, n, 4], symmetric
    states: np.ndarray  # [s, 4]
    formal_charges: np.ndarray  # [c], of each class
    totals: tuple[int, int]

    def of_states(self) -> np.ndarray:
        """Log-probability of each state of each token [n, s]."""
        element, charge, hydrogens, _ = self.states.T
        parts = (self.elements[:, element], self.charges[:, charge], self.hydrogens[:, hydrogens])
        return np.asarray(sum(parts))


@dataclass(frozen=True)
class Assignment:
    """One choice for everything: `elements` and `charges` are classes."""

    elements: np.ndarray  # [n]
    charges: np.ndarray  # [n]
    hydrogens: np.ndarray  # [n]
    bonds: np.ndarray  # [n, n], orders, symmetric

    def first_piece(self) -> np.ndarray:
        """Which tokens hang together with the first one [n], bool.

        scipy's connected_components takes four times as long for a chain of nine.
        """
        reached: np.ndarray = np.arange(len(self.bonds)) == 0
        while True:
            further = reached | self.bonds[reached].any(0)
            if (further == reached).all():
                return reached
            reached = further

    def fits(self, beliefs: Beliefs) -> bool:
        """Whether tokens are in known states, the charge is allowed and the molecule one piece."""
        own = (self.elements, self.charges, self.hydrogens, self.bonds.sum(1))
        known = set(map(tuple, beliefs.states.tolist()))
        low, high = beliefs.totals
        return (
            known.issuperset(map(tuple, np.stack(own, 1).tolist()))
            and bool(low <= beliefs.formal_charges[self.charges].sum() <= high)
            and bool(self.first_piece().all())
        )


def independent(beliefs: Beliefs) -> Assignment:
    """The likeliest class of each quantity by itself."""
    orders = beliefs.bonds.argmax(-1)
    return Assignment(
        beliefs.elements.argmax(-1),
        beliefs.charges.argmax(-1),
        beliefs.hydrogens.argmax(-1),
        orders * ~np.eye(len(orders), dtype=bool),
    )


class Program:
    """The integer program: one state for each token, one order for each pair, valences equal, and
    an allowed total charge.

    Maximises the sum of log-probabilities. Pieces found apart are joined by adding a constraint
    that some bond leaves one of them.
    """

    def __init__(self, beliefs: Beliefs) -> None:
        self.beliefs, n = beliefs, len(beliefs.elements)
        first, second = np.triu_indices(n, 1)
        scores, orders = beliefs.of_states(), beliefs.bonds[first, second]
        self.token, self.state = np.nonzero(scores > scores.max(1, keepdims=True) - UNLIKELY)
        self.pair, self.order = np.nonzero(orders > orders.max(1, keepdims=True) - UNLIKELY)
        self.first, self.second = first[self.pair], second[self.pair]
        self.cost = -np.concatenate([scores[self.token, self.state], orders[self.pair, self.order]])
        states, pairs = len(self.token), len(self.pair)
        one_state = self.row_sums(n, self.token, np.ones(states), 0)
        one_order = self.row_sums(len(first), self.pair, np.ones(pairs), states)
        used = -beliefs.states[self.state, 3].astype(float)
        valence = self.row_sums(n, self.token, used, 0)
        for end in (self.first, self.second):
            valence = valence + self.row_sums(n, end, self.order.astype(float), states)
        charges = beliefs.formal_charges[beliefs.states[self.state, 1]].astype(float)
        total = self.row_sums(1, np.zeros(states, int), charges, 0)
        self.constraints = [
            LinearConstraint(total, *beliefs.totals),
            LinearConstraint(one_state, 1, 1),
            LinearConstraint(one_order, 1, 1),
            LinearConstraint(valence, 0, 0),
        ]

    def row_sums(self, rows: int, row: np.ndarray, values: np.ndarray, start: int) -> csr_matrix:
        """A matrix that adds up variables `start` + k, times values[k], in row[k]."""
        columns = start + np.arange(len(row))
        return csr_matrix((values, (row, columns)), shape=(rows, len(self.cost)))

    def solve(self) -> Assignment | None:
        """The best assignment, None where nothing fits."""
        result = milp(
            self.cost,
            constraints=self.constraints,
            integrality=np.ones_like(self.cost),
            bounds=Bounds(0, 1),
        )
        if result.x is None:
            return None
        chosen = result.x > 0.5
        states, orders = chosen[: len(self.token)], chosen[len(self.token) :]
        n = len(self.beliefs.elements)
        bonds = np.zeros((n, n), dtype=np.int64)
        bonds[self.first[orders], self.second[orders]] = self.order[orders]
        element, charge, hydrogens, _ = self.beliefs.states[self.state[states]].T
        return Assignment(element, charge, hydrogens, bonds + bonds.T)

    def join(self, piece: np.ndarray) -> None:
        """Demands a bond between the tokens in `piece` [n] and the others."""
        leaving = (piece[self.first] != piece[self.second]) & (self.order > 0)
        row = self.row_sums(1, np.zeros(len(leaving), int), leaving.astype(float), len(self.token))
        self.constraints.append(LinearConstraint(row, 1, np.inf))


def assign(beliefs: Beliefs) -> Assignment:
    """The likeliest assignment in known states, with an allowed total charge and in one piece.

    Where none is found, the likeliest of each by itself: such a molecule is not valid.
    """
    simple = independent(beliefs)
    if simple.fits(beliefs):
        return simple
    program = Program(beliefs)
    for _ in range(1 + JOINS):
        found = program.solve()
        if found is None:
            return simple
        piece = found.first_piece()
        if piece.all():
            return found
        program.join(piece)
    return simple
