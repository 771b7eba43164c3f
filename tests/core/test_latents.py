"""Noise by rows, the recorder on a solver's way, and the arc between two latents."""

import math

import pytest
import torch
from torch import Tensor
from unite_core import sampling
from unite_core.flow import time_grid
from unite_core.latents import Recorder, RowNoise, equal_size_rows, spherical
from unite_core.types import Layout


def test_row_noise_ignores_batch_mates() -> None:
    layout = Layout(torch.tensor([2, 3]))
    both = RowNoise([(0, 0), (0, 1)], layout, 4)
    alone = RowNoise([(0, 1)], layout[torch.tensor([1])], 4)
    for _ in range(2):
        assert torch.equal(both()[1:], alone())


def test_row_noise_is_standard_normal_and_fresh() -> None:
    source = RowNoise([(0, i) for i in range(500)], Layout(torch.full((500,), 5)), 4)
    first, second = source(), source()
    assert first.std().item() == pytest.approx(1, abs=0.03)
    assert abs(float((first * second).mean())) < 0.03


def test_equal_size_rows_partition_the_samples() -> None:
    sizes = torch.tensor([3, 2, 3, 3, 2])
    groups = [rows.tolist() for rows in equal_size_rows(sizes, 2)]
    assert sorted(row for rows in groups for row in rows) == [0, 1, 2, 3, 4]
    assert all(len({int(sizes[row]) for row in rows}) == 1 and len(rows) <= 2 for rows in groups)


def test_row_noise_is_as_long_as_its_layout() -> None:
    layout = Layout(torch.tensor([2, 3]), length=5)
    noise = RowNoise([(0, 0), (0, 1)], layout, 4)()
    assert noise.shape == (2, 5, 4)
    assert noise.ne(0).any(-1).sum(1).tolist() == [2, 3]
    short = RowNoise([(0, 0), (0, 1)], Layout(layout.sizes), 4)()
    assert torch.equal(noise[:, :3], short)


def level_itself(z: Tensor, t: Tensor) -> Tensor:
    return t.view(-1, 1, 1).expand_as(z)


@pytest.mark.parametrize("solver", [sampling.euler, sampling.heun])
def test_a_recorder_keeps_the_estimates_of_its_levels(solver: sampling.Denoiser) -> None:
    times = time_grid(10, 0.5)
    recorder = Recorder(level_itself, times[[0, 4, 9]])
    z = torch.randn(2, 3, 4)
    assert torch.equal(solver(recorder, z, times), solver(level_itself, z, times))
    found = [recorder.kept[level][0, 0, 0].item() for level in recorder.levels]
    assert found == pytest.approx(times[[0, 4, 9]].tolist())


def test_a_recorder_keeps_the_last_look_at_a_level() -> None:
    answers = iter([1.0, 2.0, 3.0])
    recorder = Recorder(lambda z, t: torch.full_like(z, next(answers)), torch.tensor([0.5]))
    for level in (0.5, 0.5, 0.7):
        recorder(torch.zeros(1, 1, 1), torch.tensor([level]))
    assert recorder.kept[0.5].item() == 2.0


def test_an_arc_turns_evenly_at_constant_length() -> None:
    torch.manual_seed(0)
    a, b = (torch.nn.functional.normalize(torch.randn(3, 8), dim=-1) * 2.5 for _ in range(2))
    arc = spherical(a, b, torch.linspace(0, 1, 7))
    torch.testing.assert_close(arc.norm(dim=-1), torch.full((7, 3), 2.5))
    turns = torch.cosine_similarity(arc[1:], arc[:-1], dim=-1).acos()
    torch.testing.assert_close(turns, turns[:1].expand_as(turns), atol=1e-3, rtol=0)


def test_an_arc_between_a_right_angle_is_known() -> None:
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    middle = spherical(a, b, torch.tensor([0.5]))
    torch.testing.assert_close(middle, torch.full((1, 1, 2), 2 * math.sqrt(0.5)))


def test_the_ends_of_an_arc_are_its_points() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(4, 8), torch.randn(4, 8)
    a[1], b[2], a[3], b[3] = -b[1], a[2], 0.0, 0.0  # opposite, equal, padding
    arc = spherical(a, b, torch.linspace(0, 1, 3))
    torch.testing.assert_close(arc[0], a, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(arc[2], b, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(arc[1, 2], a[2])
    assert bool(arc.isfinite().all())
