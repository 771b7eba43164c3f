"""How fast a small model trains, against the machine's matmul peak and the published layout.

The model is qm9-small's with two flow draws and batches of 64. It trains once as it is (a latent
per heavy atom, compiled) and once with a latent per atom, padded to 29, eager, with torch's
scaled_dot_product_attention, both in the precision that is asked for, by default the faster one on
this machine. The peak is measured around every few updates, since that of a shared machine changes.
Floating-point operations are counted on the uncompiled model, Muon's apart.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import get_args
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from environment import publish
from peak import paced
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from trials import trainer
from unite_core import layers
from unite_core.batching import load_batches
from unite_core.clock import Clock
from unite_core.config import Precision, RunConfig
from unite_core.interruption import outlive_signals, stop_on_signal
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers
from unite_core.precision import number_type
from unite_core.recipes import load_recipe

CPU = torch.device("cpu")
BATCH = 64
PIECE = 20
"""Updates between two measurements of the peak."""
COMMON = [
    "objective.draws=2",
    f"training.batch_size={BATCH}",
    "training.minutes=null",
    "training.checkpoint_steps=1000000",
]
HEAVY = ["data.layout=heavy", "data.multiple=9", "training.compile=true"]
ATOM = ["data.layout=atom", "data.multiple=29", "training.compile=false"]


def operations(config: RunConfig) -> tuple[float, float]:
    """Floating-point operations per molecule: of forward and backward pass, and of the update."""
    model = build_model(config)
    objective = JointObjective(model, config.objective)
    batch = model.modality.dataset("train").batch(np.arange(BATCH), 0)
    with FlopCounterMode(display=False) as passes:
        objective(batch).total.backward()
    with FlopCounterMode(display=False) as update:
        for optimizer in make_optimizers(model, config.optimizer):
            optimizer.step()
    return passes.get_total_flops() / BATCH, update.get_total_flops() / BATCH


def speed(config: RunConfig, repeats: int) -> tuple[list[float], list[float]]:
    """Molecules per second of each `PIECE` updates of the trainer, and the peak around these."""
    with tempfile.TemporaryDirectory() as folder, stop_on_signal() as stop:
        run = trainer(config, Path(folder) / "run")
        batches = load_batches(run.plan, 0, config.training.steps, 0, outlive_signals)
        clock = Clock(0.0, 0.0, 0)
        run.objective.train()

        def work() -> None:
            for _ in range(PIECE):
                run.step(batches, clock, stop)

        kind = number_type(config.training.precision, CPU)
        seconds, peaks = paced(work, kind, CPU, repeats)
    return [PIECE * config.training.batch_size / s for s in seconds], peaks


def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """torch's own attention."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help=f"of {PIECE} updates of each model")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--name", default="training_speed", help="of the result file")
    arguments = parser.parse_args()
    common = [*COMMON, f"training.precision={arguments.precision}"]
    heavy, atom = (load_recipe("qm9-small", common + layout) for layout in (HEAVY, ATOM))
    with patch.object(layers, "attend", sdpa):
        slow = speed(atom, arguments.repeats)
    fast = speed(heavy, arguments.repeats)
    rows, products = [], number_type(arguments.precision, CPU)
    models = {"heavy, compiled": (heavy, *fast), "atom, eager SDPA": (atom, *slow)}
    for name, (config, rates, peaks) in models.items():
        passes, update = operations(config)
        pieces = [rate / peak for rate, peak in zip(rates, peaks, strict=True)]
        rows.append(
            {
                "model": name,
                "products": str(products).removeprefix("torch."),
                "molecules_per_second": median(rates),
                "ratio": median(rates) / median(slow[0]),
                "gigaflop_per_molecule": passes / 1e9,
                "gigaflop_of_muon_per_molecule": update / 1e9,
                "share_of_peak": (passes + update) * median(pieces),
                "least_share": (passes + update) * min(pieces),
                "largest_share": (passes + update) * max(pieces),
                "share_of_peak_without_muon": passes * median(pieces),
                "peak_gigaflops": median(peaks) / 1e9,
            }
        )
    recipe = heavy.model_dump(mode="json")
    publish(arguments.name, rows, heavy=recipe, atom_overrides=ATOM)


if __name__ == "__main__":
    main()
