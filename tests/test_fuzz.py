"""A short run of benchmarks/fuzz.py, and whether it would notice what it is for."""

import ctypes
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from unite_core.errors import DataError

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.slow
def test_no_spoilt_file_breaks_a_reader():
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / "fuzz.py"), "--cases", "200"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cases 200") == 7


@pytest.fixture
def fuzz(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import fuzz

    return fuzz


def forget(path):
    raise KeyError(path)


def refuse(path):
    raise DataError("no such thing")


def hang(path):
    ctypes.PyDLL(None).sleep(60)


def crash(path):
    os.kill(os.getpid(), signal.SIGKILL)


def hoard(path):
    return {"x": len(b"x" * 500_000_000) - 500_000_000}


@pytest.mark.parametrize(
    ("read", "verdict"),
    [
        (lambda path: {}, "read"),
        (lambda path: {"odd": 0}, "read"),
        (lambda path: {"odd": 2}, "rejected in part"),
        (refuse, "refused: DataError"),
        (forget, "FAILED: KeyError in test_fuzz.py"),
        (hang, "FAILED: crashed, or took 1 s"),
        (crash, "FAILED: crashed, or took 1 s"),
        (hoard, "FAILED: "),
    ],
)
def test_every_failure_is_seen(fuzz, monkeypatch, read, verdict):
    reader = replace(fuzz.READERS["override"], read=read)
    monkeypatch.setitem(fuzz.READERS, "override", reader)
    enough = 0.0 if read is hoard else 100.0  # a fork's peak begins with what it shares
    said = fuzz.run("override", cases=3, seed=0, seconds=1.0, gigabytes=enough)
    assert len(said) == 3
    assert all(one.startswith(verdict) for one in said[:1])
    assert (fuzz.report("override", said)["FAILED"] > 0) == verdict.startswith("FAILED")


def test_cases_depend_on_seed_and_number_alone(fuzz):
    for reader in fuzz.READERS.values():
        cases = [reader.case(0, number) for number in range(20)]
        assert cases == [reader.case(0, number) for number in range(20)]
        assert len(set(cases)) > 15
        assert cases != [reader.case(1, number) for number in range(20)]
