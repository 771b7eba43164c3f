"""A signal ends a run between two updates, with its state saved; a second one ends it at once."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from core.faults.children import ended, lines, start, start_ranks, train, wait_until
from core.test_training import newest, toy_trainer
from toy_modality import Points
from unite_core.interruption import SIGNALS
from unite_core.objective import JointObjective
from unite_core.types import Losses

ENDLESS = {"steps": 10**6, "log_steps": 1, "checkpoint_steps": 10**6}
LIMIT = 30.0
"""Seconds in which a run has to be over."""


def train_as_rank(rank: int, output: Path) -> None:
    train(output, ENDLESS)


def last_step(output: Path) -> int:
    return int(json.loads(lines(output / "log.jsonl")[-1])["step"])


def wait_for_steps(output: Path) -> None:
    wait_until(lambda: len(lines(output / "log.jsonl")) >= 3, "three updates")


@pytest.mark.parametrize(("number", "workers"), [(SIGNALS[0], 0), *((n, 2) for n in SIGNALS)])
def test_a_signal_to_all_processes_of_a_run_saves_it(
    tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    """To the group, as a terminal and most schedulers send it: data workers get it too."""
    output, log = tmp_path / "run", tmp_path / "log"
    run = start(train, output, ENDLESS | {"workers": workers}, log=log)
    wait_for_steps(output)
    sent = time.monotonic()
    assert run.pid is not None
    os.killpg(run.pid, number)
    assert ended(run) == 143, log.read_text()
    assert time.monotonic() - sent < LIMIT
    step = last_step(output)
    assert newest(output)["run"]["progress"]["step"] == step
    on = start(train, output, {"steps": step + 2, "log_steps": 1}, "--resume", "auto", log=log)
    assert ended(on) == 0, log.read_text()
    steps = [json.loads(line)["step"] for line in lines(output / "log.jsonl")]
    assert steps == list(range(1, step + 3))


@pytest.mark.parametrize("told", [[0], [1], [0, 1]])
def test_a_signal_to_any_rank_stops_all_at_one_step(tmp_path: Path, told: list[int]) -> None:
    output = tmp_path / "run"
    ranks = start_ranks(2, train_as_rank, output, log=tmp_path / "log")
    wait_for_steps(output)
    for rank in told:
        pid = ranks[rank].pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
    assert [ended(rank) for rank in ranks] == [143, 143], (tmp_path / "log-1").read_text()
    assert newest(output)["run"]["progress"]["step"] == last_step(output)


class Stuck(JointObjective):
    """Its second update takes an hour."""

    calls = 0

    def forward(self, batch: Points) -> Losses:
        self.calls += 1
        if self.calls == 2:
            end = time.monotonic() + 3600
            while time.monotonic() < end:
                time.sleep(0.05)
        return super().forward(batch)


def test_a_second_signal_ends_a_run_that_is_stuck(tmp_path: Path) -> None:
    output = tmp_path / "run"
    run = start(lambda: toy_trainer(output, Stuck).train(), log=tmp_path / "log")
    wait_until(lambda: lines(output / "log.jsonl"), "an update")
    assert run.pid is not None
    os.kill(run.pid, signal.SIGTERM)
    time.sleep(0.5)
    assert run.is_alive()
    sent = time.monotonic()
    os.kill(run.pid, signal.SIGTERM)
    assert ended(run) == 143
    assert time.monotonic() - sent < 1.0
