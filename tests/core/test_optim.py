"""Parameter groups and the learning rate's schedule."""

import pytest
import torch
from core.test_objective import toy_model
from torch import nn
from torch.optim import Muon, Optimizer
from unite_core.config import AdamWConfig, MuonConfig
from unite_core.optim import fraction_done, make_optimizers, set_rates, warmup_cosine
from unite_core.parameters import tag_adamw, tagged_adamw


def held(optimizer: Optimizer) -> set[int]:
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


@pytest.mark.parametrize("config", [AdamWConfig(), MuonConfig()])
def test_groups_partition_the_trainable_parameters(config: AdamWConfig | MuonConfig) -> None:
    model = toy_model()
    trainable = [id(p) for p in model.parameters() if p.requires_grad]
    groups = [held(optimizer) for optimizer in make_optimizers(model, config)]
    assert sorted(i for group in groups for i in group) == sorted(trainable)


def test_muon_takes_exactly_the_untagged_matrices() -> None:
    model = toy_model()
    muon, adamw = make_optimizers(model, MuonConfig())
    assert isinstance(muon, Muon)
    matrices = {
        id(p) for p in model.parameters() if p.requires_grad and p.ndim == 2 and not tagged_adamw(p)
    }
    assert held(muon) == matrices
    assert id(model.encoder.blocks[0].attention.qkv.weight) in held(muon)
    assert id(model.encoder.register_code) in held(adamw)


def test_a_tag_moves_a_matrix_to_adamw() -> None:
    tagged, plain = tag_adamw(nn.Linear(2, 2, bias=False)), nn.Linear(2, 2, bias=False)
    muon, adamw = make_optimizers(nn.Sequential(tagged, plain), MuonConfig())
    assert held(muon) == {id(plain.weight)}
    assert held(adamw) == {id(tagged.weight)}


def test_frozen_parameters_are_left_alone() -> None:
    frozen = nn.Linear(2, 2).requires_grad_(False)
    model = nn.Sequential(frozen, nn.Linear(2, 2))
    optimizers = make_optimizers(model, MuonConfig())
    assert not any(id(frozen.weight) in held(optimizer) for optimizer in optimizers)


def test_each_optimizer_keeps_its_own_rate() -> None:
    optimizers = make_optimizers(
        toy_model(), MuonConfig(learning_rate=0.4, adamw_learning_rate=0.2)
    )
    set_rates(optimizers, 0.5)
    set_rates(optimizers, 0.25)
    rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
    assert rates == pytest.approx([0.1, 0.05])


def test_a_small_step_lowers_the_loss() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(4, 4), torch.randn(8, 4)
    before = model(x).square().mean()
    before.backward()
    for optimizer in make_optimizers(model, MuonConfig()):
        optimizer.step()
    assert model(x).square().mean() < before


@pytest.mark.parametrize(
    ("step", "fraction", "factor"),
    [(0, 0.0, 0.1), (4, 0.0, 0.5), (9, 0.0, 1.0), (50, 0.5, 0.55), (99, 1.0, 0.1), (99, 1.2, 0.1)],
)
def test_schedule(step: int, fraction: float, factor: float) -> None:
    rate = warmup_cosine(step, warmup_steps=10, fraction=fraction, final_rate=0.1)
    assert rate == pytest.approx(factor)


def test_without_warmup_the_first_update_is_at_the_full_rate() -> None:
    assert warmup_cosine(0, 0, 0.0, 0.0) == 1.0


def test_the_run_ends_by_steps_or_by_minutes() -> None:
    assert fraction_done(5, 10, seconds=1e9, minutes=None) == 0.5
    assert fraction_done(5, 10, seconds=45.0, minutes=1.0) == 0.75
    assert fraction_done(9, 10, seconds=45.0, minutes=1.0) == 0.9
