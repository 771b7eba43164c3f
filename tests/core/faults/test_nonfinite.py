"""Numbers that are not finite: no update on any rank, the samples kept, no bad checkpoint."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from core.faults.children import ended, lines, start_ranks
from core.test_checkpoint import assert_same
from core.test_training import STEPS, interrupt, log_lines, newest, toy_trainer
from torch import Tensor, nn
from toy_modality import Points
from unite_core import checkpoint
from unite_core.errors import NonFiniteError
from unite_core.objective import JointObjective
from unite_core.training import Trainer
from unite_core.types import Losses

BAD_STEP = 3


def bad_loss(trainer: Trainer, losses: Losses) -> Losses:
    return Losses(losses.total + math.inf, losses.terms)


def bad_gradient(trainer: Trainer, losses: Losses) -> Losses:
    """The loss is a number, its gradient is not."""

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * math.nan

    total = losses.total.clone()
    total.register_hook(spoil)
    return Losses(total, losses.terms)


def bad_average(trainer: Trainer, losses: Losses) -> Losses:
    next(trainer.ema.parameters()).fill_(math.inf)
    return losses


Fault = Callable[[Trainer, Losses], Losses]
FAULTS = [bad_loss, bad_gradient, bad_average]


def with_faults(trainer: Trainer, fault: Fault, steps: Sequence[int]) -> Trainer:
    """The trainer, whose updates `steps` go wrong on this rank."""
    objective = next(m for m in trainer.objective.modules() if isinstance(m, JointObjective))
    forward = objective.forward

    def faulty(batch: Points) -> Losses:
        losses = forward(batch)
        return fault(trainer, losses) if trainer.steps_done in steps else losses

    objective.forward = faulty  # type: ignore[method-assign]
    return trainer


def train_rank(rank: int, output: Path, fault: Fault) -> None:
    """Rank 1 meets a fault; at the end each leaves its weights behind."""
    trainer = toy_trainer(output, checkpoint_steps=2)
    try:
        with_faults(trainer, fault, [BAD_STEP] if rank == 1 else []).train()
    finally:
        torch.save(trainer.model.state_dict(), output / f"weights-{rank}.pt")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_rank_stops_both_before_the_update(tmp_path: Path, fault: Fault) -> None:
    output = tmp_path / "run"
    ranks = start_ranks(2, train_rank, output, fault, log=tmp_path / "log")
    codes = [ended(rank) for rank in ranks]
    said = [(tmp_path / f"log-{rank}").read_text() for rank in range(2)]
    assert codes == [4, 4], said
    assert all("rank 1" in text for text in said)
    saved = newest(output)
    assert saved["run"]["progress"]["step"] == (2 if fault is bad_average else BAD_STEP)
    assert all(t.isfinite().all() for part in ("model", "ema") for t in saved[part].values())
    left = [torch.load(output / f"weights-{rank}.pt") for rank in range(2)]
    assert_same(dict(left[0]), dict(left[1]))
    if fault is not bad_average:
        assert_same(dict(left[0]), saved["model"])
    (line,) = [json.loads(line) for line in lines(output / "nonfinite.jsonl")]
    plan = toy_trainer(tmp_path / "elsewhere").plan
    assert line["step"] == BAD_STEP
    assert line["samples"] == plan.update_indices(BAD_STEP).tolist()
    assert math.isfinite(float(line["loss"][0]))


def snapshots(trainer: Trainer) -> list[dict[str, Tensor]]:
    """The weights after each update of a whole run."""
    kept: list[dict[str, Tensor]] = []

    def keep(model: nn.Module, step: int) -> None:
        state = {f"ema.{name}": tensor for name, tensor in model.state_dict().items()}
        kept.append({n: t.clone() for n, t in (state | trainer.model.state_dict()).items()})

    trainer.train(on_preview=keep)
    return kept


@pytest.mark.parametrize("fault", [bad_loss, bad_gradient])
def test_skipped_updates_change_nothing_and_are_counted(
    tmp_path: Path, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = toy_trainer(tmp_path, on_nonfinite="skip", nonfinite_limit=2, preview_steps=1)
    states = snapshots(with_faults(trainer, fault, [3, 4]))
    assert_same(states[2], states[3])
    assert_same(states[2], states[4])
    assert not torch.equal(states[4]["decoder.out.weight"], states[5]["decoder.out.weight"])
    assert [line["skipped"] for line in log_lines(tmp_path)] == [0, 0, 0, 1, 2, 2, 2, 2]
    assert "2 of 2 that may be" in caplog.text
    assert all(math.isfinite(v) for line in log_lines(tmp_path) for v in line.values())
    kept = [json.loads(line) for line in lines(tmp_path / "nonfinite.jsonl")]
    assert [line["samples"] for line in kept] == [
        trainer.plan.update_indices(step).tolist() for step in (3, 4)
    ]


def test_skipping_gives_up_after_the_limit(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"on_nonfinite": "skip", "nonfinite_limit": 2}
    trainer = with_faults(toy_trainer(tmp_path, **changes), bad_loss, range(1, 8))
    with pytest.raises(NonFiniteError, match="at step 3"):
        trainer.train()
    assert newest(tmp_path)["run"]["progress"]["step"] == 3
    assert len(lines(tmp_path / "nonfinite.jsonl")) == 3


def test_weights_that_are_not_finite_are_never_skipped(tmp_path: Path) -> None:
    trainer = toy_trainer(tmp_path, on_nonfinite="skip")
    with pytest.raises(NonFiniteError, match="no checkpoint is made of them"):
        with_faults(trainer, bad_average, [4]).train()
    assert newest(tmp_path)["run"]["progress"]["step"] == 3


def test_a_last_update_that_spoils_the_weights_is_not_saved(tmp_path: Path) -> None:
    """An update of finite numbers can overflow; the run's end is no exception."""
    trainer = toy_trainer(tmp_path, steps=4, checkpoint_steps=3)
    update = trainer.update

    def overflow() -> None:
        update()
        if trainer.steps_done == 3:
            trainer.model.decoder.out.weight.data.fill_(math.inf)

    trainer.update = overflow  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError, match="no checkpoint is made of them"):
        trainer.train()
    assert newest(tmp_path)["run"]["progress"]["step"] == 3


def test_a_run_that_skipped_resumes_bit_for_bit(tmp_path: Path) -> None:
    """Its count and its report of what it left out go on too, also after updates are repeated."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    faults = [2, 5]  # one before the stop, one after
    changes: dict[str, Any] = {"on_nonfinite": "skip", "checkpoint_steps": 4}
    with_faults(toy_trainer(whole, **changes), bad_loss, faults).train()
    first = toy_trainer(parts, preview_steps=3, **changes)
    with pytest.raises(SystemExit):
        with_faults(first, bad_loss, faults).train(on_preview=interrupt)
    assert newest(parts)["run"]["progress"]["skipped"] == 1
    for _ in range(2):
        with_faults(toy_trainer(parts, **changes), bad_loss, faults).train(resume="auto")
        for part in ("model", "ema", "optimizers"):
            assert_same(newest(whole)[part], newest(parts)[part])
        assert newest(parts)["run"]["progress"]["skipped"] == 2
        assert log_lines(parts) == log_lines(whole)
        assert lines(parts / "nonfinite.jsonl") == lines(whole / "nonfinite.jsonl")
        shutil.rmtree(parts / "checkpoints" / f"step-{STEPS:09d}")


def test_the_limit_counts_over_all_starts(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"on_nonfinite": "skip", "nonfinite_limit": 1}
    first = toy_trainer(tmp_path, preview_steps=3, **changes)
    with pytest.raises(SystemExit):
        with_faults(first, bad_loss, [2]).train(on_preview=interrupt)
    for _ in range(2):
        again = with_faults(toy_trainer(tmp_path, **changes), bad_loss, [5])
        with pytest.raises(NonFiniteError, match="at step 5"):
            again.train(resume="auto")
        assert newest(tmp_path)["run"]["progress"]["skipped"] == 1
    more = toy_trainer(tmp_path, on_nonfinite="skip", nonfinite_limit=2)
    with_faults(more, bad_loss, [5]).train(resume="auto")
    assert [json.loads(line)["step"] for line in lines(tmp_path / "nonfinite.jsonl")] == [2, 5]


def test_a_checkpoint_without_a_count_resumes(tmp_path: Path) -> None:
    """As versions before the count wrote them."""
    toy_trainer(tmp_path).train()
    state = newest(tmp_path)
    del state["run"]["progress"]["skipped"]
    checkpoint.save(tmp_path / "checkpoints", STEPS, state, keep=2)
    trainer = toy_trainer(tmp_path, steps=STEPS + 1)
    trainer.train(resume="auto")
    assert (trainer.steps_done, trainer.skipped) == (STEPS + 1, 0)
