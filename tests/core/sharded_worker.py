"""One of the processes of test_sharding.py: trains with its weights in shards.

Accelerate takes FSDP for GPUs alone: here it is told that it had, and shards are sent by gloo.
"""

import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from accelerate import Accelerator, DistributedType
from core.distributed_worker import CONFIG, toy_objective
from torch.distributed.fsdp import OffloadPolicy
from torch.distributed.tensor import DTensor
from toy_modality import ToyDataset
from unite_core.config import AdamWConfig, MuonConfig
from unite_core.training import Trainer

ROUNDED = CONFIG.model_copy(update={"precision": "bf16"})
PLUGIN = SimpleNamespace(
    fsdp_version=2,
    activation_checkpointing=False,
    cpu_offload=OffloadPolicy(),
    reshard_after_forward=True,
)


def new_trainer(output: Path, optimizer: AdamWConfig | MuonConfig) -> Trainer:
    return Trainer(toy_objective(), ToyDataset(64, 5), ROUNDED, optimizer, output, {})


def train_in_shards(output: Path, optimizer: AdamWConfig | MuonConfig, resume: Path | None) -> None:
    Accelerator().state.fsdp_plugin = PLUGIN
    with (
        mock.patch.object(Accelerator, "distributed_type", DistributedType.FSDP),
        mock.patch.object(Accelerator, "is_fsdp2", True),
    ):
        trainer = new_trainer(output, optimizer)
        assert all(isinstance(parameter, DTensor) for parameter in trainer.model.parameters())
        trainer.train(resume)


def main(output: Path) -> None:
    for name, optimizer in (("muon", MuonConfig()), ("adamw", AdamWConfig())):
        train_in_shards(output / name, optimizer, None)
        earlier = output / name / "checkpoints" / "step-000000002"
        train_in_shards(output / f"{name}-resumed", optimizer, earlier)
        new_trainer(output / f"{name}-whole", optimizer).train()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
