"""One of the processes of test_sharding.py: trains with its weights cut into pieces.

Accelerate cuts on GPUs alone: here torch's `fully_shard` takes its place, with gloo.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from accelerate import Accelerator, DistributedType
from core.distributed_worker import CONFIG, toy_objective
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from toy_modality import ToyDataset
from unite_core.config import AdamWConfig, MuonConfig
from unite_core.layers import TransformerBlock
from unite_core.training import Trainer


def cut(
    accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer
) -> list[object]:
    """What Accelerate's `prepare` does to a model under FSDP, on CPUs."""
    mesh = init_device_mesh("cpu", (accelerator.num_processes,))
    for module in model.modules():
        if isinstance(module, TransformerBlock):
            fully_shard(module, mesh=mesh)
    return [fully_shard(model, mesh=mesh), optimizer]


def sharded_trainer(output: Path, optimizer: AdamWConfig | MuonConfig) -> Trainer:
    plugin = SimpleNamespace(fsdp_version=2, mixed_precision_policy="bfloat16 weights")
    Accelerator(mixed_precision=CONFIG.precision).state.fsdp_plugin = plugin
    with (
        mock.patch.object(Accelerator, "distributed_type", DistributedType.FSDP),
        mock.patch.object(Accelerator, "prepare", cut),
    ):
        trainer = Trainer(toy_objective(), ToyDataset(64, 5), CONFIG, optimizer, output, {})
    assert plugin.mixed_precision_policy is None
    assert all(isinstance(parameter, DTensor) for parameter in trainer.model.parameters())
    return trainer


def main(output: Path) -> None:
    for name, optimizer in (("muon", MuonConfig()), ("adamw", AdamWConfig())):
        sharded_trainer(output / name, optimizer).train()
        earlier = output / name / "checkpoints" / "step-000000002"
        sharded_trainer(output / f"{name}-resumed", optimizer).train(resume=earlier)
        Trainer(
            toy_objective(), ToyDataset(64, 5), CONFIG, optimizer, output / f"{name}-whole", {}
        ).train()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
