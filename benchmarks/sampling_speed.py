"""How long it takes to make 10,000 molecules, without rounds through latents and with them."""

import argparse
import time

from environment import publish
from unite_core.model import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9-small")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=50)
    arguments = parser.parse_args()
    start = time.perf_counter()
    model = load_model(arguments.model)
    loading = time.perf_counter() - start
    rows = []
    for rounds in (0, model.modality.rounds):
        start = time.perf_counter()
        made = len(model.generate(arguments.count, steps=arguments.steps, rounds=rounds))
        seconds = time.perf_counter() - start
        rows.append({"molecules": made, "rounds": rounds, "sampling_seconds": seconds})
    publish("sampling_speed", rows, loading_seconds=loading, **vars(arguments))


if __name__ == "__main__":
    main()
