"""One run on images that are not in the package: its figures, its curves and its samples."""

import argparse
from pathlib import Path

from environment import RESULTS, publish
from trials import train
from unite_core.curves import plot_curves
from unite_core.evaluation import evaluate
from unite_core.model import load_model
from unite_core.recipes import load_recipe
from unite_core.reporting import read_log
from unite_core.sampling_settings import Sampling
from unite_image.grids import draw_grid

SHOWN = 80
"""Samples in the picture."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="the images, as data.path takes them")
    parser.add_argument("--name", default="cifar10", help="of the result")
    parser.add_argument("--recipe", default="emoji-small")
    parser.add_argument("-o", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--count", type=int, default=2000, help="samples")
    arguments = parser.parse_args()
    run = Path("runs") / arguments.name
    config = load_recipe(arguments.recipe, [f"data.path={arguments.path}", *arguments.overrides])
    train(config, run, 1)
    found = evaluate(load_model(run), arguments.count, Sampling(), None)
    log = read_log(run)
    rows = [{"set": name, **figures} for name, figures in found.scores.items()]
    rows.append({"set": "reconstructions", **found.reconstruction})
    columns = dict.fromkeys(key for row in rows for key in row)
    about = {"updates": log[-1]["step"], "minutes": log[-1]["seconds"] / 60}
    table = [{column: row.get(column, "") for column in columns} for row in rows]
    publish(arguments.name, table, **about, config=config.model_dump(mode="json"))
    plot_curves(log, RESULTS / f"{arguments.name}_curves.png")
    draw_grid(found.samples[:SHOWN], RESULTS / f"{arguments.name}_samples.png")


if __name__ == "__main__":
    main()
