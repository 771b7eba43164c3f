"""Where stdout is closed or full, nobody reads, there is no terminal, no home or no network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unite_core.cli.terminal import progress

TESTS = Path(__file__).parents[1]
UNITE = [sys.executable, "-m", "unite_core.cli"]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory for commands of the toy modality; no hub, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(TESTS / "toy"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """A line of shell in which "unite" is the command."""
    full = f'unite() {{ "{sys.executable}" -m unite_core.cli "$@"; }}; {line}'
    return subprocess.run(["sh", "-c", full], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(alone: Path, closed: str) -> None:
    done = shell(f"unite list {closed}")
    assert (done.returncode, done.stderr) == (0, "")
    assert ("toy-small" in done.stdout) == (">&-" not in closed.split())


def test_an_error_has_its_exit_code_though_stderr_is_closed(alone: Path) -> None:
    assert shell("unite info none 2>&-").returncode == 5


def test_a_reader_that_has_enough_is_no_error(alone: Path) -> None:
    done = shell("unite list | head -n 1")
    assert (done.stdout, done.stderr) == ("modalities\n", "")


@LINUX
def test_output_that_does_not_fit_on_the_disk_is_one_line(alone: Path) -> None:
    done = shell("unite list > /dev/full")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "No space left on device" in done.stderr


@pytest.mark.slow
def test_training_goes_on_when_nobody_reads_its_lines(alone: Path) -> None:
    """As in `unite train RECIPE 2>&1 | head`, or when the terminal's other end is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [*UNITE, "train", "toy-small", "--output", "run"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, timeout=120)
    os.close(writing)
    assert done.returncode == 0
    assert Path("run/model/model.safetensors").is_file()


@pytest.mark.slow
def test_without_terminal_and_home_training_says_plain_lines(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", os.devnull)
    command = [*UNITE, "train", "toy-small", "--output", "run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert done.stderr.startswith("  0%  starts on cpu, products in float32\n")
    assert "100%  step 6" in done.stderr
    assert not {"\x1b", "\r"} & set(done.stderr)


@pytest.mark.parametrize("command", ["info", "report", "sample --output s.json"])
def test_a_hub_id_without_network_is_one_line(alone: Path, command: str) -> None:
    name, _, options = command.partition(" ")
    done = shell(f"unite {name} owner/model {options}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
    assert "error: no model 'owner/model'" in done.stderr


def test_a_hub_that_refuses_is_one_line(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(alone))
    done = shell("unite info owner/model")
    assert (done.returncode, done.stderr.count("\n")) == (5, 1)
    assert "nor on the hub: " in done.stderr


@pytest.mark.parametrize(
    ("terminal", "first", "seen"), [("1", True, True), ("", True, False), ("1", False, False)]
)
def test_progress_is_shown_on_a_terminal_alone(
    terminal: str,
    first: bool,
    seen: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", terminal)  # with a value, rich takes any file for a terminal
    with progress("samples", 5, first) as done:
        done(2)
        done(3)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("samples" in err and "5/5" in err) is seen
    assert bool(err) is seen
