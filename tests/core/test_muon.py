"""Muon on stacks of matrices."""

import torch
from torch import nn
from torch.optim import Muon
from unite_core.muon import StackedMuon, orthogonalised


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
        found = orthogonalised(torch.randn(shape), (3.4445, -4.7750, 2.0315), 5, 1e-7)
        values = torch.linalg.svdvals(found.float())
        assert float((values - 1).abs().max()) < 0.4
