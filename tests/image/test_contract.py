"""The image modality keeps the contract, on a file of random images."""

from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import pytest
from unite_core.config import RunConfig
from unite_core.recipes import load_recipe
from unite_core.testing import ModalityContract
from unite_image.types import Image


class TestImage(ModalityContract):
    recipe = "emoji-demo"
    overrides: ClassVar = [
        "encoder={width: 32, depth: 2, heads: 2, latent_dim: 8}",
        "data.decoder={width: 32, depth: 2, heads: 2, mlp: 64, inner: 32}",
        "data.loss={perceptual: 0}",
        "data.resolution=8",
        "data.patch=4",
        "data.held_out=0.2",
    ]
    overfit_steps, overfit_share = 60, 0.4  # noise, in which there is nothing to see

    @pytest.fixture(scope="class")
    @classmethod
    def config(
        cls, pictures: Callable[..., list[Image]], tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[RunConfig]:
        place = tmp_path_factory.mktemp("images")
        pixels = np.stack([image.pixels for image in pictures(40)])
        np.savez(place / "images.npz", images=pixels, labels=np.arange(40) % 2)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("UNITE_CACHE", str(place / "cache"))
            yield load_recipe(cls.recipe, [*cls.overrides, f"data.path={place / 'images.npz'}"])
