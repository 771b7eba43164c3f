"""How fast UNITE-B trains and samples at 256 x 256, against the device's matmul peak, and how much
memory the flow draws take.

LPIPS is left out, since its network is a download. Operations are counted, recomputed ones of
activation checkpointing too.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from environment import Row, publish
from peak import accelerator, finish, matmul_peak
from torch.utils.flop_counter import FlopCounterMode
from unite_core.config import RunConfig
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers
from unite_core.recipes import load_recipe

EMOJI = ["data.path=emoji", "data.loss.perceptual=0"]
GUIDANCE = 2.4


def recipe(draws: int, chunk: int) -> RunConfig:
    """UNITE-B with so many flow draws, `chunk` at once."""
    drawn = [f"objective.draws={draws}", f"objective.chunk={chunk}"]
    return load_recipe("imagenet-256-base", EMOJI + drawn)


def timed(work: Callable[[], object], device: torch.device) -> tuple[float, float]:
    """Seconds and floating-point operations of a piece of work, measured in two runs."""
    with FlopCounterMode(display=False) as counter:
        work()
    finish(device)
    start = time.perf_counter()
    work()
    finish(device)
    return time.perf_counter() - start, counter.get_total_flops()


def update(config: RunConfig, batch_size: int, device: torch.device) -> Callable[[], None]:
    """A training step, optimizer included."""
    model = build_model(config).to(device)
    objective = JointObjective(model, config.objective)
    optimizers = make_optimizers(model, config.optimizer)
    batch = model.modality.dataset("train").batch(np.arange(batch_size), 0).to(device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = objective(batch).total
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def sampled(batch_size: int, steps: int, device: torch.device) -> Callable[[], object]:
    """Guided generation."""
    # without gradients, which the counter of operations would otherwise look for in vain
    model = build_model(recipe(1, 1)).to(device).eval().requires_grad_(False)
    return lambda: model.generate(batch_size, steps=steps, guidance=GUIDANCE, solver="heun")


def speeds(batch_size: int, steps: int) -> list[Row]:
    """Images per second and share of the peak, of training and of sampling."""
    device = accelerator()
    peak = matmul_peak(device)
    kinds = {
        "training step, 3 draws": update(recipe(3, 1), batch_size, device),
        f"sampling, heun {steps} steps, guidance {GUIDANCE}": sampled(batch_size, steps, device),
    }
    rows = []
    for name, work in kinds.items():
        seconds, flops = timed(work, device)
        rows.append(
            {
                "what": name,
                "images_per_second": batch_size / seconds,
                "teraflop_per_image": flops / batch_size / 1e12,
                "share_of_peak": flops / seconds / peak,
                "peak_gigaflops": peak / 1e9,
            }
        )
    return rows


def peak_memory(draws: int, batch_size: int) -> float:
    """Gigabytes at the peak of a training step, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", str(draws), "--batch-size", str(batch_size)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout.split()[-1])


def report_memory(draws: int, batch_size: int) -> None:
    """Prints this process's peak after a training step."""
    device = accelerator()
    update(recipe(draws, 1), batch_size, device)()
    if device.type == "cuda":
        print(torch.cuda.max_memory_allocated() / 1e9)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="of the sampler")
    parser.add_argument("--memory-of", type=int, metavar="DRAWS", help="print a peak, do no more")
    arguments = parser.parse_args()
    if arguments.memory_of is not None:
        report_memory(arguments.memory_of, arguments.batch_size)
        return
    # first: a process begins with the peak of the one that starts it
    memory = {f"{draws} draws": peak_memory(draws, arguments.batch_size) for draws in (3, 14)}
    rows = speeds(arguments.batch_size, arguments.steps)
    config = recipe(3, 1).model_dump(mode="json")
    publish("image_speed", rows, memory_gigabytes=memory, config=config)


if __name__ == "__main__":
    main()
