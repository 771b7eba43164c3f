"""Weights in shards: two processes that hold half each compute what two that hold all would."""

from pathlib import Path
from typing import Any

import pytest
import torch
from core import sharded_worker
from core.distributed_worker import toy_objective
from core.test_checkpoint import assert_same
from core.two_processes import run_twice
from unite_core import checkpoint
from unite_core.model import load_model
from unite_core.sharding import gathered, shard_like, whole


def test_whole_tensors_stay_as_they_are() -> None:
    tensor = torch.randn(3)
    assert whole(tensor) is tensor
    assert shard_like(tensor, torch.zeros(3)) is tensor
    tree = {"a": (tensor, {"b": tensor}), "c": 1.5}
    kept = gathered(tree, keep=False)
    assert kept["a"][0] is tensor
    assert kept["a"][1]["b"] is tensor
    assert kept["c"] == 1.5


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two gloo processes trained."""
    output = tmp_path_factory.mktemp("sharded")
    run_twice([sharded_worker.__file__, str(output)])
    return output


def state_of(run: Path) -> dict[str, Any]:
    found = checkpoint.latest(run / "checkpoints")
    assert found is not None
    return found[1]


def tensors_of(run: Path) -> dict[str, torch.Tensor]:
    """All tensors of a run's last checkpoint by their paths."""
    tensors: dict[str, torch.Tensor] = {}
    state = state_of(run)
    for part in ("model", "ema", "optimizers"):
        checkpoint.flatten(state[part], part, tensors)
    return tensors


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_shards_train_as_whole_weights_do(runs: Path, optimizer: str) -> None:
    cut, uncut = tensors_of(runs / optimizer), tensors_of(runs / f"{optimizer}-whole")
    assert cut.keys() == uncut.keys()
    for name, tensor in uncut.items():
        torch.testing.assert_close(cut[name], tensor, rtol=1e-4, atol=1e-6, msg=name)
    start = toy_objective().model.state_dict()
    moved = [not torch.equal(cut[f"model/{name}"], tensor) for name, tensor in start.items()]
    assert sum(moved) > len(moved) / 2


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_resumed_shards_equal_uninterrupted_ones(runs: Path, optimizer: str) -> None:
    whole_run, resumed = state_of(runs / optimizer), state_of(runs / f"{optimizer}-resumed")
    for part in ("model", "ema", "optimizers"):
        assert_same(whole_run[part], resumed[part])


@pytest.mark.slow
def test_the_average_is_exported_whole(runs: Path) -> None:
    tensors = load_model(runs / "muon" / "model").state_dict()
    average = state_of(runs / "muon")["ema"]
    for name, tensor in tensors.items():
        torch.testing.assert_close(tensor, average[f"module.{name}"], rtol=0, atol=0)
