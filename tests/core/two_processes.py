"""Programs that torchrun starts twice, on CPUs, with the toy modality installed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]


def run_twice(words: Sequence[str]) -> str:
    """What two gloo processes of a program print: `words` are its file or module, and arguments."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS / "toy")]),
        "CUDA_VISIBLE_DEVICES": "",
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", *words]
    done = subprocess.run(
        command, env=environment, check=True, timeout=300, stdout=subprocess.PIPE, text=True
    )
    return done.stdout
