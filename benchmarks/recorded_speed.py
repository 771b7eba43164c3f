"""How much faster a GPU trains small models when it replays recorded passes (CUDA graphs)."""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from environment import Row, publish
from trials import trainer
from unite_core.config import RunConfig
from unite_core.recipes import load_recipe

BATCHES = {"qm9-small": 512, "emoji-small": 256}


def speed(config: RunConfig) -> float:
    """Samples per second of the trainer: median over the second half of the run."""
    with tempfile.TemporaryDirectory() as folder:
        run = trainer(config, Path(folder) / "run")
        run.train()
        lines = (run.output / "log.jsonl").read_text().splitlines()
    speeds = [json.loads(line)["samples_per_second"] for line in lines]
    return statistics.median(speeds[len(speeds) // 2 :])


def rates(recipe: str, batch_size: int, steps: int) -> Row:
    """Samples per second of a recipe, compiled, as written and recorded."""
    found = {}
    for graphs in ("false", "true"):
        changes = {
            "batch_size": batch_size,
            "steps": steps,
            "minutes": "null",
            "compile": "true",
            "cuda_graphs": graphs,
            "workers": 4,
            "log_steps": 10,
            "checkpoint_steps": 1000000,
        }
        options = [f"training.{name}={value}" for name, value in changes.items()]
        found[graphs] = speed(load_recipe(recipe, options))
    return {
        "recipe": recipe,
        "batch_size": batch_size,
        "as_written_per_second": found["false"],
        "recorded_per_second": found["true"],
        "ratio": found["true"] / found["false"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=f"of {', '.join(BATCHES)}")
    parser.add_argument("--steps", type=int, default=200, help="updates of each run")
    arguments = parser.parse_args()
    if unknown := set(arguments.recipes) - set(BATCHES):
        parser.error(f"no batch size for {', '.join(sorted(unknown))}")
    if not torch.cuda.is_available():
        sys.exit("error: passes are recorded on GPUs alone, and there is none")
    rows = []
    for recipe in arguments.recipes or BATCHES:
        rows.append(rates(recipe, BATCHES[recipe], arguments.steps))
        print(rows[-1], flush=True)
    publish("recorded_speed", rows, steps=arguments.steps)


if __name__ == "__main__":
    main()
