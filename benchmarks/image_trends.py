"""What the paper claims, at a small size: variants of a recipe at equal time, several seeds.

Flow draws, shared against separate weights, stop-gradient, and how patches meet the registers.
"""

import argparse
from pathlib import Path
from statistics import mean, stdev

from environment import Row, publish
from trials import train
from unite_core.evaluation import evaluate
from unite_core.model import load_model
from unite_core.recipes import load_recipe
from unite_core.sampling_settings import Sampling

VARIANTS = {
    "3 draws": ["objective.draws=3"],
    "1 draw": ["objective.draws=1"],
    "7 draws": ["objective.draws=7"],
    "14 draws": ["objective.draws=14"],
    "separate weights": ["objective.draws=3", "encoder.denoiser=separate"],
    "no stop-gradient": ["objective.draws=3", "objective.stop_gradient=false"],
    "appended tokens": ["objective.draws=3", "data.tokens=appended"],
}
FID = "fid (lite0)"
FIGURES = (FID, "psnr", "steps")


def measure(run: Path, count: int) -> Row:
    """Figures of a finished run."""
    found = evaluate(load_model(run), count, Sampling(), None)
    steps = (run / "log.jsonl").read_text().count("\n")
    return {FID: found.scores["samples"][FID], "psnr": found.reconstruction["psnr"], "steps": steps}


def summary(variant: str, rows: list[Row]) -> Row:
    """Mean and spread over seeds."""
    row: Row = {"variant": variant, "seeds": len(rows)}
    for figure in FIGURES:
        values = [each[figure] for each in rows]
        row |= {figure: mean(values), f"{figure} spread": stdev(values) if len(rows) > 1 else None}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="emoji-demo")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--name", default="image_trends", help="of the result")
    parser.add_argument("--minutes", type=float, default=5.0, help="training time of each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--count", type=int, default=1000, help="samples")
    parser.add_argument("--runs", type=Path, default=Path("runs/image-trends"))
    arguments = parser.parse_args()
    common = [f"training.minutes={arguments.minutes}", "training.log_steps=1"]
    common += arguments.overrides
    rows = []
    for variant in arguments.variants:
        found = []
        for seed in range(arguments.seeds):
            run = arguments.runs / f"{variant.replace(' ', '-')}-{seed}"
            seeded = [*common, *VARIANTS[variant], f"training.seed={seed}"]
            train(load_recipe(arguments.recipe, seeded), run, 1)
            found.append(measure(run, arguments.count))
        rows.append(summary(variant, found))
    how = {name: str(value) for name, value in vars(arguments).items() if name != "name"}
    publish(arguments.name, rows, changes=VARIANTS, **how)


if __name__ == "__main__":
    main()
