"""Pictures of a run's log."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

COLUMNS = 3
PANEL = (3.2, 2.2)
"""Width and height of a panel, inches."""
METADATA = ("Creator", "Date", "Format", "Type")
"""What matplotlib would add to an SVG, with addresses of vocabularies."""


def figure(log: Sequence[Mapping[str, float]]) -> Figure:
    """A panel for each logged value over the updates; logarithmic where it is always positive."""
    names = list(dict.fromkeys(name for row in log for name in row if name != "step"))
    rows = max(1, -(-len(names) // COLUMNS))
    drawing = Figure(figsize=(COLUMNS * PANEL[0], rows * PANEL[1]), layout="constrained")
    for place, name in enumerate(names, start=1):
        points = [(row["step"], row[name]) for row in log if name in row]
        steps, values = zip(*points, strict=True)
        axes = drawing.add_subplot(rows, COLUMNS, place, title=name, xlabel="step")
        axes.plot(steps, values, linewidth=1)
        axes.set_yscale("log" if min(values) > 0 else "linear")
    return drawing


def plot_curves(log: Sequence[Mapping[str, float]], path: Path) -> None:
    """PNG of a log: rows with `step` and what was logged then."""
    figure(log).savefig(path, format="png", dpi=100)


def curves_svg(log: Sequence[Mapping[str, float]]) -> str:
    """SVG text of the same."""
    return as_svg(figure(log))


def as_svg(drawing: Figure) -> str:
    """SVG text whose letters stay text and that names no address."""
    text = StringIO()
    with rc_context({"svg.fonttype": "none"}):
        drawing.savefig(text, format="svg", metadata=dict.fromkeys(METADATA))
    return text.getvalue()
