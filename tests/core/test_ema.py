"""The average of the weights."""

import pytest
import torch
from torch import nn
from unite_core.ema import averaged, ramped_decay


def test_decay_ramps_up_to_the_configured_one() -> None:
    decays = [ramped_decay(0.9, n) for n in range(200)]
    assert decays[0] == pytest.approx(0.1)
    assert decays == sorted(decays)
    assert decays[-1] == 0.9


def test_average_follows_the_recursion() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = averaged(model, 0.5)
    expected = None
    for n, value in enumerate([1.0, 2.0, 5.0, -1.0]):
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
        # the first update takes the weights as they are; the counter rises after each
        decay = ramped_decay(0.5, n)
        expected = value if expected is None else decay * expected + (1 - decay) * value
        assert average.module.weight.item() == pytest.approx(expected)


def test_average_of_constant_weights_is_the_weights() -> None:
    model = nn.Linear(3, 3)
    average = averaged(model, 0.99)
    for _ in range(5):
        average.update_parameters(model)
    torch.testing.assert_close(average.module.weight, model.weight)


def test_average_is_apart_from_training() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    average = averaged(model, 0.9)
    assert not average.module.training
    assert not any(p.requires_grad for p in average.module.parameters())
    nn.init.zeros_(model[0].weight)
    assert average.module[0].weight.any()


def test_state_carries_the_count_of_updates() -> None:
    model = nn.Linear(2, 2)
    first, second = averaged(model, 0.9), averaged(model, 0.9)
    for _ in range(3):
        first.update_parameters(model)
    second.load_state_dict(first.state_dict())
    nn.init.ones_(model.weight)
    first.update_parameters(model)
    second.update_parameters(model)
    assert torch.equal(first.module.weight, second.module.weight)
