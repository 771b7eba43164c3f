"""One of the processes that the contract starts: saves its gradients of the first update."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from unite_core.model import build_model
from unite_core.recipes import load_recipe
from unite_core.testing.setting import lively
from unite_core.training import Trainer


def main(recipe: str, output: Path) -> None:
    """Computes this process's share of the batch; gradients are of all processes."""
    config = load_recipe(recipe)
    model = lively(build_model(config))
    each = Trainer.of_run(config, model, model.modality.dataset("train"), output / "run")
    model.train()
    each.backward(each.plan[0], 0)
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    save_file(found, output / f"gradients-{each.accelerator.process_index}.safetensors")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
