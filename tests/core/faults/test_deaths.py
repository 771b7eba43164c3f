"""A process of a run that dies takes the run with it, in time and with a word."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from core.faults.children import (
    PATIENCE,
    alive,
    children,
    ended,
    lines,
    start,
    train,
    wait_until,
)
from core.test_training import newest

ENDLESS = {"steps": 10**6, "log_steps": 1, "checkpoint_steps": 10}


def wait_for_a_checkpoint(output: Path) -> None:
    wait_until(lambda: len(lines(output / "log.jsonl")) >= 12, "a checkpoint")


def test_a_data_worker_that_is_killed_ends_the_run(tmp_path: Path) -> None:
    output, log = tmp_path / "run", tmp_path / "log"
    run = start(train, output, ENDLESS | {"workers": 2}, log=log)
    wait_for_a_checkpoint(output)
    assert run.pid is not None
    first, second = children(run.pid)
    os.kill(first, signal.SIGKILL)
    assert ended(run) == 1
    said = log.read_text().splitlines()[-1]
    assert said.startswith("error: a data worker died at step")
    assert "fewer training.workers than 2" in said
    wait_until(lambda: not alive(second), "the other worker to end")
    assert newest(output)["run"]["progress"]["step"] >= 10


def test_data_workers_do_not_outlive_a_killed_run(tmp_path: Path) -> None:
    output = tmp_path / "run"
    run = start(train, output, ENDLESS | {"workers": 2}, log=tmp_path / "log")
    wait_for_a_checkpoint(output)
    assert run.pid is not None
    workers = children(run.pid)
    assert len(workers) == 2
    run.kill()
    assert ended(run) == -signal.SIGKILL
    wait_until(lambda: not any(map(alive, workers)), "the workers to end")


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Two ranks in training, their launcher first."""
    tests = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests / "toy")]),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    words = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "unite_core.cli"]
    words += ["train", "toy-small", "--output", str(tmp_path / "run")]
    words += [
        word for name, value in ENDLESS.items() for word in ("-o", f"training.{name}={value}")
    ]
    command = [sys.executable, *words]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
    try:
        wait_for_a_checkpoint(tmp_path / "run")
        yield process, children(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_all(
    tmp_path: Path, torchrun: tuple[subprocess.Popen[str], list[int]]
) -> None:
    launcher, ranks = torchrun
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    assert launcher.wait(PATIENCE) != 0
    wait_until(lambda: not any(map(alive, ranks)), "the other rank to end")
    assert newest(tmp_path / "run")["run"]["progress"]["step"] >= 10


@pytest.mark.slow
def test_a_launcher_that_is_told_to_stop_saves_the_run(
    tmp_path: Path, torchrun: tuple[subprocess.Popen[str], list[int]]
) -> None:
    launcher, ranks = torchrun
    sent = time.monotonic()
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(PATIENCE) != 0
    assert time.monotonic() - sent < 30
    wait_until(lambda: not any(map(alive, ranks)), "the ranks to end")
    done = len(lines(tmp_path / "run" / "log.jsonl"))
    assert newest(tmp_path / "run")["run"]["progress"]["step"] == done
