"""How fast a small model trains, against the machine's matmul peak and the published layout.

The model is qm9-small's with two flow draws and batches of 64. It trains once as it is (a latent
per heavy atom, compiled) and once with a latent per atom, padded to 29, eager, with torch's
scaled_dot_product_attention, both in the precision that is asked for, by default the faster one on
this machine. The two take turns of a few updates, and the peak is measured around each turn, since
that of a shared machine changes; the ratio is that of neighbouring turns.
Floating-point operations are counted on the uncompiled model, Muon's apart.
"""

import argparse
import tempfile
from collections.abc import Callable
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
from unite_core.interruption import StopRequest, outlive_signals, stop_on_signal
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers
from unite_core.precision import name_of, number_type
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


def updates(config: RunConfig, output: Path, stop: StopRequest) -> Callable[[], None]:
    """`PIECE` updates of a new trainer, which goes on at every call."""
    run = trainer(config, output)
    batches = load_batches(run.plan, 0, config.training.steps, 0, outlive_signals)
    clock = Clock(0.0, 0.0, 0)
    run.objective.train()

    def work() -> None:
        for _ in range(PIECE):
            run.step(batches, clock, stop)

    return work


def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """torch's own attention."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repeats", type=int, default=9, help=f"turns of {PIECE} updates of each model"
    )
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--name", default="training_speed", help="of the result file")
    arguments = parser.parse_args()
    common = [*COMMON, f"training.precision={arguments.precision}"]
    heavy, atom = (load_recipe("qm9-small", common + layout) for layout in (HEAVY, ATOM))
    products = number_type(arguments.precision, CPU)
    with tempfile.TemporaryDirectory() as folder, stop_on_signal() as stop:
        fast = updates(heavy, Path(folder) / "heavy", stop)
        slow = patch.object(layers, "attend", sdpa)(updates(atom, Path(folder) / "atom", stop))
        paces = paced([fast, slow], products, CPU, arguments.repeats)
    pieces = PIECE * BATCH
    rates = [[pieces / seconds for seconds in times] for times, _ in paces]
    rows = []
    models = {"heavy, compiled": heavy, "atom, eager SDPA": atom}
    for (name, config), own, (_, peaks) in zip(models.items(), rates, paces, strict=True):
        ratios = [rate / other for rate, other in zip(own, rates[1], strict=True)]
        passes, update = operations(config)
        shares = [rate / peak for rate, peak in zip(own, peaks, strict=True)]
        rows.append(
            {
                "model": name,
                "products": name_of(products),
                "molecules_per_second": median(own),
                "ratio": median(ratios),
                "least_ratio": min(ratios),
                "largest_ratio": max(ratios),
                "gigaflop_per_molecule": passes / 1e9,
                "gigaflop_of_muon_per_molecule": update / 1e9,
                "share_of_peak": (passes + update) * median(shares),
                "least_share": (passes + update) * min(shares),
                "largest_share": (passes + update) * max(shares),
                "share_of_peak_without_muon": passes * median(shares),
                "peak_gigaflops": median(peaks) / 1e9,
            }
        )
    recipe = heavy.model_dump(mode="json")
    publish(arguments.name, rows, heavy=recipe, atom_overrides=ATOM)


if __name__ == "__main__":
    main()
