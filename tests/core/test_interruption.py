"""Signals, and one run to a directory."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from unite_core.errors import ConfigurationError, StorageError
from unite_core.interruption import SIGNALS, exclusive, stop_on_signal

HOLD = """
import sys
from pathlib import Path
from unite_core.interruption import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_elsewhere(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the directory."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    with (
        held_elsewhere(tmp_path),
        pytest.raises(ConfigurationError, match="another run is using"),
        exclusive(tmp_path),
    ):
        pytest.fail("two runs in one directory")


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        process.kill()
        process.wait()
        with exclusive(tmp_path):
            assert (tmp_path / ".lock").exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write to output"), exclusive(tmp_path / "file"):
        pytest.fail("not a directory")


def test_a_file_system_without_locks_is_no_other_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with (
        pytest.raises(StorageError, match=r"cannot lock .*No locks available"),
        exclusive(tmp_path),
    ):
        pytest.fail("held without a lock")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_for_a_stop_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("launcher", "code"), [({}, 143), ({"TORCHELASTIC_RUN_ID": "none"}, 0)])
def test_the_second_signal_ends_the_process_but_not_a_rank_of_torchrun(
    launcher: dict[str, str], code: int
) -> None:
    twice = (
        "import os, signal\n"
        "from unite_core.interruption import stop_on_signal\n"
        "with stop_on_signal():\n"
        "    for _ in range(2): os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    command = [sys.executable, "-c", twice]
    assert subprocess.run(command, env=os.environ | launcher).returncode == code


def test_a_data_worker_obeys_its_parent_alone() -> None:
    """A signal of another sender is ignored; the parent's own ends it."""
    code = (
        "import signal, sys, time\n"
        "from unite_core.interruption import outlive_signals\n"
        "outlive_signals(0)\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        for number in SIGNALS:
            subprocess.run(["kill", f"-{int(number)}", str(worker.pid)], check=True)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(0.5)
        worker.terminate()
        assert worker.wait(10) == 0
