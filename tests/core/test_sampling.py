"""Solvers against closed forms."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from unite_core import sampling
from unite_core.flow import CLEAN_GAP, time_grid

SPREAD = 0.3
Solver = Callable[[sampling.Denoiser, Tensor, Tensor], Tensor]


def gaussian(z: Tensor, t: Tensor) -> Tensor:
    """Posterior mean of data ~ N(0, SPREAD^2): the ODE then maps N(0, 1) to it linearly."""
    level = t.view(-1, 1, 1)
    variance = level**2 * SPREAD**2 + (1 - level) ** 2
    return level * SPREAD**2 / variance * z


def until(t_end: float, steps: int) -> Tensor:
    """Levels on which the velocity is not clamped, so that the closed form holds."""
    return time_grid(steps, 1.0) * t_end


def scale_at(t: float) -> float:
    return math.sqrt(t**2 * SPREAD**2 + (1 - t) ** 2)


def error(solver: sampling.Denoiser, steps: int) -> float:
    z = torch.ones(1, 1, 1, dtype=torch.float64)
    return abs(float(solver(gaussian, z, until(0.9, steps))) - scale_at(0.9))


@pytest.mark.parametrize(("solver", "order"), [(sampling.euler, 1), (sampling.heun, 2)])
def test_order_of_convergence(solver: sampling.Denoiser, order: int) -> None:
    measured = math.log2(error(solver, 64) / error(solver, 128))
    assert measured == pytest.approx(order, abs=0.15)


def test_dopri5_agrees_with_the_closed_form() -> None:
    assert error(sampling.dopri5, 2) < 1e-4


def test_full_grid_ends_at_the_data_distribution() -> None:
    torch.manual_seed(0)
    z = torch.randn(20_000, 1, 1, dtype=torch.float64)
    for solver in (sampling.euler, sampling.heun):
        assert float(solver(gaussian, z, time_grid(200, 1.0)).std()) == pytest.approx(
            SPREAD, rel=0.05
        )


def test_stochastic_keeps_the_distribution() -> None:
    torch.manual_seed(0)
    z = torch.randn(20_000, 1, 1, dtype=torch.float64)
    for strength in (0.5, 1.0, 2.0):
        out = sampling.stochastic(
            gaussian, z, time_grid(400, 1.0), lambda: torch.randn_like(z), strength
        )
        assert float(out.std()) == pytest.approx(SPREAD, rel=0.05)


def test_stochastic_without_fresh_noise_is_euler() -> None:
    z = torch.randn(4, 3, 2, dtype=torch.float64)
    times = until(1 - CLEAN_GAP, 20)
    still = sampling.stochastic(gaussian, z, times, lambda: torch.full_like(z, 1e6), 0.0)
    torch.testing.assert_close(still, sampling.euler(gaussian, z, times))


def test_all_fresh_noise_contracts_the_distribution() -> None:
    torch.manual_seed(0)
    z = torch.randn(20_000, 1, 1, dtype=torch.float64)
    out = sampling.stochastic(
        gaussian, z, time_grid(50, 1.0), lambda: torch.randn_like(z), math.inf
    )
    assert float(out.std()) < 0.9 * SPREAD


def test_guidance_one_is_conditional_and_zero_unconditional() -> None:
    z, t = torch.randn(4, 3, 2), torch.full((4,), 0.5)

    def unconditional(z: Tensor, t: Tensor) -> Tensor:
        return -z

    def at(scale: float) -> Tensor:
        return sampling.guided(gaussian, unconditional, scale)(z, t)

    assert torch.equal(at(1.0), gaussian(z, t))
    torch.testing.assert_close(at(0.0), unconditional(z, t))
    torch.testing.assert_close(at(2.0), 2 * gaussian(z, t) - unconditional(z, t))


def test_guidance_outside_its_interval_is_conditional() -> None:
    z = torch.randn(4, 3, 2)
    denoise = sampling.guided(gaussian, lambda z, t: -z, 3.0, interval=(0.1, 1.0))
    for level in (0.05, 1.0):
        t = torch.full((4,), level)
        assert torch.equal(denoise(z, t), gaussian(z, t))


def fake_noise() -> Tensor:
    return torch.randn(2, 3, 4, device="cuda")


@pytest.mark.parametrize(
    "solver",
    [
        sampling.euler,
        sampling.heun,
        partial(sampling.stochastic, noise=fake_noise, strength=2.0),
    ],
)
def test_solvers_stay_on_the_device_of_the_latents(solver: Solver) -> None:
    """On a GPU that is not there: its tensors have no values, but mixing devices fails.

    dopri5 looks at values.
    """
    times = time_grid(3, 0.5)
    with FakeTensorMode():
        out = solver(lambda z, t: z * t[:, None, None], fake_noise(), times)
    assert out.device.type == "cuda"
    assert out.dtype == torch.float32
