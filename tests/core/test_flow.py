"""Laws of the linear path."""

import pytest
import torch
from unite_core import flow


def test_path_runs_from_noise_to_data() -> None:
    z, noise = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(flow.interpolate(z, noise, torch.zeros(5)), noise)
    torch.testing.assert_close(flow.interpolate(z, noise, torch.ones(5)), z)


def test_velocity_of_the_true_latents_is_the_slope_of_the_path() -> None:
    z, noise = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    t = torch.linspace(0, 0.95, 6, dtype=torch.float64)
    torch.testing.assert_close(flow.velocity(z, flow.interpolate(z, noise, t), t), z - noise)


def test_clean_inverts_velocity_also_beyond_the_clamp() -> None:
    z_hat, z_t = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)
    torch.testing.assert_close(flow.clean(flow.velocity(z_hat, z_t, t), z_t, t), z_hat)


def test_loss_weight_turns_latent_errors_into_velocity_errors() -> None:
    z, z_hat, z_t = torch.randn(3, 6, 3, 4, dtype=torch.float64)
    t = torch.linspace(0, 1, 6, dtype=torch.float64)
    error = flow.velocity(z_hat, z_t, t) - flow.velocity(z, z_t, t)
    weighted = (z_hat - z).square().mean((1, 2)) * flow.loss_weight(t)
    torch.testing.assert_close(weighted, error.square().mean((1, 2)))


@pytest.mark.parametrize(("a", "half"), [(0.5, 1 / 3), (1.0, 0.5), (2.0, 2 / 3)])
def test_time_shift_moves_the_middle_and_keeps_the_ends(a: float, half: float) -> None:
    assert flow.shift_time(0.5, a) == pytest.approx(half)
    assert (flow.shift_time(0.0, a), flow.shift_time(1.0, a)) == (0.0, 1.0)
    assert flow.shift_time(flow.shift_time(0.3, a), 1 / a) == pytest.approx(0.3)


def test_training_times_are_a_shifted_logit_normal() -> None:
    torch.manual_seed(0)
    t = flow.draw_times(200_000, 0.5, torch.device("cpu"))
    back = flow.shift_time(t, 2.0).logit()
    assert back.mean().item() == pytest.approx(0.0, abs=0.01)
    assert back.std().item() == pytest.approx(1.0, abs=0.01)


def test_time_grid_rises_from_noise_to_data() -> None:
    grid = flow.time_grid(10, 0.5)
    assert (grid[0].item(), grid[-1].item()) == (0.0, 1.0)
    assert (grid.diff() > 0).all()
