"""What a run's log says of its health. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from math import inf
from statistics import fmean, median
from typing import Any, Literal

from unite_core.config import ObjectiveConfig, TrainingConfig

State = Literal["ok", "watch", "ill", "unknown"]
Log = Sequence[Mapping[str, float]]
"""Rows with `step` and what was logged then."""

TINY = 1e-30
"""Stands in for a divisor of zero."""
FEWEST = 10
"""Lines of a log from which a course can be told; medians are over so many parts of it."""

RISE = (1.3, 2.0)
"""The reconstruction loss over its best, from which to watch it and from which it is ill."""
LEFT = (0.5, 0.9)
"""The same for the reconstruction loss over that of the log's first line."""
STEEP = (10.0, 100.0)
"""The same for the gradient's norm over `training.clip`: beyond, a step says little."""
WAITING = (0.1, 0.5)
"""The same for the share of time that was waited for data."""
LESSER = (0.01, 0.001)
"""The same for the lesser of the two losses' shares, which is worse when smaller."""
BEHIND = (2.0, 5.0)
"""The same for the reconstruction loss over a shipped run's at the same step."""


@dataclass(frozen=True)
class Finding:
    """One sign of health: what it is about, what was found, what to look at or change."""

    state: State
    about: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f": {self.advice}" if self.advice else ""
        return f"{self.state}: {self.about}: {self.found}{advice}"


@dataclass(frozen=True)
class Shipped:
    """The log of weights that come with a modality, and the settings in which a run differs."""

    name: str
    log: Log
    differing: Sequence[str]


def ratio(part: float, whole: float) -> float:
    """Their quotient; a whole of zero, as of losses that vanish, counts as very small."""
    return part / max(whole, TINY)


def judge(value: float, limits: tuple[float, float]) -> State:
    """Larger is worse: "watch" from the first of `limits` on, "ill" from the second on."""
    watch, ill = limits
    return "ill" if value >= ill else "watch" if value >= watch else "ok"


def judge_lesser(share: float) -> State:
    """Whether a share of two and its complement are both worth speaking of."""
    lesser = min(share, 1 - share)
    return "ill" if lesser <= LESSER[1] else "watch" if lesser <= LESSER[0] else "ok"


def advised(state: State, about: str, found: str, advice: str) -> Finding:
    """A finding whose advice is not for the healthy."""
    return Finding(state, about, found, "" if state == "ok" else advice)


def parts(log: Log, name: str) -> list[float]:
    """Medians of a value over FEWEST equal parts of the rows that have it, which are as many."""
    values = [row[name] for row in log if name in row]
    edges = [len(values) * part // FEWEST for part in range(FEWEST + 1)]
    return [median(values[a:b]) for a, b in pairwise(edges)]


def second_half(log: Log, name: str) -> list[float]:
    """A value in the later half of the rows that have it."""
    values = [row[name] for row in log if name in row]
    return values[len(values) // 2 :]


def read_health(
    log: Log,
    objective: ObjectiveConfig,
    training: TrainingConfig,
    refused: Sequence[Mapping[str, Any]],
    shipped: Shipped | None,
) -> list[Finding]:
    """All that a log tells; `refused` are the updates that were not finite."""
    numbers = finite_numbers(log, refused)
    if len(log) < FEWEST:
        few = f"{len(log)} lines so far, and {FEWEST} are needed to tell its course"
        return [numbers, Finding("unknown", "log", few, "ask again later")]
    return [
        numbers,
        reconstruction(log),
        flow(log),
        beside_shipped(log, shipped),
        balance(log, objective),
        clipping(log, training),
        waiting(log, training),
    ]


def finite_numbers(log: Log, refused: Sequence[Mapping[str, Any]]) -> Finding:
    """Ill where the log ends at an update that was refused."""
    if not refused:
        return Finding("ok", "finite numbers", "no update was refused")
    step = refused[-1]["step"]
    went_on = bool(log) and log[-1]["step"] > step + 1
    found = f"updates refused, as loss or gradient was no number: {len(refused)}, last at {step}"
    advice = "lower optimizer.learning_rate, or look at the samples that nonfinite.jsonl names"
    return Finding("watch" if went_on else "ill", "finite numbers", found, advice)


def reconstruction(log: Log) -> Finding:
    """Whether the loss of reconstruction has fallen and stays down.

    After the learning rate was raised (a resumed run with a longer schedule) it may rise for long.
    """
    losses, rates = parts(log, "reconstruction"), parts(log, "learning_rate")
    first, last, best = log[0]["reconstruction"], losses[-1], min(losses)
    restarted = rates[-1] > 1.5 * rates[losses.index(best)]
    left, rise = ratio(last, first), ratio(last, best)
    found = f"loss {last:.3g}: {left:.1%} of the first, {rise:.2g} times the best"
    fallen = judge(left, LEFT)
    risen = judge(rise, (RISE[1], inf) if restarted else RISE)
    if fallen == "ok" or (risen == "ill" and fallen != "ill"):
        advice = "lower optimizer.learning_rate, and go on from a checkpoint before the rise"
        return advised(risen, "reconstruction", found, advice)
    advice = "lower objective.flow_weight, try another optimizer.learning_rate, look at the latents"
    return advised(fallen, "reconstruction", found, advice)


def flow(log: Log) -> Finding:
    """Never judged: the denoising loss may rise while samples improve."""
    losses = parts(log, "flow")
    found = (
        f"loss {losses[-1]:.3g}, at best {min(losses):.3g}; not judged, since samples may improve"
    )
    return Finding("ok", "flow", f"{found} while it rises")


def beside_shipped(log: Log, shipped: Shipped | None) -> Finding:
    """The reconstruction loss beside that of shipped weights after as many updates."""
    about = "beside shipped weights"
    if shipped is None:
        return Finding("unknown", about, "this modality ships none with a log")
    if shipped.differing:
        named = ", ".join(shipped.differing)
        return Finding(
            "unknown", about, f"not compared with {shipped.name}, which differs in {named}"
        )
    start = log[-max(1, len(log) // FEWEST)]["step"]
    since = [row for row in shipped.log if row["step"] >= start]
    upto = list(takewhile(lambda row: row["step"] <= log[-1]["step"], since))
    theirs = upto or shipped.log[-max(1, len(shipped.log) // FEWEST) :]
    mine = median(row["reconstruction"] for row in log if row["step"] >= start)
    other = median(row["reconstruction"] for row in theirs)
    times = ratio(mine, other)
    found = (
        f"reconstruction loss {mine:.3g} at step {log[-1]['step']}, "
        f"{times:.2g} times that of {shipped.name} ({other:.3g} at {theirs[-1]['step']})"
    )
    advice = "compare config.yaml with the recipe, the optimizer and the decoder's noise first"
    return advised(judge(times, BEHIND), about, found, advice)


def balance(log: Log, objective: ObjectiveConfig) -> Finding:
    """The flow's share of the loss."""
    weight = objective.flow_weight
    rows = log[len(log) // 2 :]
    share = median(ratio(weight * row["flow"], row["loss"]) for row in rows)
    found = f"{share:.2%} of the loss is flow, {1 - share:.2%} reconstruction"
    advice = (
        "lower objective.flow_weight, or reconstruction is not learned"
        if share > 0.5
        else "look whether latents are collapsed; if not, raise objective.flow_weight"
    )
    return advised(judge_lesser(share), "balance of losses", found, advice)


def clipping(log: Log, training: TrainingConfig) -> Finding:
    """The share of updates that were clipped, judged by how far: healthy runs clip most of them."""
    norm = median(second_half(log, "gradient_norm"))
    if training.clip is None:
        return Finding("ok", "clipping", f"off; the gradient's norm is {norm:.3g}")
    clip = training.clip
    counted = second_half(log, "clipped")
    logged = [float(value > clip) for value in second_half(log, "gradient_norm")]
    kind = "updates" if counted else "logged updates"
    found = (
        f"{fmean(counted or logged):.0%} of {kind} in the later half, "
        f"where the gradient's norm is {norm / clip:.2g} times training.clip"
    )
    advice = "lower optimizer.learning_rate or the heaviest weight of the loss"
    return advised(judge(norm / clip, STEEP), "clipping", found, advice)


def waiting(log: Log, training: TrainingConfig) -> Finding:
    """The share of time in which there was no batch to train on."""
    shares = second_half(log, "waiting_for_data")
    if not shares:
        return Finding(
            "unknown", "waiting for data", "the version that wrote this log kept no count"
        )
    share = median(shares)
    advice = f"use more training.workers than {training.workers}, or a faster disk"
    return advised(judge(share, WAITING), "waiting for data", f"{share:.1%} of the time", advice)
