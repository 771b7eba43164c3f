"""What the checks of the contract work on: a tiny run, its model and a batch."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState, GradientState
from torch import Tensor, nn

from unite_core.config import RunConfig
from unite_core.modality import Dataset
from unite_core.model import UniteModel, build_model
from unite_core.plugins import Plugin, load_plugin
from unite_core.recipes import load_recipe
from unite_core.types import Batch

STEPS = 4
"""Updates of the contract's runs; a checkpoint lies in the middle."""
BATCH = 4
"""Samples of an update."""


class Setting:
    """What a subclass says, and the fixtures that follow from it."""

    recipe: ClassVar[str]
    """A recipe, by name or path, that makes a model small enough for tests."""
    overrides: ClassVar[Sequence[str]] = ()
    """Changes to the recipe, as `unite train -o` takes them."""
    rounding: ClassVar[float] = 1e-4
    """The most by which latents may differ where only the order of float32 sums does."""
    same: ClassVar[float] = 1e-3
    """The most that `Modality.errors` may say of samples that are the same but for rounding."""
    overfit_steps: ClassVar[int] = 150
    """Updates on one batch, with the recipe's optimizer."""
    overfit_share: ClassVar[float] = 0.3
    """What may be left of the reconstruction loss after them."""

    @pytest.fixture(scope="class")
    @classmethod
    def config(cls) -> RunConfig:
        """The tiny run. Override it where data or a cache have to be made first."""
        return load_recipe(cls.recipe, cls.overrides)

    @staticmethod
    def with_nan(batch: Any) -> Any:
        """The batch with NaN for every number. Override it for batches that are no dataclasses."""
        tensors = {field.name: getattr(batch, field.name) for field in fields(batch)}
        bad = {k: torch.full_like(v, torch.nan) for k, v in tensors.items() if is_floating(v)}
        return replace(batch, **bad)

    @pytest.fixture(scope="class")
    @classmethod
    def tiny(cls, config: RunConfig) -> RunConfig:
        """`config` without ablations, cut to a few updates in float32."""
        return shortened(config)

    @pytest.fixture
    def plugin(self, config: RunConfig) -> Plugin:
        return load_plugin(config.modality)

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, tiny: RunConfig) -> UniteModel:
        """Untrained; every weight counts."""
        return lively(build_model(tiny)).eval()

    @pytest.fixture
    def batch(self, model: UniteModel) -> Batch:
        """Samples of all sizes between the smallest and the largest."""
        data = model.modality.dataset("train")
        return data.batch(of_all_sizes(data), None)

    @pytest.fixture(autouse=True)
    def own_accelerate(self) -> Iterator[None]:
        """Accelerate keeps one state for all of a process; each check has its own."""
        yield
        forget_accelerate()


def shortened(config: RunConfig) -> RunConfig:
    """The run cut to `STEPS` updates in float32 on one device, without ablations."""
    training = {
        "steps": STEPS,
        "minutes": None,
        "batch_size": BATCH,
        "accumulation": 1,
        "warmup_steps": 1,
        "precision": "no",
        "compile": False,
        "workers": 0,
        "on_nonfinite": "stop",
        "checkpoint_steps": STEPS // 2,
        "preview_steps": None,
        "log_steps": 1,
    }
    return config.model_copy(
        update={
            "encoder": config.encoder.model_copy(update={"denoiser": "shared"}),
            "objective": config.objective.model_copy(update={"stop_gradient": True}),
            "training": config.training.model_copy(update=training),
        }
    )


def lively(model: UniteModel) -> UniteModel:
    """The model with weights drawn where they start at zero, behind which nothing would be seen."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return model


def of_all_sizes(data: Dataset) -> np.ndarray:
    """Indices [4], or of all samples where there are fewer, the smallest first."""
    order = np.argsort(data.sizes, kind="stable")
    places: np.ndarray = order[np.linspace(0, len(order) - 1, min(4, len(order))).astype(int)]
    return places


def is_floating(value: Any) -> bool:
    """Whether it is a tensor of real numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def identical(a: Any, b: Any) -> bool:
    """Whether two samples are equal bit for bit, whatever they are made of."""
    if isinstance(a, np.ndarray | Tensor):
        return type(a) is type(b) and np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(a[key], b[key]) for key in a)
    if is_dataclass(a):
        return all(identical(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def reached(loss: Tensor, module: nn.Module) -> set[str]:
    """Names of the parameters that get a gradient other than zero."""
    named = {name: p for name, p in module.named_parameters() if p.requires_grad}
    if not named:
        return set()
    gradients = torch.autograd.grad(
        loss, list(named.values()), retain_graph=True, allow_unused=True
    )
    pairs = zip(named, gradients, strict=True)
    return {name for name, gradient in pairs if gradient is not None and bool(gradient.any())}


def surroundings() -> dict[str, str]:
    """Environment for another Python that finds the packages that this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def forget_accelerate() -> None:
    """As in a new process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
