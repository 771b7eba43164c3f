"""On a real GPU, what a CPU computes: `make test-gpu`. Skipped where there is none."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from core.test_checkpoint import assert_same
from torch import Tensor, nn
from unite_core import checkpoint, flow
from unite_core.errors import ConfigurationError
from unite_core.latents import RowNoise, integrate
from unite_core.layers import compile_blocks
from unite_core.model import UniteModel, build_model, load_model
from unite_core.objective import JointObjective
from unite_core.recipes import load_recipe
from unite_core.recorded import WARM_UP, RecordedPass
from unite_core.training import Trainer
from unite_core.types import Losses
from unite_molecule.metrics import by_distance

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a GPU, and UNITE_TEST_GPU=1"
)
RECIPES = ["emoji-demo", "qm9-demo"]


@pytest.fixture
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions in float32: on GPUs they round to ten bits by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


def stirred(recipe: str) -> UniteModel:
    """A model whose weights are not those of a start, many of which are zero."""
    model = build_model(load_recipe(recipe, []))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def losses_of(model: UniteModel, device: str) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Reconstruction's loss, the error of a denoising pass, and the gradients of both's sum."""
    model.zero_grad()  # before it moves, which moves gradients that are kept elsewhere too
    model.to(device)
    batch = model.modality.dataset("train").batch(np.arange(8), 0).to(torch.device(device))
    latents, layout, context = model.encode_same(batch, 0)
    prediction = model.decoder(latents.z, latents.mask)
    reconstruction, _ = model.modality.reconstruction_loss(prediction, batch, context)
    noise = torch.randn(latents.z.shape, generator=torch.Generator().manual_seed(1)).to(device)
    t = torch.linspace(0.1, 0.9, 8).to(device)
    condition = model.condition.null(8)
    estimate = model.denoise(flow.interpolate(latents.z, noise, t), t, condition, layout.mask)
    error = (estimate - latents.z).square().mean()
    (reconstruction + error).backward()
    gradients = {n: p.grad.cpu() for n, p in model.named_parameters() if p.grad is not None}
    return reconstruction.detach().cpu(), error.detach().cpu(), gradients


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.usefixtures("unchecked", "full_precision")
def test_losses_and_gradients_are_the_cpus(recipe: str, compiled: bool) -> None:
    model = stirred(recipe)
    expected = losses_of(model, "cpu")
    if compiled:
        compile_blocks(model)
    found = losses_of(model, "cuda")
    torch.testing.assert_close(found[:2], expected[:2], rtol=1e-4, atol=1e-5)
    assert found[2].keys() == expected[2].keys()
    for name, gradient in expected[2].items():
        difference = (found[2][name] - gradient).norm() / gradient.norm().clamp(min=1e-6)
        assert difference < 2e-3, f"{name}: {float(difference)}"


def outcome(
    model: UniteModel, work: Callable[[Any], Losses], batch: Any, seed: int
) -> list[Tensor]:
    """Losses and gradients of a pass, to keep."""
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    for gradient in gradients:
        gradient.zero_()
    torch.manual_seed(seed)
    losses = work(batch)
    return [x.clone() for x in (losses.total, *losses.terms.values(), *gradients)]


@pytest.mark.parametrize("recipe", [*RECIPES, "qm9-paper"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.usefixtures("unchecked")
def test_replayed_passes_are_what_is_written(recipe: str, compiled: bool) -> None:
    model = stirred(recipe).train().to("cuda")
    objective = JointObjective(model, load_recipe(recipe, []).objective)
    if compiled:
        compile_blocks(model)

    def both_ways(batch: Any) -> Losses:
        with torch.autocast("cuda", torch.bfloat16):
            losses: Losses = objective(batch)
        losses.total.backward()
        return losses

    work = RecordedPass(both_ways, torch.device("cuda"))
    data = model.modality.dataset("train")
    alike = np.argsort(data.sizes, kind="stable")[-40:].reshape(5, 8)
    for seed in range(WARM_UP):
        outcome(model, work, data.batch(alike[seed], 0), seed)
    for seed in range(WARM_UP, len(alike)):
        batch = data.batch(alike[seed], 0)
        replayed = outcome(model, work, batch, seed)
        written = outcome(model, work.as_written, batch, seed)
        torch.testing.assert_close(replayed, written, rtol=1e-3, atol=1e-5)
    assert len(work.recordings) == 1


@pytest.mark.parametrize("solver", ["euler", "heun", "stochastic"])
def test_latents_are_the_cpus(solver: str) -> None:
    model = load_model("qm9-small")
    layout = model.modality.sample_layout(16, np.random.default_rng(0), None)
    times = flow.time_grid(20, 1.0)
    made = []
    for device in ("cpu", "cuda"):
        model.to(device)
        own = layout.to(torch.device(device))
        noise = RowNoise([(0, i) for i in range(16)], own, model.encoder.config.latent_dim)
        with torch.no_grad():
            made.append(integrate(model.guided(own, 1.0), noise, times, solver, 2.0).cpu())
    # a relative change of the weights by 1e-6 makes one of 1e-4 here
    assert (made[1] - made[0]).norm() < 1e-3 * made[0].norm()


def test_samples_are_as_stable_as_on_a_cpu() -> None:
    samples = load_model("qm9-small").to("cuda").generate(400)
    assert by_distance(samples)["molecule_stable"] > 0.75


def short_run(output: Path) -> Trainer:
    short = ["training.steps=12", "training.minutes=null", "training.checkpoint_steps=6"]
    config = load_recipe("qm9-demo", [*short, "training.compile=true"])
    model = build_model(config)
    return Trainer.of_run(config, model, model.modality.dataset("train"), output)


def tensors_of(output: Path, step: int) -> dict[str, Tensor]:
    """All tensors of a checkpoint by their paths."""
    tensors: dict[str, Tensor] = {}
    state = checkpoint.load(output / "checkpoints" / f"step-{step:09d}")
    for part in ("model", "ema", "optimizers"):
        checkpoint.flatten(state[part], part, tensors)
    return tensors


@pytest.mark.usefixtures("unchecked")
def test_resumed_in_bfloat16_equals_uninterrupted(tmp_path: Path) -> None:
    short_run(tmp_path / "a").train()
    short_run(tmp_path / "b").train(resume=tmp_path / "a" / "checkpoints" / "step-000000006")
    assert_same(*(tensors_of(tmp_path / run, 12) for run in "ab"))


def logged(output: Path) -> Tensor:
    """Loss and gradient norm [updates, 2] of a run that logs each update."""
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return torch.tensor([[line["loss"], line["gradient_norm"]] for line in lines])


@pytest.mark.parametrize("recipe", RECIPES)
def test_fsdp_trains_as_a_single_process_does(tmp_path: Path, recipe: str) -> None:
    """To rounding, which training amplifies: starting from weights changed by 1e-7, eight updates
    in bfloat16 end 0.2 to 0.3 of their way apart, where unrelated ones end 1.4 apart.
    """
    settings = {"steps": 8, "minutes": "null", "warmup_steps": 0, "log_steps": 1}
    options = [x for name, value in settings.items() for x in ("-o", f"training.{name}={value}")]
    module = ["-m", "unite_core.cli", "train", recipe, *options, "--output"]
    alone = [sys.executable, *module, str(tmp_path / "alone")]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1"]
    cut = [*launcher, "--use_fsdp", "--fsdp_version", "2", *module, str(tmp_path / "cut")]
    for command in (alone, cut):
        subprocess.run(command, check=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "4"})
    numbers, theirs = (logged(tmp_path / run) for run in ("alone", "cut"))
    torch.testing.assert_close(theirs[0], numbers[0], rtol=5e-3, atol=0)
    torch.testing.assert_close(theirs[:, 0], numbers[:, 0], rtol=2e-2, atol=0)
    expected, found = (tensors_of(tmp_path / run, 8) for run in ("alone", "cut"))
    assert found.keys() == expected.keys()
    start = build_model(load_recipe(recipe, [])).state_dict()
    moved = [expected[f"model/{name}"] - tensor for name, tensor in start.items()]
    apart = [found[f"model/{name}"] - expected[f"model/{name}"] for name in start]
    assert nn.utils.get_total_norm(apart) < 0.6 * nn.utils.get_total_norm(moved)


@pytest.mark.usefixtures("unchecked")
def test_a_pass_that_looks_at_values_is_told_the_remedy() -> None:
    model = stirred("emoji-demo").train().to("cuda")
    objective = JointObjective(model, load_recipe("emoji-demo", []).objective)

    def looking(batch: Any) -> Losses:
        losses: Losses = objective(batch)
        losses.total.backward()
        assert float(losses.total) > 0
        return losses

    work = RecordedPass(looking, torch.device("cuda"))
    batch = model.modality.dataset("train").batch(np.arange(8), 0)
    for _ in range(WARM_UP):
        work(batch)
    with pytest.raises(ConfigurationError, match=r"training\.cuda_graphs=false"):
        work(batch)
