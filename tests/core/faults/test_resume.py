"""Two processes stopped in mid-epoch and resumed do what they would have done uninterrupted."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from core.faults.children import ended, start_ranks
from core.test_checkpoint import assert_same
from core.test_training import interrupt, log_lines, newest, toy_trainer
from unite_core.config import AdamWConfig, MuonConfig
from unite_core.errors import ConfigurationError

ACCUMULATIONS, OPTIMIZERS, WORKERS = (1, 4), ("adamw", "muon"), (0, 2)
CONFIGS = {"adamw": AdamWConfig(), "muon": MuonConfig()}


def place(output: Path, *names: object) -> Path:
    return output / "-".join(map(str, names))


def train_all(rank: int, output: Path) -> None:
    """Every case: a whole run, and for each number of workers one that is stopped and resumed."""

    def run(name: Path, resume: Any = None, on_preview: Any = None, **changes: Any) -> None:
        trainer = toy_trainer(name, **changes)
        try:
            trainer.train(resume, on_preview)
        except SystemExit:
            assert trainer.steps_done % trainer.plan.epoch_length == 1
        weights = [torch.zeros(0)] * 2
        torch.distributed.all_gather_object(weights, trainer.model.state_dict())
        assert_same(dict(weights[0]), dict(weights[1]))
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()

    for accumulation, optimizer in product(ACCUMULATIONS, OPTIMIZERS):
        case: dict[str, Any] = {"accumulation": accumulation, "optimizer": CONFIGS[optimizer]}
        run(place(output, "whole", accumulation, optimizer), **case)
        for workers in WORKERS:
            parts = place(output, "parts", accumulation, optimizer, workers)
            run(parts, None, interrupt, preview_steps=4, **case)
            run(parts, "auto", workers=workers, **case)
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote."""
    output = tmp_path_factory.mktemp("two")
    ranks = start_ranks(2, train_all, output, log=output / "log")
    assert [ended(rank) for rank in ranks] == [0, 0], (output / "log-0").read_text()
    return output


@pytest.mark.slow
@pytest.mark.parametrize("accumulation", ACCUMULATIONS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("workers", WORKERS)
def test_two_processes_resumed_equal_uninterrupted_ones(
    two_ranks: Path, accumulation: int, optimizer: str, workers: int
) -> None:
    whole = place(two_ranks, "whole", accumulation, optimizer)
    parts = place(two_ranks, "parts", accumulation, optimizer, workers)
    for part in ("model", "ema", "optimizers"):
        assert_same(newest(whole)[part], newest(parts)[part])
    assert log_lines(whole) == log_lines(parts)


@pytest.mark.slow
def test_another_number_of_processes_is_refused(two_ranks: Path) -> None:
    output = place(two_ranks, "whole", 1, "muon")
    before = newest(output)
    with pytest.raises(ConfigurationError, match="made with processes 2, this run has 1"):
        toy_trainer(output).train(resume="auto")
    assert_same(before, newest(output))
