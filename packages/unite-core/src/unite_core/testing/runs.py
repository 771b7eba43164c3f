"""Checks of whole runs: repetition, resuming, learning, faults, several processes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from unite_core import checkpoint
from unite_core.batching import NOISE, BatchPlan, Share, derive_seed
from unite_core.config import RunConfig
from unite_core.errors import NonFiniteError
from unite_core.modality import Dataset
from unite_core.model import UniteModel, build_model
from unite_core.objective import JointObjective
from unite_core.optim import make_optimizers, set_rates, warmup_cosine
from unite_core.testing.setting import (
    BATCH,
    STEPS,
    Setting,
    identical,
    is_floating,
    lively,
    of_all_sizes,
    surroundings,
)
from unite_core.training import Trainer
from unite_core.types import Batch

PROCESSES = 2
PATIENCE = 300
"""Seconds for two processes to start and compute one gradient."""
GRADIENT_ROUNDING = 1e-3
"""Relative to a gradient's largest number, and that to the largest of all."""


class RunChecks(Setting):
    """What must be true from the first update to the last."""

    @pytest.fixture(scope="class")
    @classmethod
    def finished(cls, tiny: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """The output of a run of `STEPS` updates."""
        return run(tiny, tmp_path_factory.mktemp("run"))

    def test_samples_repeat_by_seed(self, model: UniteModel) -> None:
        first, again, other = (
            model.generate(3, steps=2, seed=seed, precision="no") for seed in (5, 5, 6)
        )
        assert identical(first, again), (
            "the same seed gives other samples: look for random numbers in decoder and `finish`"
        )
        assert not identical(first, other), "another seed gives the same samples"

    def test_a_run_repeats_by_seed(self, tiny: RunConfig, finished: Path, tmp_path: Path) -> None:
        require_equal(
            weights(finished, STEPS),
            weights(run(tiny, tmp_path), STEPS),
            "two runs of one seed differ in {}: all chance in `Dataset.batch` comes from its seed, "
            "in the network from torch's global generator",
        )

    def test_a_resumed_run_equals_an_uninterrupted_one(
        self, tiny: RunConfig, finished: Path, tmp_path: Path
    ) -> None:
        middle = finished / "checkpoints" / f"step-{STEPS // 2:09d}"
        require_equal(
            weights(finished, STEPS),
            weights(run(tiny, tmp_path, resume=middle), STEPS),
            "a resumed run differs in {}: look for state outside parameters and buffers, and for "
            "batches that depend on those before",
        )

    def test_a_saved_model_is_the_same(self, model: UniteModel, tmp_path: Path) -> None:
        model.save_pretrained(tmp_path)
        loaded = UniteModel.from_pretrained(tmp_path).eval()
        require_equal(
            model.state_dict(),
            loaded.state_dict(),
            "a loaded model differs in {}: look for weights made outside __init__",
        )
        assert loaded.modality.config == model.modality.config, "its config comes back changed"
        pair = (each.generate(2, steps=2, precision="no") for each in (model, loaded))
        assert identical(*pair), (
            "a loaded model gives other samples: what they depend on must be in the weights, the "
            "config or `statistics`"
        )

    def test_one_batch_is_learned(self, tiny: RunConfig) -> None:
        model = build_model(tiny)
        data = model.modality.dataset("train")
        first, last = learn(model, tiny, data.batch(of_all_sizes(data), None), self.overfit_steps)
        assert last <= self.overfit_share * first, (
            f"{self.overfit_steps} updates on one batch take the reconstruction loss from "
            f"{first:.4g} to {last:.4g}, more than {self.overfit_share} of it: look at what the "
            "tokenizer leaves out, at the decoder, and at the recipe's learning rate"
        )

    def test_numbers_that_are_not_finite_stop_the_run(
        self, tiny: RunConfig, tmp_path: Path
    ) -> None:
        model = build_model(tiny)
        data = Spoiled(model.modality.dataset("train"), self.with_nan)
        if identical(data.batch(np.arange(1), None), data.source.batch(np.arange(1), None)):
            pytest.skip("a batch of this modality holds nothing that can be NaN")
        try:
            Trainer.of_run(tiny, model, data, tmp_path).train()
        except NonFiniteError:
            pass
        except Exception as error:
            pytest.fail(f"a batch of NaN raises {error!r}: let NaN through to the loss")
        else:
            pytest.fail("a batch of NaN is trained on: look for nan_to_num, clamp and where")
        for path in checkpoint.found(tmp_path / "checkpoints"):
            state = checkpoint.load(path)["model"]
            bad = [n for n, v in state.items() if is_floating(v) and not v.isfinite().all()]
            assert not bad, f"{path} holds numbers that are not finite: {', '.join(bad)}"

    def test_two_processes_have_the_gradients_of_one(self, tiny: RunConfig, tmp_path: Path) -> None:
        found = gradients_of_processes(tiny, tmp_path)
        model = lively(build_model(tiny))
        expected = gradients(model, tiny, model.modality.dataset("train"))
        largest = max(float(gradient.abs().max()) for gradient in expected.values())
        for rank, own in enumerate(found):
            assert own.keys() == expected.keys(), (
                f"process {rank} has gradients of other weights: {own.keys() ^ expected.keys()}"
            )
            for name, gradient in expected.items():
                gap, size = (float(x.abs().max()) for x in (own[name] - gradient, gradient))
                assert gap <= GRADIENT_ROUNDING * max(size, GRADIENT_ROUNDING * largest), (
                    f"two processes have another gradient of {name} than one, by {gap:.2g} where "
                    f"its largest number is {size:.2g}: look for state that is not the same in all "
                    "processes"
                )


class Spoiled(Dataset):
    """A data set whose batches `spoil` changes."""

    def __init__(self, source: Dataset, spoil: Any) -> None:
        self.source, self.spoil, self.sizes = source, spoil, source.sizes

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray, seed: int | None) -> Batch:
        batch: Batch = self.spoil(self.source.batch(indices, seed))
        return batch


def run(config: RunConfig, output: Path, resume: Path | None = None) -> Path:
    """Trains a fresh model, and gives the output."""
    model = build_model(config)
    Trainer.of_run(config, model, model.modality.dataset("train"), output).train(resume)
    return output


def weights(output: Path, step: int) -> Mapping[str, Tensor]:
    """The model in a run's checkpoint."""
    state: Mapping[str, Tensor] = checkpoint.load(output / "checkpoints" / f"step-{step:09d}")[
        "model"
    ]
    return state


def require_equal(a: Mapping[str, Tensor], b: Mapping[str, Tensor], message: str) -> None:
    """Fails with `message` about the tensors that differ in a bit."""
    differing = [name for name in a.keys() | b.keys() if not identical(a.get(name), b.get(name))]
    assert not differing, message.format(", ".join(sorted(differing)[:5]))


def learn(model: UniteModel, config: RunConfig, batch: Batch, steps: int) -> tuple[float, float]:
    """The reconstruction loss before and after so many updates on one batch."""
    torch.manual_seed(0)
    objective = JointObjective(
        model.train(), config.objective.model_copy(update={"draws": 1, "decoder_noise": None})
    )
    optimizers = make_optimizers(model, config.optimizer)
    seen: list[float] = []
    for step in range(steps):
        set_rates(optimizers, warmup_cosine(step, steps // 10, step / steps, 0.0))
        losses = objective(batch)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        seen.append(float(losses.terms["reconstruction"]))
    return seen[0], min(seen[-10:])


def gradients(model: UniteModel, config: RunConfig, data: Dataset) -> dict[str, Tensor]:
    """The mean over all ranks of the first update, one after the other in this process."""
    objective, seed = JointObjective(model.train(), config.objective), config.training.seed
    for rank in range(PROCESSES):
        plan = BatchPlan(data, BATCH, seed, Share(1, rank, PROCESSES))
        torch.manual_seed(derive_seed(seed, NOISE, 0, 0, rank))
        (objective(plan[0]).total / PROCESSES).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def gradients_of_processes(config: RunConfig, directory: Path) -> list[dict[str, Tensor]]:
    """The same as each of two gloo processes has it."""
    recipe = directory / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(PROCESSES)]
    worker = ["-m", "unite_core.testing.worker", str(recipe), str(directory)]
    environment = surroundings() | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *worker],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"two processes do not train together:\n{done.stderr}"
    return [load_file(directory / f"gradients-{rank}.safetensors") for rank in range(PROCESSES)]
