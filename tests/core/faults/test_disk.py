"""A disk that is full or read-only costs no checkpoint, leaves no litter, and ends in exit 5."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from core.faults import small_disks
from core.faults.children import ended, start, start_ranks, train
from core.test_checkpoint import assert_same, saved_steps
from core.test_training import newest, toy_trainer
from torch import nn
from unite_core import checkpoint
from unite_core.errors import StorageError
from unite_core.model import load_model

ROOM = 4_000_000
LEFT = [0, 4096, 20_000, 80_000, 150_000, 220_000, 290_000, 320_000]
"""Bytes free when a checkpoint of 277,000 and then an export of 87,000 are due."""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a small disk can be mounted by a process that has left the namespace."""
    probe = start(small_disks.leave_namespace, log=tmp_path / "probe")
    if ended(probe):
        pytest.skip("this system does not let users mount: no small disk to fill")
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def on_disk(disk: Path, size: int, work: Callable[[Path], None]) -> int:
    """The exit code of `work` on a fresh disk; its assertions are its own."""

    def enter() -> None:
        small_disks.leave_namespace()
        small_disks.mount(disk, size)
        work(disk)

    return ended(start(enter, log=disk.parent / "log"))


def snapshot(output: Path) -> dict[str, Any]:
    return {path.name: checkpoint.load(path) for path in checkpoint.found(output / "checkpoints")}


def breaks_at_step_6(output: Path, break_disk: Callable[[], object]) -> None:
    """Trains; the disk breaks after update 5; the run stops, with all that it had saved whole."""
    trainer = toy_trainer(output, preview_steps=5, log_steps=10**6)
    before: dict[str, Any] = {}

    def break_it(model: nn.Module, step: int) -> None:
        before.update(snapshot(output))
        break_disk()

    with pytest.raises(StorageError, match="cannot write") as caught:
        trainer.train(on_preview=break_it)
    assert caught.value.exit_code == 5
    assert list(before) == ["step-000000003"]
    assert_same(before, {name: state for name, state in snapshot(output).items() if name in before})
    assert not list(output.rglob(".tmp-*"))
    load_model(output)


@pytest.mark.parametrize("left", LEFT)
def test_a_disk_that_fills_up_costs_no_checkpoint(disk: Path, left: int) -> None:
    def work(place: Path) -> None:
        output = place / "run"
        fillers: list[Path] = []
        breaks_at_step_6(output, lambda: fillers.append(small_disks.fill(place, left)))
        fillers[0].unlink()
        toy_trainer(output).train(resume="auto")
        toy_trainer(place / "whole").train()
        assert_same(
            newest(place / "whole"), newest(output) | {"run": newest(place / "whole")["run"]}
        )

    assert on_disk(disk, ROOM, work) == 0, (disk.parent / "log").read_text()


def test_a_disk_that_turns_read_only_costs_no_checkpoint(disk: Path) -> None:
    """Only where checkpoints are: a disk on which the log is open cannot be made so at will."""

    def work(place: Path) -> None:
        output = place / "run"
        breaks_at_step_6(output, lambda: small_disks.freeze(output / "checkpoints"))

    assert on_disk(disk, ROOM, work) == 0, (disk.parent / "log").read_text()


def test_too_little_room_is_found_before_the_first_step(disk: Path) -> None:
    def work(place: Path) -> None:
        with pytest.raises(StorageError, match=r"needs room for .* GB free: make room"):
            toy_trainer(place / "run").train()
        assert not (place / "run" / "log.jsonl").exists()

    assert on_disk(disk, 200_000, work) == 0, (disk.parent / "log").read_text()


def test_a_read_only_output_is_exit_5_before_anything_is_computed(disk: Path) -> None:
    def work(place: Path) -> None:
        small_disks.make_read_only(place)
        train(place / "run", {"steps": 3})

    assert on_disk(disk, ROOM, work) == 5
    said = (disk.parent / "log").read_text()
    assert said.startswith("error: cannot write to output")
    assert "Traceback" not in said


def test_a_limit_on_file_sizes_costs_no_checkpoint(tmp_path: Path) -> None:
    """Quotas and ulimit refuse as full disks do, on every system."""
    output = tmp_path / "run"

    def work() -> None:
        breaks_at_step_6(output, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000)))

    assert ended(start(work, log=tmp_path / "log")) == 0, (tmp_path / "log").read_text()
    assert saved_steps(output / "checkpoints") == [3]


def train_rank(rank: int, output: Path) -> None:
    """The first rank cannot write its checkpoint."""
    trainer = toy_trainer(output, log_steps=10**6)
    if rank == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
    trainer.train()


def test_a_rank_that_cannot_write_ends_the_others(tmp_path: Path) -> None:
    ranks = start_ranks(2, train_rank, tmp_path / "run", log=tmp_path / "log")
    first, second = (ended(rank) for rank in ranks)
    assert first == 5, (tmp_path / "log-0").read_text()
    assert second != 0
