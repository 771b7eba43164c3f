"""Quality against hours of training: the snapshots RUN/model-<minutes> of finished runs.

`ablations.py` leaves such snapshots behind, and so does copying RUN/model while a run goes on.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from environment import RESULTS, Row, publish
from trials import held_out, reconstructed, sampled, snapshots
from unite_core.model import load_model


def measure(minutes: float, path: Path, samples: int, test: int) -> Row:
    """A snapshot's row."""
    model = load_model(path)
    return {"hours": minutes / 60, **sampled(model, samples), **reconstructed(model, test)}


def plot(rows: list[Row], data: Row) -> None:
    """Shares of good samples, with the data's own as dashed lines, and the RMSD."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    hours = [row["hours"] for row in rows]
    for metric in ("atom_stable", "molecule_stable", "strict_valid", "unique_among_valid"):
        (line,) = left.plot(hours, [row[metric] for row in rows], marker="o", label=metric)
        left.axhline(data[metric], color=line.get_color(), linestyle="--", linewidth=0.8)
    left.set(xlabel="hours of training", ylabel="share of samples")
    left.legend()
    right.plot(hours, [row["rmsd"] for row in rows], marker="o")
    right.set(xlabel="hours of training", ylabel="reconstruction RMSD [A]", yscale="log")
    figure.savefig(RESULTS / "quality_curve.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="+")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--test", type=int, default=2000, help="test molecules to reconstruct")
    arguments = parser.parse_args()
    found = {m: path for run in arguments.run for m, path in snapshots(run).items()}
    if not found:
        parser.error("no model-<minutes> in these directories")
    rows = [measure(m, found[m], arguments.samples, arguments.test) for m in sorted(found)]
    data = held_out(load_model(found[max(found)]), arguments.test)
    publish("quality_curve", rows, runs=[str(r) for r in arguments.run], data=data)
    plot(rows, data)


if __name__ == "__main__":
    main()
