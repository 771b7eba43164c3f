"""What a disk refuses is told early and by name."""

import shutil
from pathlib import Path

import pytest
import torch
from core.test_objective import toy_model
from safetensors.torch import save_file
from unite_core import checkpoint
from unite_core.ema import averaged
from unite_core.errors import StorageError
from unite_core.optim import AdamWConfig, make_optimizers
from unite_core.storage import bytes_to_keep, require_room, writing


def test_a_failure_to_write_names_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"cannot write the log: .*Is a directory"),
        writing("the log"),
    ):
        tmp_path.write_text("")
    with pytest.raises(StorageError, match="cannot write weights"), writing("weights"):
        save_file({"a": torch.zeros(1)}, tmp_path / "none" / "a.safetensors")


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), writing("the log"):
        raise KeyError("mine")


def test_room_is_what_is_free_and_what_will_be_replaced(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_room(tmp_path, ["model"], free // 2)
    with pytest.raises(StorageError, match=r"needs room for .* GB .* make room"):
        require_room(tmp_path, ["model"], 2 * free)
    (tmp_path / "model").mkdir()
    with (tmp_path / "model" / "weights").open("wb") as file:
        file.truncate(2 * free)  # a sparse file: its size counts
    require_room(tmp_path, ["model"], 2 * free)
    with pytest.raises(StorageError, match="needs room"):
        require_room(tmp_path, ["checkpoints"], 2 * free)


def test_a_checkpoint_takes_no_more_than_is_asked_for(tmp_path: Path) -> None:
    model = toy_model()
    average = averaged(model, 0.9)
    (optimizer,) = make_optimizers(model, AdamWConfig())
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter.requires_grad else None
    optimizer.step()
    state = {"model": model.state_dict(), "ema": average.state_dict()}
    path = checkpoint.save(
        tmp_path, 1, {**state, "optimizers": [optimizer.state_dict()["state"]]}, keep=2
    )
    tensors = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    assert 0.9 < tensors / (bytes_to_keep(model, 1) - bytes_to_keep(model, 0)) < 1.5
