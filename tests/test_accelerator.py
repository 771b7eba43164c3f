"""Training and sampling on a GPU that is not there: its tensors have no values, but what mixes
devices, or waits for values, fails.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from unite_core.layers import unseen_masks
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.recipes import load_recipe

RECIPES = {
    "emoji-demo": [],
    "image-base": ["data.path=emoji", "data.loss.perceptual=0", "encoder.depth=5"],
    "qm9-demo": [],
    "qm9-paper": [],
}


class Stationary(TorchDispatchMode):
    """Fails where a tensor goes from one device to another, which no recorded pass may do."""

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {x.device.type for x in tree_leaves(args) if isinstance(x, torch.Tensor) and x.ndim}
        left = {x.device.type for x in tree_leaves(made) if isinstance(x, torch.Tensor)}
        assert len(given | left) < 2 or not given, f"{func} from {given} to {left}"
        return made


def moved(value: Any) -> Any:
    """A tensor like it on the GPU; of a batch, all its tensors."""
    if isinstance(value, torch.Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="cuda")
    if is_dataclass(value):
        parts = {field.name: moved(getattr(value, field.name)) for field in fields(value)}
        return type(value)(**parts)
    return value


def move(model: nn.Module) -> None:
    """As model.to("cuda"), which does not take tensors without values."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(moved(parameter), parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, moved(buffer))


@contextmanager
def on_absent_gpu(recipe: str) -> Iterator[tuple[JointObjective, Any]]:
    """A recipe's objective and a batch for it; inside, operations are checked but not made."""
    config = load_recipe(recipe, RECIPES[recipe])
    model = build_model(config)
    samples = model.modality.dataset("train").batch(np.arange(4), 0)
    # values of masks are not there to be looked at
    with unseen_masks(), FakeTensorMode(allow_non_fake_inputs=True):
        move(model)
        yield JointObjective(model, config.objective), moved(samples)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_is_left_on_the_cpu(recipe: str) -> None:
    with on_absent_gpu(recipe) as (objective, batch):
        model, losses = objective.model, objective(batch)
        assert {term.device.type for term in (losses.total, *losses.terms.values())} == {"cuda"}
        layout = model.modality.layout(batch)
        z = torch.randn(*layout.mask.shape, model.encoder.config.latent_dim, device="cuda")
        with torch.no_grad():
            estimate = model.guided(layout, 1.0)(z, torch.rand(4, device="cuda"))
        assert estimate.device.type == "cuda"
        model.decoder(z, layout.mask)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_pass_can_be_recorded(recipe: str) -> None:
    """After a first one, which may bring tables, nothing comes from the host; forwards, that is:
    gradients cannot be had here.
    """
    with on_absent_gpu(recipe) as (objective, batch):
        objective(batch)
        with Stationary():
            objective(batch)
