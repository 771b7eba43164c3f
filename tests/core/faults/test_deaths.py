"""A process of a run that dies takes the run with it, in time and with a word."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
SLOW = """
import time
from unite_core.cli import main
from unite_core.objective import JointObjective
forward = JointObjective.forward
def slow(self, batch):
    time.sleep(1)
    return forward(self, batch)
JointObjective.forward = slow
main()
"""


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


@contextmanager
def launched(
    output: Path, settings: Mapping[str, int], *program: str
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Two ranks of a program that takes `unite`'s words and trains, their launcher first."""
    tests = Path(__file__).parents[2]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tests), str(tests / "toy")]),
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    words = ["-m", "torch.distributed.run", "--nproc_per_node", "2", *program]
    words += ["train", "toy-small", "--output", str(output)]
    words += [
        word for name, value in settings.items() for word in ("-o", f"training.{name}={value}")
    ]
    command = [sys.executable, *words]
    with output.with_name("log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True)
    try:
        wait_until(lambda: lines(output / "log.jsonl"), "an update")
        yield process, children(process.pid)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def torchrun(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Two ranks that have a checkpoint, their launcher first."""
    with launched(tmp_path / "run", ENDLESS, "-m", "unite_core.cli") as processes:
        wait_for_a_checkpoint(tmp_path / "run")
        yield processes


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


@pytest.mark.slow
def test_a_signal_to_ranks_and_launcher_saves_the_run(tmp_path: Path) -> None:
    """As schedulers signal all of a job: torchrun gives its ranks a second one in mid-step."""
    output, program = tmp_path / "run", tmp_path / "slow.py"
    program.write_text(SLOW)
    settings = ENDLESS | {"checkpoint_steps": 10**6}
    with launched(output, settings, str(program)) as (launcher, ranks):
        for rank in ranks:
            os.kill(rank, signal.SIGTERM)
        time.sleep(0.2)
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(PATIENCE) != 0
        wait_until(lambda: not any(map(alive, ranks)), "the ranks to end")
    done = len(lines(output / "log.jsonl"))
    assert newest(output)["run"]["progress"]["step"] == done
