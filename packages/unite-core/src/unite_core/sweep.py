"""A model's figures at several guidance scales, and their picture."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from unite_core.errors import StorageError, UniteError
from unite_core.evaluation import generate, other_rows, reconstruct_split
from unite_core.model import OnBatch, UniteModel
from unite_core.processes import Team
from unite_core.sampling_settings import Sampling

logger = logging.getLogger(__name__)

COLUMNS = 3
PANEL = (3.2, 2.4)
"""Width and height of a panel, inches."""


@dataclass(frozen=True)
class Sweep:
    """metric -> value of samples at each guidance scale, in other rows, and of reconstructions."""

    samples: dict[float, dict[str, Any]]
    others: dict[str, dict[str, Any]]
    reconstruction: dict[str, Any]


def sweep(
    model: UniteModel,
    count: int,
    sampling: Sampling,
    scales: Sequence[float],
    reference: str | None,
    team: Team,
    on_batch: OnBatch | None = None,
) -> Sweep | None:
    """Scores `count` new samples at each scale, and the reconstruction of up to `count` test ones.

    None on all processes but the first. Where the model's own data are not there, a warning takes
    the place of the reconstructions, since samples may be scored beside a `reference` all the same.
    ConfigurationError for guidance of an unconditional model.
    """
    modality = model.modality
    if team.first:
        modality.check_score(modality.config, reference)
    for scale in scales:
        model.draw_layout(count, sampling.seed, None, scale)  # refused before anything is computed
    try:
        pairs = reconstruct_split(model, "test", count, sampling.batch_size, team)
    except UniteError as error:
        logger.warning("no reconstructions: %s", error)
        pairs = []
    scores: dict[float, dict[str, dict[str, Any]]] = {}
    for scale in scales:
        samples = generate(model, count, replace(sampling, guidance=scale), None, team, on_batch)
        if team.first:
            scores[scale] = modality.score(modality.config, samples, reference)
    if not team.first:
        return None
    reconstruction: dict[str, Any] = {}
    if pairs:
        originals, reconstructions = [a for a, _ in pairs], [b for _, b in pairs]
        reconstruction = modality.score_reconstruction(modality.config, originals, reconstructions)
    return Sweep(
        samples={scale: rows["samples"] for scale, rows in scores.items()},
        others=other_rows(scores[scales[0]]),
        reconstruction=reconstruction,
    )


def numeric(value: Any) -> bool:
    """Whether a figure can be a point of a curve."""
    return isinstance(value, int | float) and isfinite(value)


def plot_sweep(
    samples: Mapping[float, Mapping[str, Any]], data: Mapping[str, Any], path: Path
) -> None:
    """PNG with a panel for each numeric metric over the scale, the data's own value dashed.

    StorageError.
    """
    names = [n for n, v in next(iter(samples.values())).items() if numeric(v)]
    rows = max(1, -(-len(names) // COLUMNS))
    figure = Figure(figsize=(COLUMNS * PANEL[0], rows * PANEL[1]), layout="constrained")
    for place, name in enumerate(names, start=1):
        points = [(scale, row[name]) for scale, row in samples.items() if numeric(row[name])]
        axes = figure.add_subplot(rows, COLUMNS, place, title=name, xlabel="guidance")
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, linewidth=1)
        if numeric(data.get(name)):
            axes.axhline(data[name], linestyle="--", linewidth=1, color="grey")
    try:
        figure.savefig(path, format="png", dpi=100)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
