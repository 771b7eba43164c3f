"""One of the processes of test_distributed.py: saves its gradients, then trains."""

import sys
from pathlib import Path

import torch
from core.test_objective import toy_model
from toy_modality import ToyDataset
from unite_core.config import MuonConfig, ObjectiveConfig, TrainingConfig
from unite_core.objective import JointObjective
from unite_core.training import Trainer

CONFIG = TrainingConfig(
    steps=3,
    batch_size=16,
    accumulation=2,
    warmup_steps=0,
    precision="no",
    log_steps=1,
    checkpoint_steps=2,
)


def toy_objective() -> JointObjective:
    return JointObjective(toy_model(), ObjectiveConfig(draws=2))


def main(output: Path) -> None:
    objective = toy_objective()
    trainer = Trainer(objective, ToyDataset(64, 5), CONFIG, MuonConfig(), output / "run", {})
    rank = trainer.accelerator.process_index
    for piece in range(CONFIG.accumulation):
        trainer.backward(trainer.plan[piece], piece)
    parameters = objective.named_parameters()
    gradients = {n: p.grad for n, p in parameters if p.grad is not None}
    torch.save(gradients, output / f"gradients-{rank}.pt")
    objective.zero_grad()
    trainer.train()
    torch.save(objective.model.state_dict(), output / f"weights-{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
