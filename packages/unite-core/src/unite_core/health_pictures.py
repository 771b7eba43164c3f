"""Pictures of a run's health."""

from matplotlib.figure import Figure

from unite_core.curves import PANEL, as_svg, figure
from unite_core.health import Log, Shipped
from unite_core.latent_health import CONSTANT, LatentStatistics


def training_svg(log: Log, shipped: Shipped | None) -> str:
    """A panel for each logged value, that of shipped weights in grey beneath."""
    drawing = figure(log)
    other = [] if shipped is None else shipped.log
    for axes in drawing.axes:
        name = axes.get_title()
        points = [(row["step"], row[name]) for row in other if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), color="grey", linewidth=1, zorder=0)
    return as_svg(drawing)


def latents_svg(found: LatentStatistics) -> str:
    """The deviation of each dimension and the variance in each direction, largest first."""
    drawing = Figure(figsize=(2 * PANEL[0], PANEL[1]), layout="constrained")
    places = range(1, len(found.deviations) + 1)
    left = drawing.add_subplot(1, 2, 1, title="deviation / size", xlabel="dimension, sorted")
    left.bar(places, found.deviations.sort(descending=True).values.tolist())
    left.axhline(CONSTANT, linestyle="--", linewidth=1, color="grey")
    right = drawing.add_subplot(1, 2, 2, title="variance, cumulated", xlabel="directions")
    right.plot(places, found.shares.cumsum(0).tolist(), marker="o", markersize=3, linewidth=1)
    right.set_ylim(0, 1.05)
    return as_svg(drawing)
