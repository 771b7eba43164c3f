"""Makes a finished run the shipped weights NAME: model, card, figures, log and curves."""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environment import cell, environment
from unite_core.curves import plot_curves
from unite_core.evaluation import drawn_with, evaluate, open_on_device, versions, write_metrics
from unite_core.locations import LOG, plugin_of
from unite_core.reporting import METRICS, read_command, read_log
from unite_core.sampling_settings import Sampling

LOG_LINES = 500
"""Lines of the log that are kept, evenly spaced."""

CARD = """---
library_name: unite
tags: [{modality}-generation, unite]
license: mit
---
# {name}

A UNITE model: one network that is both tokenizer and generator, of {parameters:,} parameters,
trained in a single stage on {data}. The weights are the exponential moving average.

    {example}

## Training

{minutes:.0f} minutes ({processor}, cores: {cores}), {steps:,} updates, commit {commit}:

{command}

![curves](curves.png)

## Figures

{count:,} samples in {sampling}, and as many of the test split reconstructed;
the column `data` is the test split judged alike. All figures are in metrics.json, and what they
mean is in `unite_{modality}/metrics.py`.

{table}

## What is wrong with it

{remarks}"""

EXAMPLES = {
    "molecule": "unite sample {name} -n 100 --output mols.sdf",
    "image": "unite sample {name} -n 64 --output grid.png",
}
REMARKS = {
    "molecule": [
        "Bonds, hydrogens, elements and charges are the likeliest ones whose valences fit and\n"
        "  that make one piece, so validity by bonds is nearly a promise of the decoding; read\n"
        "  `molecule_stable`, `bonds_as_distances` and `posebusters` for the geometry's worth.",
        "It has learned from QM9: neutral molecules of up to nine heavy atoms of C, N, O and F.",
    ],
    "image": [],
}


def metric_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown with a line for each metric."""
    metrics = list(dict.fromkeys(metric for row in rows.values() for metric in row))
    lines = [["", *rows], ["---"] * (1 + len(rows))]
    lines += [[m, *(cell(row[m]) if m in row else "" for row in rows.values())] for m in metrics]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--data", required=True, help="what it was trained on, with the licence")
    parser.add_argument("--remark", action="append", required=True, help="what is wrong with it")
    arguments = parser.parse_args()
    source = arguments.run / "model"
    plugin, model = plugin_of(source), open_on_device(source)
    modality = model.modality
    sampling = Sampling()
    found = evaluate(model, arguments.samples, sampling, None)
    target = plugin.weights / arguments.name
    target.mkdir(parents=True, exist_ok=True)
    for file in ("config.json", "model.safetensors"):
        shutil.copy(source / file, target / file)
    rows, reconstruction = found.scores, {"test": found.reconstruction}
    settings = {"count": arguments.samples, **drawn_with(model, sampling)}
    write_metrics(target / METRICS, rows, reconstruction, settings, versions(plugin))
    log = read_log(arguments.run)
    kept = log[:: -(-len(log) // LOG_LINES)]
    (target / LOG).write_text("".join(json.dumps(row) + "\n" for row in kept))
    plot_curves(kept, target / "curves.png")
    stamp = environment()
    kind = modality.name
    card = CARD.format(
        name=arguments.name,
        modality=kind,
        data=arguments.data,
        example=EXAMPLES[kind].format(name=arguments.name),
        parameters=sum(p.numel() for p in model.parameters()),
        minutes=log[-1]["seconds"] / 60,
        cores=stamp["cores"],
        processor=stamp["processor"],
        commit=stamp["commit"],
        steps=log[-1]["step"],
        command="\n".join(f"    {line}" for line in read_command(arguments.run).splitlines()),
        count=arguments.samples,
        sampling=f"{sampling.steps} steps with the solver {sampling.solver} at strength "
        f"{settings['strength']:g}, {settings['rounds']} rounds through latents and back",
        table=metric_table({**rows, "reconstruction": found.reconstruction}),
        remarks="".join(f"- {remark}\n" for remark in REMARKS[kind] + arguments.remark),
    )
    (target / "README.md").write_text(card)


if __name__ == "__main__":
    main()
