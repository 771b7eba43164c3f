"""Two runs on one output."""

import os
import signal
from pathlib import Path

from core.faults.children import ended, lines, start, train, wait_until

ENDLESS = {"steps": 10**6, "log_steps": 1}


def test_the_second_is_exit_2_and_the_first_goes_on(tmp_path: Path) -> None:
    output = tmp_path / "run"
    first = start(train, output, ENDLESS, log=tmp_path / "first")
    wait_until(lambda: lines(output / "log.jsonl"), "the first run")
    for resume in ([], ["--resume", "auto"]):
        second = start(train, output, ENDLESS, *resume, log=tmp_path / "second")
        assert ended(second) == 2
        assert f"another run is using {output}" in (tmp_path / "second").read_text()
    done = len(lines(output / "log.jsonl"))
    wait_until(lambda: len(lines(output / "log.jsonl")) > done, "the first run to go on")
    assert first.pid is not None
    os.kill(first.pid, signal.SIGTERM)
    assert ended(first) == 143


def test_of_two_started_together_one_trains(tmp_path: Path) -> None:
    output = tmp_path / "run"
    runs = [start(train, output, ENDLESS, log=tmp_path / "log") for _ in range(2)]
    wait_until(lambda: lines(output / "log.jsonl"), "a run")
    wait_until(lambda: not all(run.is_alive() for run in runs), "the other to give up")
    for run in runs:
        assert run.pid is not None
        if run.is_alive():
            os.kill(run.pid, signal.SIGTERM)
    assert sorted(ended(run) for run in runs) == [2, 143]
