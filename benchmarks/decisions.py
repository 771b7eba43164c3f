"""What joint decisions change: the same latents decoded by each head's best class, and jointly."""

import argparse

from environment import Row, publish
from trials import held_out, one_by_one, sampled
from unite_core.model import UniteModel, load_model


def measure(model: UniteModel, samples: int) -> list[Row]:
    """A row for each way, and the data's."""
    with one_by_one():
        apart = sampled(model, samples, rounds=0)
    return [
        {"decisions": "one by one", **apart},
        {"decisions": "jointly", **sampled(model, samples, rounds=0)},
        {"decisions": "data", **held_out(model, samples)},
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9-small")
    parser.add_argument("--samples", type=int, default=2000)
    arguments = parser.parse_args()
    rows = measure(load_model(arguments.model), arguments.samples)
    publish("decisions", rows, model=arguments.model, samples=arguments.samples)


if __name__ == "__main__":
    main()
