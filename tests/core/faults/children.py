"""Processes for faults to happen to: forks of this one, which has imported everything already."""

import logging
import multiprocessing
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import jaxtyping
import torch
import torch._dynamo
import torch.distributed.tensor  # both are imported by every trainer otherwise, a second each
from unite_core import evaluation, training  # noqa: F401 (not in each child)
from unite_core.cli import main
from unite_core.errors import UniteError

FORK = multiprocessing.get_context("fork")
PATIENCE = 60.0

# With the first gradients torch starts a thread for each GPU, and forks have no gradients from then
# on: they are had before fake tensors make it count GPUs that are not there.
torch.ones((), requires_grad=True).backward()


def exit_code(function: Callable[..., object], *arguments: Any) -> int:
    """What a process that did this alone would end with; no exception lives on in its frames."""
    try:
        function(*arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except UniteError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def start(
    function: Callable[..., object], *arguments: Any, log: Path, **environment: str
) -> BaseProcess:
    """`function` in a fork that leads a process group; what it prints goes to `log`."""

    def run() -> None:
        os.setsid()
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        os.environ.update(environment)
        logging.getLogger().handlers.clear()  # the test runner's
        torch.set_num_threads(1)
        jaxtyping.config.update("jaxtyping_disable", True)  # it wraps errors raised by signals
        sys.exit(exit_code(function, *arguments))

    process = FORK.Process(target=run)
    process.start()
    return process


def start_ranks(
    count: int, function: Callable[..., object], *arguments: Any, log: Path
) -> list[BaseProcess]:
    """`count` forks with what torchrun would tell each; the rank is put before the arguments."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    common |= {"ACCELERATE_USE_CPU": "true", "LOCAL_WORLD_SIZE": str(count)}
    common |= {"OMP_NUM_THREADS": "1"}  # as torchrun sets it; accelerate warns otherwise
    return [
        start(
            function,
            rank,
            *arguments,
            log=log.with_name(f"{log.name}-{rank}"),
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            **common,
        )
        for rank in range(count)
    ]


def unite(*arguments: object) -> None:
    """The command line, in this process."""
    sys.argv = ["unite", *map(str, arguments)]
    main()


def train(output: Path, changes: Mapping[str, object], *more: object) -> None:
    """`unite train toy-small` without pictures, with changes to its `training`."""
    changes = {"preview_steps": "null", **changes}
    settings = [f"training.{name}={value}" for name, value in changes.items()]
    overrides = [word for setting in settings for word in ("-o", setting)]
    unite("train", "toy-small", "--output", output, *overrides, *more)


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Polls; fails after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        time.sleep(0.02)


def ended(process: BaseProcess) -> int:
    """The exit code, within PATIENCE; minus the signal's number where one killed it."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
    assert process.exitcode is not None, f"still running after {PATIENCE} s"
    return process.exitcode


def lines(path: Path) -> list[str]:
    """The whole lines of a file that may not be there yet."""
    return path.read_text().splitlines() if path.exists() else []


def children(pid: int) -> list[int]:
    """Direct children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
