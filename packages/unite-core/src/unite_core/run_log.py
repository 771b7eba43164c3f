"""What a run tells: log.jsonl, TensorBoard, and the terminal."""

import json
import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from torch.utils.tensorboard import SummaryWriter

from unite_core.locations import COMMAND, LOG
from unite_core.nonfinite import REPORT
from unite_core.storage import writing

logger = logging.getLogger(__name__)
CONFIG = "config.yaml"
PLAIN_LINE_SECONDS = 10.0


class RunLog:
    """Appends to the log of a run in `output` that has done `step` updates.

    Lines of later updates, left by a run that was cut off, are removed from it and from
    nonfinite.jsonl. `config` is saved beside, and the command of each start.
    """

    def __init__(self, output: Path, step: int, config: Mapping[str, Any]) -> None:
        with writing(output / LOG):
            (output / CONFIG).write_text(yaml.safe_dump(dict(config), sort_keys=False))
            with (output / COMMAND).open("a") as file:
                file.write(shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\n")
            forget_after(output / LOG, step)
            forget_after(output / REPORT, step - 1)  # it numbers updates by those before them
            self.file = (output / LOG).open("a", buffering=1)
        self.tensorboard = Tracker(output / "tensorboard", step, config)
        console = Terminal(stderr=True)
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
        with writing(self.file.name):
            self.file.close()

    def write(
        self, step: int, fraction: float, seconds_left: float, values: Mapping[str, float]
    ) -> None:
        """One line of `values`; `fraction` of the run is done."""
        fraction = min(fraction, 1.0)  # the last update ends after the time that is set
        with writing(self.file.name):
            self.file.write(json.dumps({"step": step, **values}) + "\n")
        self.tensorboard.write(step, values)
        self.tell(fraction, summary(step, seconds_left, values))

    def tell(self, fraction: float, text: str) -> None:
        """A line on the terminal."""
        with suppress(OSError):  # a run goes on where nobody reads its lines
            self.terminal.show(fraction, text)


class Tracker:
    """TensorBoard while its directory can be written; when it cannot, a warning, once."""

    def __init__(self, directory: Path, step: int, config: Mapping[str, Any]) -> None:
        self.directory = directory
        self.writer: SummaryWriter | None = None
        with self.expendable():
            self.writer = SummaryWriter(str(directory), purge_step=step + 1)
            self.writer.add_text("config", f"```\n{yaml.safe_dump(dict(config))}\n```", step)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """A point on each curve."""
        if self.writer is not None:
            with self.expendable():
                for name, value in values.items():
                    self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still held."""
        if self.writer is not None:
            with self.expendable():
                self.writer.close()

    @contextmanager
    def expendable(self) -> Iterator[None]:
        """A run is worth more than its pictures: a failure inside ends the tracking alone."""
        try:
            yield
        except Exception as error:  # a tracker's own errors are of any kind
            self.writer = None
            logger.warning("no TensorBoard in %s from here on: %s", self.directory, error)


def summary(step: int, seconds_left: float, values: Mapping[str, float]) -> str:
    """The terminal's line."""
    figures = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
    return f"step {step}  {figures}  left {timedelta(seconds=round(seconds_left))}"


def forget_after(path: Path, step: int) -> None:
    """Drop the JSON lines of updates after `step`, and a last line cut short."""
    if not path.exists():
        return
    whole = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
    kept = path.with_suffix(".kept")
    kept.write_text("".join(line for line in whole if json.loads(line)["step"] <= step))
    kept.replace(path)  # so that a process killed here loses no line


class Terminal(Console):
    """A console that falls silent when its reader goes away, where rich would end the run."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


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
