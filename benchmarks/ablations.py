"""Layouts and frames, each trained for the same time: quality against wall-clock time.

Every quantity is its head's best class: joint decisions would hide what a short run has not learned
(and find hardly anything that fits). Runs are kept in --runs and go on where they were stopped.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from environment import RESULTS, Row, publish
from trials import one_by_one, reconstructed, sampled, snapshots, train
from unite_core.model import load_model
from unite_core.recipes import load_recipe

VARIANTS = {
    "heavy-ordered": ["data.layout=heavy", "data.frame.kind=ordered"],
    "heavy-inertial": ["data.layout=heavy", "data.frame.kind=inertial"],
    "heavy-augmented": ["data.layout=heavy", "data.frame.kind=augmented"],
    "heavy-equivariant": ["data.layout=heavy", "data.frame.kind=equivariant"],
    "atom-ordered": ["data.layout=atom", "data.multiple=1", "data.frame.kind=ordered"],
}
# Compiling the many lengths of molecules with hydrogens would use up a short run's time.
EAGER = "training.compile=false"


def measure(variant: str, run: Path, count: int) -> list[Row]:
    """Quality at each snapshot of a run."""
    rows = []
    for minutes, path in snapshots(run).items():
        model = load_model(path)
        with one_by_one():
            scores = {**sampled(model, count, rounds=0), **reconstructed(model, count)}
        rows.append({"variant": variant, "minutes": minutes, **scores})
    return rows


def plot(rows: list[Row]) -> None:
    """Quality against minutes, a line for each variant."""
    figure, panels = plt.subplots(1, 3, figsize=(13, 3.5), layout="constrained")
    for panel, metric in zip(panels, ("atom_stable", "bonds_as_distances", "rmsd"), strict=True):
        for variant in VARIANTS:
            own = [row for row in rows if row["variant"] == variant]
            times, values = zip(*((row["minutes"], row[metric]) for row in own), strict=True)
            panel.plot(times, values, marker="o", label=variant)
        panel.set(xlabel="minutes of training", ylabel=metric)
    panels[0].legend()
    figure.savefig(RESULTS / "ablations.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="training time of each")
    parser.add_argument("--points", type=int, default=4, help="snapshots of each run")
    parser.add_argument("--count", type=int, default=1000, help="samples, and test molecules")
    parser.add_argument("--runs", type=Path, default=Path("runs/ablations"))
    arguments = parser.parse_args()
    common = [f"training.minutes={arguments.minutes}", "training.preview_steps=20", EAGER]
    rows = []
    for variant, overrides in VARIANTS.items():
        run = arguments.runs / variant
        train(load_recipe("qm9-small", common + overrides), run, arguments.points)
        rows += measure(variant, run, arguments.count)
    publish("ablations", rows, base="qm9-small", variants=VARIANTS, minutes=arguments.minutes)
    plot(rows)


if __name__ == "__main__":
    main()
