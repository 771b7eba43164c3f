"""Training and sampling on a GPU that is not there: its tensors have no values, but what mixes
devices, or waits for values, fails.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from unite_core.model import build_model
from unite_core.objective import JointObjective
from unite_core.recipes import load_recipe

RECIPES = {
    "emoji-demo": [],
    "image-base": ["data.path=emoji", "data.loss.perceptual=0", "encoder.depth=5"],
    "qm9-demo": [],
    "qm9-paper": [],
}


@contextmanager
def absent_gpu() -> Iterator[None]:
    """Inside, operations are checked but not made."""
    # compiled code does not look at masks, which have no values here
    compiled = mock.patch.object(torch.compiler, "is_compiling", return_value=True)
    with compiled, FakeTensorMode(allow_non_fake_inputs=True):
        yield


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


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_nothing_is_left_on_the_cpu(recipe: str) -> None:
    config = load_recipe(recipe, RECIPES[recipe])
    model = build_model(config)
    samples = model.modality.dataset("train").batch(np.arange(4), 0)
    with absent_gpu():
        move(model)
        batch = moved(samples)
        losses = JointObjective(model, config.objective)(batch)
        assert {term.device.type for term in (losses.total, *losses.terms.values())} == {"cuda"}
        layout = model.modality.layout(batch)
        z = torch.randn(*layout.mask.shape, model.encoder.config.latent_dim, device="cuda")
        with torch.no_grad():
            estimate = model.guided(layout, 1.0)(z, torch.rand(4, device="cuda"))
        assert estimate.device.type == "cuda"
        model.decoder(z, layout.mask)
