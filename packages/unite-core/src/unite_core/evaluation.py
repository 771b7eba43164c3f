"""Generate, reconstruct and score with a finished model."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from unite_core.errors import StorageError
from unite_core.modality import PICTURED
from unite_core.model import OnBatch, UniteModel, open_model
from unite_core.plugins import Plugin
from unite_core.precision import name_of, number_type
from unite_core.processes import ALONE, Team
from unite_core.sampling_settings import Sampling

Pair = tuple[Any, Any]
"""An original and its reconstruction."""

Table = Mapping[str, Mapping[str, Any]]
"""Row -> metric -> value."""


@dataclass(frozen=True)
class Evaluation:
    """New samples and held-out ones reconstructed, with their scores.

    `scores` has the rows "samples" and "data" of `Modality.score`.
    """

    samples: list[Any]
    pairs: list[Pair]
    scores: dict[str, dict[str, Any]]
    reconstruction: dict[str, Any]


def open_on_device(directory: Path, compiled: bool = False, **changes: Any) -> UniteModel:
    """The model on the accelerator, if there is one; StorageError where it does not load.

    `changes` take the place of arguments that it was saved with.
    """
    model = open_model(directory, **changes)
    if compiled:
        model.compile_blocks()
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return model if accelerator is None else model.to(accelerator)


def drawn_with(model: UniteModel, sampling: Sampling) -> dict[str, Any]:
    """What samples of a model are drawn with, the modality's own choices too, for the record."""
    own: dict[str, Any] = {"rounds": model.modality.rounds}
    if sampling.solver == "stochastic":
        own["strength"] = model.modality.strength
    drawn = asdict(sampling)
    drawn |= {name: value for name, value in own.items() if drawn[name] is None}
    products = name_of(number_type("auto", model.device))
    return drawn | {"device": model.device.type, "products": products}


def generate(
    model: UniteModel,
    count: int,
    sampling: Sampling,
    options: BaseModel | None = None,
    team: Team = ALONE,
    on_batch: OnBatch | None = None,
) -> list[Any]:
    """`count` new samples, on the team's first process; `on_batch` is told of its own batches."""
    how = asdict(sampling) | {"options": options, "on_batch": on_batch}
    return team.gather(model.generate(count, **how, rows=team.share(count)), count)


def reconstruct(model: UniteModel, samples: Sequence[Any], batch_size: int) -> list[Any]:
    """Samples that the modality accepted, through latents and back."""
    starts = range(0, len(samples), batch_size)
    batches = (model.modality.collate(samples[i : i + batch_size]) for i in starts)
    return [sample for batch in batches for sample in model.reconstruct(batch)]


def reconstruct_split(
    model: UniteModel, split: str, count: int, batch_size: int, team: Team = ALONE
) -> list[Pair]:
    """The first `count` samples of a split, each with its reconstruction, as `generate` does."""
    data = model.modality.dataset(split)
    count = min(count, len(data))
    indices = np.array(team.share(count), dtype=np.int64)
    pairs: list[Pair] = []
    for start in range(0, len(indices), batch_size):
        batch = data.batch(indices[start : start + batch_size], None)
        originals = model.modality.originals(batch)
        pairs += zip(originals, model.reconstruct(batch), strict=True)
    return team.gather(pairs, count)


def evaluate(
    model: UniteModel, count: int, sampling: Sampling, reference: str | None
) -> Evaluation:
    """Scores `count` new samples, and the reconstruction of up to `count` test ones."""
    modality = model.modality
    modality.check_score(modality.config, reference)
    pairs = reconstruct_split(model, "test", count, sampling.batch_size)
    samples = generate(model, count, sampling)
    return Evaluation(
        samples=samples,
        pairs=pairs,
        scores=modality.score(modality.config, samples, reference),
        reconstruction=modality.score_reconstruction(
            modality.config, [a for a, _ in pairs], [b for _, b in pairs]
        ),
    )


def preview(model: nn.Module, step: int, directory: Path) -> None:
    """Pictures of new samples, and of validation ones each followed by its reconstruction."""
    assert isinstance(model, UniteModel)
    directory.mkdir(exist_ok=True)
    samples = generate(model, PICTURED, Sampling())
    model.modality.preview(samples, directory / f"step-{step:09d}-samples.png")
    pairs = reconstruct_split(model, "validation", PICTURED // 2, PICTURED)
    both = [sample for pair in pairs for sample in pair]
    model.modality.preview(both, directory / f"step-{step:09d}-reconstructions.png")


def draw_strips(
    model: UniteModel,
    count: int,
    levels: int,
    sampling: Sampling,
    options: BaseModel | None,
    path: Path,
) -> None:
    """PNG of `count` samples, a row each, from the first of `levels` noise levels to the last.

    It ends before the samples' `rounds`.
    """
    how = asdict(sampling)
    del how["rounds"]
    strips = model.trajectories(count, levels, **how, options=options)
    model.modality.preview([each for strip in strips for each in strip], path, columns=levels)


def other_rows(scores: Table) -> dict[str, dict[str, Any]]:
    """The rows of `Modality.score` but the samples' own: what their figures are compared with."""
    return {name: dict(row) for name, row in scores.items() if name != "samples"}


def versions(plugin: Plugin) -> dict[str, str]:
    """What the figures depend on."""
    packages = {name: version(name) for name in ("torch", "unite-core", *plugin.packages)}
    return {"python": sys.version.split()[0], **packages}


def write_metrics(
    path: Path,
    samples: Table,
    reconstruction: Table,
    settings: Mapping[str, Any],
    versions: Mapping[str, str],
) -> None:
    """The figures as JSON, with how they were made; StorageError."""
    figures = {
        "samples": samples,
        "reconstruction": reconstruction,
        "settings": settings,
        "versions": versions,
    }
    try:
        path.write_text(json.dumps(figures, indent=2) + "\n")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
