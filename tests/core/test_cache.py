"""Prepared data is built once, whole or not at all, by processes that may be killed."""

import errno
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from unite_core.cache import cache_root, prepared
from unite_core.errors import DataError, StorageError

BUILDER = """
import sys, time
from pathlib import Path
from unite_core.cache import prepared

def fill(directory):
    print("builds", flush=True)
    for part in range(10):
        (directory / str(part)).write_text(str(part))
        time.sleep(float(sys.argv[1]) / 10)

print("starts", flush=True)
print(len(list(prepared("set", fill).iterdir())), flush=True)
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNITE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def start(seconds: float) -> subprocess.Popen[str]:
    """A process that opens the set, and takes that long to build it where it must."""
    command = [sys.executable, "-c", BUILDER, str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def line(process: subprocess.Popen[str]) -> str:
    """What a process says next."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def directories(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_one_of_four_builds_and_the_others_wait(root: Path) -> None:
    said = [process.communicate(timeout=60)[0].split() for process in [start(1) for _ in range(4)]]
    assert sorted(said) == [["starts", "10"]] * 3 + [["starts", "builds", "10"]]
    assert directories(root) == ["set"]


def test_a_killed_builder_is_replaced_by_one_of_those_that_wait(root: Path) -> None:
    killed = start(60)
    assert [line(killed), line(killed)] == ["starts", "builds"]
    waiting = [start(0.5) for _ in range(3)]
    assert [line(process) for process in waiting] == ["starts"] * 3
    killed.kill()
    killed.communicate()
    said = [process.communicate(timeout=60)[0].split() for process in waiting]
    assert sorted(said) == [["10"]] * 2 + [["builds", "10"]]
    assert directories(root) == ["set"]


def test_what_a_killed_builder_leaves_is_never_taken_for_the_set(root: Path) -> None:
    for moment in range(10):
        builder = start(0.2)
        assert [line(builder), line(builder)] == ["starts", "builds"]
        time.sleep(0.02 * moment)
        builder.send_signal(signal.SIGKILL)
        builder.communicate()
        if "set" in directories(root):
            assert len(list((root / "set").iterdir())) == 10
            break
    assert start(0).communicate(timeout=60)[0].split()[-1] == "10"
    assert directories(root) == ["set"]


def test_a_set_that_is_there_is_not_built_again() -> None:
    place = prepared("set", lambda directory: (directory / "x").touch())
    assert prepared("set", lambda directory: pytest.fail("built again")) == place


def test_a_build_is_announced_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepared("set", lambda directory: None)
    prepared("set", lambda directory: None)
    assert caplog.messages == [f"preparing set in {root}, this once"]


def test_a_failed_build_leaves_nothing_and_is_tried_again(root: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "x").touch()
        raise DataError("no usable record")

    with pytest.raises(DataError, match="no usable record"):
        prepared("set", fail)
    assert directories(root) == []
    assert list(prepared("set", lambda directory: (directory / "y").touch()).iterdir())


def test_a_full_disk_is_named_and_leaves_nothing(root: Path) -> None:
    def fill_up(directory: Path) -> None:
        (directory / "x").touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=r"could not write the data cache .*No space left"):
        prepared("set", fill_up)
    assert directories(root) == []


SYSTEM = pytest.param("/sys", marks=pytest.mark.skipif(sys.platform != "linux", reason="no /sys"))


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/none", SYSTEM])
def test_a_cache_that_cannot_be_written_is_named(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITE_CACHE", place)
    with pytest.raises(StorageError, match=f"{place}.*: set UNITE_CACHE"):
        prepared("set", lambda directory: None)


def test_without_a_home_directory_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container whose user has no entry in its list of users."""

    def unknown(user: int) -> None:
        raise KeyError(user)

    monkeypatch.delenv("UNITE_CACHE")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(StorageError, match=r"home directory.*: set UNITE_CACHE"):
        cache_root()
