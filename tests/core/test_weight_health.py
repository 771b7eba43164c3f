"""Gradients of the two losses, and the average beside the weights."""

import pytest
import torch
from core.test_objective import reached, toy_batch, toy_model
from unite_core.config import ObjectiveConfig, TrainingConfig
from unite_core.ema import averaged
from unite_core.objective import JointObjective
from unite_core.weight_health import (
    AverageLag,
    average_finding,
    average_lag,
    gradient_balance,
    gradient_norms,
)

TRAINING = TrainingConfig(steps=100, batch_size=8, ema_decay=0.9)


def test_the_flows_gradient_grows_with_its_weight_and_reconstructions_does_not() -> None:
    model = toy_model()
    batch = toy_batch(model)
    one, ten = (
        gradient_norms(model, ObjectiveConfig(flow_weight=weight), batch, 0) for weight in (1, 10)
    )
    assert one is not None
    assert ten is not None
    assert ten[0] == pytest.approx(one[0], rel=1e-3)
    assert ten[1] == pytest.approx(10 * one[1], rel=1e-3)


def test_both_gradients_add_up_to_the_trainers() -> None:
    """By the triangle inequality, and by their being of one draw of noise."""
    model = toy_model()
    batch = toy_batch(model)
    config = ObjectiveConfig()
    norms = gradient_norms(model, config, batch, 3)
    torch.manual_seed(3)
    total = JointObjective(model, config)(batch).total
    assert reached(total, model.encoder)
    whole = [p for p in model.encoder.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, whole, allow_unused=True)
    size = float(torch.nn.utils.get_total_norm([g for g in gradients if g is not None]))
    assert norms is not None
    assert abs(norms[0] - norms[1]) <= size <= sum(norms) * (1 + 1e-6)


def test_a_separate_denoiser_shares_no_gradient() -> None:
    model = toy_model(denoiser="separate")
    assert gradient_norms(model, ObjectiveConfig(), toy_batch(model), 0) is None
    assert gradient_balance(None) == []


@pytest.mark.parametrize(
    ("norms", "state", "advice"),
    [((1.0, 1.0), "ok", ""), ((1e-6, 1.0), "ill", "lower"), ((1.0, 0.005), "watch", "raise")],
)
def test_a_gradient_that_drowns_the_other_is_named(
    norms: tuple[float, float], state: str, advice: str
) -> None:
    (finding,) = gradient_balance(norms)
    assert finding.state == state
    assert advice in finding.advice


def test_an_average_that_was_just_made_is_its_weights() -> None:
    weights = toy_model().eval()
    average = averaged(weights, 0.9).module
    batch = toy_batch(weights)
    lag = average_lag(average, weights, 50, ObjectiveConfig(), batch, 0)
    assert lag.distance == 0
    assert lag.loss == lag.loss_of_weights
    with torch.no_grad():
        for parameter in average.parameters():
            parameter.mul_(1.5)
    moved = average_lag(average, weights, 50, ObjectiveConfig(), batch, 0)
    assert moved.distance == pytest.approx(0.5, rel=1e-5)
    assert moved.loss != moved.loss_of_weights


@pytest.mark.parametrize(("loss", "state"), [(1.0, "ok"), (2.0, "watch"), (9.0, "ill")])
def test_an_average_worse_than_the_weights_is_named(loss: float, state: str) -> None:
    finding = average_finding(AverageLag(100, 0.01, loss, 1.0), 100, TRAINING)
    assert finding.state == state
    assert "remembers 10 of 100 updates" in finding.found
    assert ("lower training.ema_decay" in finding.advice) == (state != "ok")


def test_an_average_that_was_not_updated_is_ill() -> None:
    finding = average_finding(AverageLag(1, 0.0, 1.0, 1.0), 100, TRAINING)
    assert finding.state == "ill"
    assert "only 1 of 100 updates reached it" in finding.found
