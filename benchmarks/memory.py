"""Peak memory of training qm9-small, on all of QM9 and on parts of it."""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environment import Row, publish

UNITE = str(Path(sys.executable).with_name("unite"))


def peak_gigabytes(command: list[str]) -> float:
    """Largest resident size of a command's process; raises where the command fails."""
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    kilobyte = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return usage.ru_maxrss * kilobyte / 1e9


def measure(limit: str, steps: int) -> Row:
    """One run on `limit` molecules, "null" being all."""
    overrides = ["training.minutes=null", f"training.steps={steps}", f"data.limit={limit}"]
    options = [part for override in overrides for part in ("-o", override)]
    with tempfile.TemporaryDirectory() as folder:
        peak = peak_gigabytes([UNITE, "train", "qm9-small", "--output", f"{folder}/run", *options])
    return {"training_molecules": "all" if limit == "null" else limit, "peak_gigabytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    rows = [measure(limit, steps) for limit in ("1000", "10000", "null")]
    publish("memory", rows, recipe="qm9-small", steps=steps)


if __name__ == "__main__":
    main()
