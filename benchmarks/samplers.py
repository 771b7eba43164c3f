"""Samplers at equal numbers of network evaluations, other noise, and rounds through latents.

Samplers and noise are compared without rounds.
"""

import argparse

import matplotlib.pyplot as plt
from environment import RESULTS, Row, publish
from trials import sampled
from unite_core.model import UniteModel, load_model

PER_STEP = {"euler": 1, "heun": 2, "stochastic": 1}
"""Network evaluations of a step."""
STRENGTHS, TEMPERATURES = (1.0, 2.0, 4.0, 8.0), (1.0, 0.9, 0.8)
"""Of the stochastic sampler: shares of fresh noise, and the noise's standard deviations."""
ROUNDS = range(5)
STEPS = 50
"""At which strengths, temperatures and rounds are compared."""


def measure(model: UniteModel, solver: str, evaluations: int, count: int) -> Row:
    """One sampler at one cost."""
    steps = evaluations // PER_STEP[solver]
    scores = sampled(model, count, steps=steps, solver=solver, rounds=0)
    return {"solver": solver, "evaluations": evaluations, **scores}


def measure_noise(model: UniteModel, strength: float, temperature: float, count: int) -> Row:
    """The stochastic sampler with other noise."""
    scores = sampled(
        model, count, steps=STEPS, temperature=temperature, strength=strength, rounds=0
    )
    return {"strength": strength, "temperature": temperature, **scores}


def measure_rounds(model: UniteModel, strength: float, rounds: int, count: int) -> Row:
    """The stochastic sampler, and rounds through latents and back."""
    scores = sampled(model, count, steps=STEPS, strength=strength, rounds=rounds)
    return {"strength": strength, "rounds": rounds, **scores}


def plot(rows: list[Row]) -> None:
    """Two shares against evaluations, a line for each sampler."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for panel, metric in zip(panels, ("molecule_stable", "strict_valid"), strict=True):
        for solver in PER_STEP:
            own = [row for row in rows if row["solver"] == solver]
            costs, values = zip(*((row["evaluations"], row[metric]) for row in own), strict=True)
            panel.plot(costs, values, marker="o", label=solver)
        panel.set(xlabel="network evaluations", ylabel=metric, xscale="log")
        panel.legend()
    figure.savefig(RESULTS / "samplers.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="qm9-small")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[20, 50, 100, 200])
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    rows = [
        measure(model, solver, evaluations, arguments.count)
        for solver in PER_STEP
        for evaluations in arguments.evaluations
    ]
    publish("samplers", rows, **vars(arguments))
    plot(rows)
    noise = [
        measure_noise(model, strength, temperature, arguments.count)
        for strength in STRENGTHS
        for temperature in TEMPERATURES
    ]
    settings = {"model": arguments.model, "count": arguments.count, "steps": STEPS}
    publish("sampler_noise", noise, **settings)
    rows = [
        measure_rounds(model, strength, rounds, arguments.count)
        for strength in STRENGTHS
        for rounds in ROUNDS
    ]
    publish("sampler_rounds", rows, **settings)


if __name__ == "__main__":
    main()
