"""Kills a run at calls to the disk of a middle save and of the last, and at random moments, and
resumes it each time.

A run killed by SIGKILL must resume from its last checkpoint or the one before, and then repeat the
uninterrupted run bit for bit. The model is the tests' own, of a few thousand weights; processes are
forks, so that a point takes about a second on a quiet machine.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch._dynamo
import torch.distributed.tensor  # both would be imported by every child, a second each
from environment import Row, publish
from trials import trainer
from unite_core import checkpoint
from unite_core.config import RunConfig
from unite_core.errors import StorageError
from unite_core.recipes import load_recipe
from unite_core.training import Trainer

STEPS, EVERY = 24, 2
"""Updates of the run, and between checkpoints."""
CRASHES = {"a save": 7, "the last save": STEPS - 1}
"""Updates before the run stops for the first time, ahead of the save that is to be cut."""
TENSORS = ("model", "ema", "optimizers")
FORK = multiprocessing.get_context("fork")
PATIENCE = 120.0

Fingerprint = list[str]
"""Of a checkpoint's tensors, and of the exported weights."""


def config(keep: int) -> RunConfig:
    """The toy recipe with many checkpoints, of which the newest `keep` are kept."""
    changes = [f"steps={STEPS}", f"checkpoint_steps={EVERY}", f"keep_checkpoints={keep}"]
    changes += ["log_steps=1", "preview_steps=1", "accumulation=2"]
    return load_recipe("toy-small", [f"training.{change}" for change in changes])


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fingerprint(path: Path) -> Fingerprint:
    """Of a checkpoint that loads."""
    checkpoint.load(path)
    return [digest(path / f"{name}.safetensors") for name in TENSORS]


def exported(output: Path) -> str:
    """Of the weights for use."""
    return digest(output / "model" / "model.safetensors")


def in_child(work: Callable[[], object]) -> Any:
    """A process that has started on `work`."""
    process = FORK.Process(target=work)
    process.start()
    return process


def finish(process: Any) -> int:
    """Its exit code."""
    process.join(PATIENCE)
    assert process.exitcode is not None, "a run hangs"
    return int(process.exitcode)


def train_whole(output: Path) -> None:
    """The uninterrupted run; leaves the fingerprints of every checkpoint and export beside it."""
    run = trainer(config(STEPS), output)
    save, exports = run.save, {}

    def noting() -> None:
        save()
        exports[run.steps_done] = exported(output)

    run.save = noting  # type: ignore[method-assign]
    run.train()
    paths = {checkpoint.step_of(path): path for path in checkpoint.found(output / "checkpoints")}
    prints = {step: [*fingerprint(path), exports[step]] for step, path in paths.items()}
    output.with_suffix(".json").write_text(json.dumps(prints))


def train_to_crash(output: Path, updates: int) -> None:
    """A run that stops after so many, between two checkpoints."""

    def crash(model: object, step: int) -> None:
        if step == updates:
            os._exit(0)

    trainer(config(2), output).train(on_preview=crash)


def resume(output: Path) -> None:
    """Trains to the end."""
    trainer(config(2), output).train(resume="auto")


class Killer:
    """A profiler that counts calls to the disk, and kills its process before number `at`."""

    def __init__(self, at: int | None) -> None:
        self.at, self.calls = at, 0

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and touches_disk(function):
            if self.calls == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
            self.calls += 1


def touches_disk(function: Any) -> bool:
    """Calls to the system, of open files, and of the writer of tensors."""
    if isinstance(getattr(function, "__self__", None), io.IOBase):
        return function.__name__ != "write"  # into memory, as a rule: what counts is the flush
    return function.__module__ in ("posix", "io", "_io") or function.__name__ == "serialize_file"


def resume_and_die(output: Path, at: int | None) -> None:
    """Resumes; dies at call `at` of the first save, or counts the calls and ends after it."""
    run: Trainer = trainer(config(2), output)
    save, killer = run.save, Killer(at)

    def watched() -> None:
        sys.setprofile(killer)
        save()
        sys.setprofile(None)
        output.with_suffix(".calls").write_text(str(killer.calls))
        os._exit(0)

    run.save = watched  # type: ignore[method-assign]
    run.train(resume="auto")


def logged(output: Path) -> list[int]:
    """Steps in the log, but for a line cut short."""
    lines = (output / "log.jsonl").read_text().splitlines(keepends=True)
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


def judge(output: Path, prints: dict[int, Fingerprint]) -> str:
    """Which checkpoint a killed run resumes from; "mixture" where anything is not as it was."""
    try:
        newest = checkpoint.latest(output / "checkpoints")
    except StorageError:
        return "mixture"
    assert newest is not None
    step, reached = checkpoint.step_of(newest[0]), logged(output)[-1]
    last = reached - reached % EVERY
    known = {last: "last", last - EVERY: "one before"}
    whole = fingerprint(newest[0]) == prints[step][:-1]
    model = exported(output) in [prints[s][-1] for s in known if s in prints]
    code = finish(in_child(partial(resume, output)))
    end = output / "checkpoints" / f"step-{STEPS:09d}"
    same = code == 0 and [*fingerprint(end), exported(output)] == prints[STEPS]
    clean = not list(output.rglob(".tmp-*")) and logged(output) == list(range(1, STEPS + 1))
    return known.get(step, "mixture") if whole and model and same and clean else "mixture"


def spread(total: int, count: int | None) -> Sequence[int]:
    """All of `total` numbers, or `count` of them evenly."""
    return range(total) if count is None else [i * total // count for i in range(count)]


def row(what: str, outcomes: Sequence[str]) -> Row:
    """What came of a kind of kill."""
    counts = Counter(outcomes)
    names = ("last", "one before", "mixture")
    return {"killed": what, "points": len(outcomes), **{name: counts[name] for name in names}}


@dataclass(frozen=True)
class Arena:
    """`base`, a run that crashed, is copied to `victim` for each kill."""

    base: Path
    victim: Path
    prints: dict[int, Fingerprint]

    def fresh(self) -> Path:
        """The victim, alive again."""
        shutil.rmtree(self.victim, ignore_errors=True)
        return shutil.copytree(self.base, self.victim)

    def killed_at(self, call: int) -> str:
        """What comes of a kill at this call of the first save."""
        process = in_child(partial(resume_and_die, self.fresh(), call))
        assert finish(process) == -signal.SIGKILL, "a run that was to die lives on"
        return judge(self.victim, self.prints)

    def killed_after(self, seconds: float) -> str:
        """What comes of a kill so long after the start."""
        process = in_child(partial(resume, self.fresh()))
        time.sleep(seconds)
        process.kill()
        finish(process)
        return judge(self.victim, self.prints)

    def calls(self) -> int:
        """Of a save to the disk."""
        assert finish(in_child(partial(resume_and_die, self.fresh(), None))) == 0
        return int(self.victim.with_suffix(".calls").read_text())

    def duration(self) -> float:
        """Seconds from the start to the end of a run that is not killed."""
        output, start = self.fresh(), time.monotonic()
        assert finish(in_child(partial(resume, output))) == 0
        return time.monotonic() - start


def sweep(folder: Path, calls: int | None, moments: int, seed: int) -> list[Row]:
    """Kills at `calls` calls of each of `CRASHES` (None: all of them), and at `moments` random
    moments.
    """
    torch.set_num_threads(1)
    whole = folder / "whole"
    assert finish(in_child(partial(train_whole, whole))) == 0
    prints = {int(s): p for s, p in json.loads(whole.with_suffix(".json").read_text()).items()}
    arenas = {}
    for save, updates in CRASHES.items():
        base = folder / f"base-{updates}"
        assert finish(in_child(partial(train_to_crash, base, updates))) == 0
        arenas[save] = Arena(base, folder / "victim", prints)
    rows = []
    for save, arena in arenas.items():
        total = arena.calls()
        outcomes = [arena.killed_at(call) for call in spread(total, calls)]
        rows.append(row(f"at one of {total} calls to the disk of {save}", outcomes))
    arena, draw = arenas["a save"], random.Random(seed)
    duration = arena.duration()
    at_random = [arena.killed_after(draw.uniform(0.0, duration)) for _ in range(moments)]
    return [*rows, row(f"at a random moment of {duration:.2g} s", at_random)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, help="of a save, spread evenly; by default all")
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = sweep(Path(folder), arguments.calls, arguments.moments, arguments.seed)
    publish("kill_sweep", rows, config=config(2).model_dump(mode="json"))
    sys.exit(any(row["mixture"] for row in rows))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "toy"))  # a modality's package
    main()
