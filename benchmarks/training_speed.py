"""How fast a small model trains, against the machine's matmul peak and the published layout.

The model is qm9-small's with two flow draws and batches of 64. It trains once as it is (a latent
per heavy atom, compiled) and once with a latent per atom, padded to 29, eager, with torch's
scaled_dot_product_attention, both in the precision that is faster on this machine. Floating-point
operations are counted on the uncompiled model, Muon's apart.
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from environment import publish
from peak import matmul_peak, number_type
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from trials import trainer
from unite_core import layers
from unite_core.config import RunConfig
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers
from unite_core.recipes import load_recipe

BATCH = 64
COMMON = [
    "objective.draws=2",
    f"training.batch_size={BATCH}",
    "training.minutes=null",
    "training.checkpoint_steps=1000000",
    "training.log_steps=20",
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


def speed(config: RunConfig) -> float:
    """Molecules per second of the trainer: median over the second half of the run."""
    with tempfile.TemporaryDirectory() as folder:
        run = trainer(config, Path(folder) / "run")
        run.train()
        lines = (run.output / "log.jsonl").read_text().splitlines()
    speeds = [json.loads(line)["samples_per_second"] for line in lines]
    return statistics.median(speeds[len(speeds) // 2 :])


def sdpa(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None) -> Tensor:
    """torch's own attention."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1000, help="updates of each run")
    steps = [f"training.steps={parser.parse_args().steps}"]
    heavy = load_recipe("qm9-small", COMMON + HEAVY + steps)
    atom = load_recipe("qm9-small", COMMON + ATOM + steps)
    cpu = torch.device("cpu")
    peak = matmul_peak(cpu)
    rows = []
    with patch.object(layers, "attend", sdpa):
        slow = speed(atom)
    fast = speed(heavy)
    for name, config, rate in (("heavy, compiled", heavy, fast), ("atom, eager SDPA", atom, slow)):
        passes, update = operations(config)
        rows.append(
            {
                "model": name,
                "products": str(number_type(cpu)).removeprefix("torch."),
                "molecules_per_second": rate,
                "ratio": rate / slow,
                "gigaflop_per_molecule": passes / 1e9,
                "gigaflop_of_muon_per_molecule": update / 1e9,
                "share_of_peak": (passes + update) * rate / peak,
                "share_of_peak_without_muon": passes * rate / peak,
                "peak_gigaflops": peak / 1e9,
            }
        )
    recipe = heavy.model_dump(mode="json")
    publish("training_speed", rows, heavy=recipe, atom_overrides=ATOM)


if __name__ == "__main__":
    main()
