"""Muon on stacks of matrices."""

import math

import pytest
import torch
from torch import nn
from torch.optim import Muon
from torch.utils.flop_counter import FlopCounterMode
from unite_core.muon import StackedMuon, gram_newton_schulz, newton_schulz, orthogonalised

QUINTIC = (3.4445, -4.7750, 2.0315)


def matrices() -> list[nn.Parameter]:
    torch.manual_seed(0)
    shapes = [(8, 24), (8, 24), (24, 8), (8, 8), (8, 24)]
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def test_moves_matrices_as_torch_does() -> None:
    stacked, single = matrices(), matrices()
    ours = StackedMuon(stacked, lr=0.1, weight_decay=0.2, momentum=0.9)
    torchs = Muon(single, lr=0.1, weight_decay=0.2, momentum=0.9, adjust_lr_fn="match_rms_adamw")
    start = matrices()
    for _ in range(4):
        for a, b in zip(stacked, single, strict=True):
            a.grad = b.grad = torch.randn_like(a)
        ours.step()
        torchs.step()
    for a, b, before in zip(stacked, single, start, strict=True):
        apart, moved = (a - b).norm(), (b - before).norm()
        assert apart < 0.02 * moved  # bfloat16


def test_a_matrix_without_a_gradient_stays() -> None:
    moved, still = matrices()[:2]
    before = still.detach().clone()
    moved.grad = torch.ones_like(moved)
    StackedMuon([moved, still], lr=0.1, weight_decay=0.1, momentum=0.9).step()
    torch.testing.assert_close(still.detach(), before, rtol=0, atol=0)


def test_its_state_is_that_of_torch() -> None:
    """Checkpoints of either serve the other."""
    stacked, single = matrices(), matrices()
    optimizers = (
        StackedMuon(stacked, lr=0.1, weight_decay=0.0, momentum=0.9),
        Muon(single, lr=0.1, weight_decay=0.0, momentum=0.9, adjust_lr_fn="match_rms_adamw"),
    )
    for parameters, optimizer in zip((stacked, single), optimizers, strict=True):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
    ours, torchs = (optimizer.state_dict()["state"] for optimizer in optimizers)
    for index in range(len(stacked)):
        buffers = (ours[index]["momentum_buffer"], torchs[index]["momentum_buffer"])
        torch.testing.assert_close(*buffers, rtol=0, atol=0)


def test_singular_values_come_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 6, 20), (3, 20, 6)):
        found = orthogonalised(torch.randn(shape), QUINTIC, 5, 1e-7)
        values = torch.linalg.svdvals(found.float())
        assert float((values - 1).abs().max()) < 0.4


def spectrum(least: float) -> torch.Tensor:
    """Two matrices [16, 40] in float64 of norm 1, singular values from `least` of the largest."""
    torch.manual_seed(0)
    left = torch.linalg.qr(torch.randn(2, 16, 16, dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(2, 40, 16, dtype=torch.float64)).Q
    values = torch.logspace(0, math.log10(least), 16, dtype=torch.float64)
    return left * (values / values.norm()) @ right.mT


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("least", [1e-1, 1e-4, 1e-8])
def test_iterating_on_the_gram_matrix_is_the_same(least: float, steps: int) -> None:
    """Also for what float32 cannot hold of the squares of small singular values."""
    y = spectrum(least)
    exact = newton_schulz(y, QUINTIC, steps)
    torch.testing.assert_close(gram_newton_schulz(y, QUINTIC, steps), exact, rtol=0, atol=1e-12)
    single = gram_newton_schulz(y.float(), QUINTIC, steps)
    assert float((single - exact).norm() / exact.norm()) < 1e-3


def test_iterating_on_the_gram_matrix_takes_fewer_operations_on_wide_matrices() -> None:
    counts = []
    for iterated in (newton_schulz, gram_newton_schulz):
        with FlopCounterMode(display=False) as counter:
            iterated(torch.randn(1, 8, 48), QUINTIC, 5)
        counts.append(counter.get_total_flops())
    assert counts == [5 * 2 * (2 * 8 * 8 * 48 + 8**3), 2 * (2 * 8 * 8 * 48 + 17 * 8**3)]
