"""What a run tells: log.jsonl, TensorBoard, and the terminal."""

import json
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from torch.utils.tensorboard import SummaryWriter

from unite_core.locations import COMMAND, LOG

CONFIG = "config.yaml"
PLAIN_LINE_SECONDS = 10.0


class RunLog:
    """Appends to the log of a run in `output` that has done `step` updates.

    Lines of later updates, left by a run that was cut off, are removed. `config` is saved beside,
    and the command of each start.
    """

    def __init__(self, output: Path, step: int, config: Mapping[str, Any]) -> None:
        (output / CONFIG).write_text(yaml.safe_dump(dict(config), sort_keys=False))
        with (output / COMMAND).open("a") as file:
            file.write(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n")
        forget_after(output / LOG, step)
        self.file = (output / LOG).open("a", buffering=1)
        self.tensorboard = SummaryWriter(str(output / "tensorboard"), purge_step=step + 1)
        self.tensorboard.add_text("config", f"```\n{yaml.safe_dump(dict(config))}\n```", step)
        console = Console(stderr=True)
        self.terminal = Bar(console) if console.is_terminal else PlainLines(console)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.terminal.close()
        self.tensorboard.close()
        self.file.close()

    def write(
        self, step: int, fraction: float, seconds_left: float, values: Mapping[str, float]
    ) -> None:
        """One line of `values`; `fraction` of the run is done."""
        self.file.write(json.dumps({"step": step, **values}) + "\n")
        for name, value in values.items():
            self.tensorboard.add_scalar(name, value, step)
        self.terminal.show(fraction, summary(step, seconds_left, values))


def summary(step: int, seconds_left: float, values: Mapping[str, float]) -> str:
    """The terminal's line."""
    figures = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
    return f"step {step}  {figures}  left {timedelta(seconds=round(seconds_left))}"


def forget_after(path: Path, step: int) -> None:
    """Drop the JSON lines of updates after `step`, and a last line cut short."""
    if not path.exists():
        return
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    path.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))


class PlainLines:
    """For output that is not a terminal: a line now and then."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown = float("-inf")

    def show(self, fraction: float, text: str) -> None:
        if time.monotonic() - self.shown >= PLAIN_LINE_SECONDS or fraction >= 1.0:
            self.shown = time.monotonic()
            self.console.print(f"{fraction:4.0%}  {text}", highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing is held open."""


class Bar:
    """A progress bar with the figures under it."""

    def __init__(self, console: Console) -> None:
        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.description}"))
        self.progress = Progress(*columns, console=console)
        self.task = self.progress.add_task("starting", total=1.0)
        self.progress.start()

    def show(self, fraction: float, text: str) -> None:
        self.progress.update(self.task, completed=fraction, description=text)

    def close(self) -> None:
        self.progress.stop()
