"""How long it takes to make 10,000 molecules, without rounds through latents and with them, and
compiled. On the GPU where there is one.
"""

import argparse
import time

from environment import Row, publish
from peak import accelerator
from unite_core.model import UniteModel, load_model

WARMING = 100
"""Molecules that are made while the model is compiled."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9-small")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--name", default="sampling_speed", help="of the result file")
    arguments = parser.parse_args()
    start = time.perf_counter()
    model = load_model(arguments.model).to(accelerator())
    loading = time.perf_counter() - start
    rows = measure(model, arguments.count, arguments.steps)
    start = time.perf_counter()
    model.compile_blocks()
    model.generate(WARMING, steps=2)
    compiling = time.perf_counter() - start
    rows += measure(model, arguments.count, arguments.steps)
    made_by = {"model": arguments.model, "steps": arguments.steps}
    publish(arguments.name, rows, loading_seconds=loading, compiling_seconds=compiling, **made_by)


def measure(model: UniteModel, count: int, steps: int) -> list[Row]:
    """A row for samples as decoded, one for those that went through latents again."""
    rows: list[Row] = []
    for rounds in (0, model.modality.rounds):
        start = time.perf_counter()
        made = len(model.generate(count, steps=steps, rounds=rounds))
        seconds = time.perf_counter() - start
        how = {"compiled": model.compiled, "rounds": rounds}
        rows.append({"molecules": made, **how, "sampling_seconds": seconds})
    return rows


if __name__ == "__main__":
    main()
