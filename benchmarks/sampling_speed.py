"""How long `unite sample` takes for 10,000 molecules, imports and all: in one process and in one
for each core, as written and compiled, the first time and again, with rounds and without.

On a GPU in one process alone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from environment import Row, publish
from peak import accelerator

MODULE = ["-m", "unite_core.cli", "sample"]
ROUNDS = 2
"""The default of molecules."""
WAYS = [
    ("as written", ROUNDS),
    ("compiled, first time", ROUNDS),
    ("compiled, again", ROUNDS),
    ("compiled, again", 0),
]
"""Code and rounds; what one compiles serves those that follow."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9-small")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--name", default="sampling_speed", help="of the result file")
    arguments = parser.parse_args()
    alone = accelerator().type != "cpu" or torch.get_num_threads() == 1
    wanted = [arguments.model, "-n", str(arguments.count), "--steps", str(arguments.steps)]
    rows = []
    for processes in [1] if alone else [1, torch.get_num_threads()]:
        with tempfile.TemporaryDirectory() as scratch:
            rows += [measure(processes, wanted, Path(scratch), *way) for way in WAYS]
    made_by = {"model": arguments.model, "count": arguments.count, "steps": arguments.steps}
    publish(arguments.name, rows, **made_by)


def measure(processes: int, wanted: list[str], scratch: Path, how: str, rounds: int) -> Row:
    """Seconds of the whole command; what it compiles is kept in `scratch`."""
    launcher = [sys.executable, *MODULE]
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(scratch / "compiled")}
    if processes > 1:
        torchrun = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
        launcher = [sys.executable, *torchrun, *MODULE]
        environment["OMP_NUM_THREADS"] = "1"
    options = ["--output", str(scratch / "samples.sdf"), "--rounds", str(rounds)]
    options += ["--compile"] if "compiled" in how else []
    start = time.perf_counter()
    subprocess.run([*launcher, *wanted, *options], env=environment, check=True)
    seconds = time.perf_counter() - start
    return {"processes": processes, "rounds": rounds, "code": how, "seconds": seconds}


if __name__ == "__main__":
    main()
