"""What is said about failures of the machine."""

import pytest
import torch
from unite_core.config import RunConfig
from unite_core.failures import explain, less_memory
from unite_core.recipes import load_recipe


@pytest.fixture
def config() -> RunConfig:
    overrides = ["training.batch_size=96", "training.accumulation=4", "objective.draws=6"]
    return load_recipe("toy-small", overrides)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_lack_of_memory_is_told_with_what_was_held_at_once(
    config: RunConfig, error: Exception
) -> None:
    told = explain(error, config, 7, processes=2)
    assert told is not None
    assert told.exit_code == 1
    assert "at step 7: 12 samples went through at once" in str(told)
    assert "batch_size 96, accumulation 4, 2 processes) with 6 of 6 flow draws" in str(told)


def test_the_cpu_allocators_own_error_is_known(config: RunConfig) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    told = explain(caught.value, config, 0, processes=1)
    assert told is not None
    assert str(told).startswith("out of memory")


def test_advice_leaves_out_what_is_done_already(config: RunConfig) -> None:
    advice = less_memory(config, 1)
    ways = ["activation_checkpointing=true", "chunk=1", "accumulation=8", "fewer objective.draws"]
    assert [way for way in ways if way in advice] == ways
    done = {"activation_checkpointing": True, "draws": 1}
    lean = config.model_copy(update={"objective": config.objective.model_copy(update=done)})
    assert not [way for way in ways if way in less_memory(lean, 24)]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "),
        RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly"),
        ConnectionResetError(104, "Connection reset by peer"),
        EOFError(),
    ],
)
def test_a_dead_data_worker_is_told_where_there_are_workers(
    config: RunConfig, error: Exception
) -> None:
    with_workers = config.model_copy(
        update={"training": config.training.model_copy(update={"workers": 3})}
    )
    told = explain(error, with_workers, 7, processes=1)
    assert told is not None
    assert "a data worker died at step 7" in str(told)
    assert "fewer training.workers than 3" in str(told)
    assert explain(error, config, 7, processes=1) is None


def test_other_errors_speak_for_themselves(config: RunConfig) -> None:
    errors = [
        RuntimeError("shapes differ"),
        KeyError("training"),
        ConnectionError("Caught ConnectionError in DataLoader worker process 0."),
    ]
    assert [explain(error, config, 0, processes=1) for error in errors] == [None] * 3
