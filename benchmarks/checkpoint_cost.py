"""What checkpoints cost: the time of a save, as a share of the updates between two of them."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environment import Row, publish
from trials import trainer
from unite_core import checkpoint
from unite_core.recipes import load_recipe

RECIPES = ("qm9-small", "emoji-small")
SAVES = 4


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The same function, which notes how long each call takes."""

    def wrapped(*arguments: Any) -> Any:
        start = time.perf_counter()
        result = function(*arguments)
        seconds.append(time.perf_counter() - start)
        return result

    return wrapped


def cost(name: str, steps: int) -> Row:
    """Of a recipe's checkpoints, each with the export, at the interval that the recipe has."""
    own = load_recipe(name, []).training.checkpoint_steps
    changes = ["minutes=null", f"steps={steps}", f"checkpoint_steps={steps // SAVES}"]
    changes += ["preview_steps=null"]
    config = load_recipe(name, [f"training.{change}" for change in changes])
    updates: list[float] = []
    saves: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run = trainer(config, Path(folder) / "run")
        run.step = timed(run.step, updates)  # type: ignore[method-assign]
        run.save = timed(run.save, saves)  # type: ignore[method-assign]
        run.train()
        newest = checkpoint.found(run.output / "checkpoints")[-1]
        size = sum(path.stat().st_size for path in newest.iterdir())
    update = statistics.median(updates[len(updates) // 2 :])  # the first ones compile
    save = statistics.median(saves[:SAVES])  # the one at the end finds all saved
    return {
        "recipe": name,
        "update_seconds": update,
        "save_seconds": save,
        "checkpoint_megabytes": size / 1e6,
        "updates_between": own,
        "share": save / (own * update),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="updates of each run")
    steps = parser.parse_args().steps
    rows = [cost(name, steps) for name in RECIPES]
    publish("checkpoint_cost", rows, recipes=RECIPES, steps=steps)


if __name__ == "__main__":
    main()
