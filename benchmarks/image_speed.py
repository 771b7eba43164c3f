"""How fast UNITE-B trains and samples at 256 x 256, against the device's matmul peak, and how much
memory the flow draws take.

LPIPS is left out, since its network is a download. Operations are counted, recomputed ones of
activation checkpointing too. With --compile the speed is measured with compiled blocks too.
"""

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from environment import Row, publish
from peak import accelerator, paced
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from unite_core.config import RunConfig
from unite_core.layers import compile_blocks
from unite_core.model import UniteModel, build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers
from unite_core.precision import autocast, number_type
from unite_core.recipes import load_recipe

EMOJI = ["data.path=emoji", "data.loss.perceptual=0"]
GUIDANCE = 2.4


def recipe(draws: int, chunk: int) -> RunConfig:
    """UNITE-B with so many flow draws, `chunk` at once."""
    drawn = [f"objective.draws={draws}", f"objective.chunk={chunk}"]
    return load_recipe("imagenet-256-base", EMOJI + drawn)


Work = tuple[Callable[[], object], float]
"""A piece of work and its floating-point operations."""


def counted(work: Callable[[], object]) -> float:
    """The floating-point operations of a piece of work.

    Attention is taken apart for it: the counter does not know the fused kernel of CPUs.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops())


def update(model: UniteModel, config: RunConfig, batch_size: int) -> Callable[[], None]:
    """A training step, optimizer included."""
    device = model.device
    objective = JointObjective(model, config.objective)
    optimizers = make_optimizers(model, config.optimizer)
    batch = model.modality.dataset("train").batch(np.arange(batch_size), 0).to(device)

    def step() -> None:
        with autocast("auto", device):
            loss = objective(batch).total
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()

    return step


def training(batch_size: int, device: torch.device, compiled: bool) -> Work:
    """A step with three draws."""
    config = recipe(3, 1)
    model = build_model(config).to(device)
    step = update(model, config, batch_size)
    operations = counted(step)
    if compiled:
        compile_blocks(model)
    return step, operations


def sampling(batch_size: int, steps: int, device: torch.device, compiled: bool) -> Work:
    """Guided generation."""
    model = build_model(recipe(1, 1)).to(device).eval()

    def work() -> object:
        return model.generate(batch_size, steps=steps, guidance=GUIDANCE, solver="heun")

    model.requires_grad_(False)  # the counter would look for gradients, which there are not
    operations = counted(work)
    model.requires_grad_(True)  # autocast converts weights anew for each use of those without
    if compiled:
        compile_blocks(model)
    return work, operations


def speeds(batch_size: int, steps: int, repeats: int, compiled: bool) -> list[Row]:
    """Images per second and share of the peak, of training and of sampling: printed medians."""
    device = accelerator()
    products = number_type("auto", device)
    kinds = {
        "training step, 3 draws": training(batch_size, device, compiled),
        f"sampling, heun {steps} steps, guidance {GUIDANCE}": sampling(
            batch_size, steps, device, compiled
        ),
    }
    rows = []
    for name, (work, operations) in kinds.items():
        ((seconds, peaks),) = paced([work], products, device, repeats)
        shares = [operations / s / peak for s, peak in zip(seconds, peaks, strict=True)]
        rows.append(
            {
                "what": name,
                "code": "compiled" if compiled else "as written",
                "products": str(products).removeprefix("torch."),
                "images_per_second": batch_size / median(seconds),
                "teraflop_per_image": operations / batch_size / 1e12,
                "share_of_peak": median(shares),
                "least_share": min(shares),
                "largest_share": max(shares),
                "peak_gigaflops": median(peaks) / 1e9,
            }
        )
        print(rows[-1], flush=True)
    return rows


def peak_memory(draws: int, batch_size: int) -> float:
    """Gigabytes at the peak of a training step, in a process of its own."""
    command = [sys.executable, __file__, "--memory-of", str(draws), "--batch-size", str(batch_size)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(result.stdout.split()[-1])


def report_memory(draws: int, batch_size: int) -> None:
    """Prints this process's peak after a training step."""
    device = accelerator()
    config = recipe(draws, 1)
    update(build_model(config).to(device), config, batch_size)()
    if device.type == "cuda":
        print(torch.cuda.max_memory_allocated() / 1e9)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2, help="of the sampler")
    parser.add_argument("--repeats", type=int, default=5, help="of the measurement of speed")
    parser.add_argument("--name", default="image_speed", help="of the result file")
    parser.add_argument("--compile", action="store_true", help="the blocks, and measure again")
    parser.add_argument("--memory-of", type=int, metavar="DRAWS", help="print a peak, do no more")
    arguments = parser.parse_args()
    if arguments.memory_of is not None:
        report_memory(arguments.memory_of, arguments.batch_size)
        return
    # first: a process begins with the peak of the one that starts it
    memory = {f"{draws} draws": peak_memory(draws, arguments.batch_size) for draws in (3, 14)}
    measured = arguments.batch_size, arguments.steps, arguments.repeats
    rows = speeds(*measured, compiled=False)
    if arguments.compile:
        rows += speeds(*measured, compiled=True)
    config = recipe(3, 1).model_dump(mode="json")
    publish(arguments.name, rows, memory_gigabytes=memory, config=config)


if __name__ == "__main__":
    main()
