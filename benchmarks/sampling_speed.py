"""How long it takes to make 10,000 molecules, without rounds through latents and with them.

On the GPU where there is one.
"""

import argparse
import time

from environment import publish
from peak import accelerator
from unite_core.model import load_model


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
    rows = []
    for rounds in (0, model.modality.rounds):
        start = time.perf_counter()
        made = len(model.generate(arguments.count, steps=arguments.steps, rounds=rounds))
        seconds = time.perf_counter() - start
        rows.append({"molecules": made, "rounds": rounds, "sampling_seconds": seconds})
    made_by = {"model": arguments.model, "steps": arguments.steps}
    publish(arguments.name, rows, loading_seconds=loading, **made_by)


if __name__ == "__main__":
    main()
