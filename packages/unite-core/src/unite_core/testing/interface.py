"""Checks of what a modality says of itself: entry point, configuration, statistics, layouts."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from torch import Tensor

from unite_core.config import RunConfig
from unite_core.errors import ConfigurationError
from unite_core.modality import Modality
from unite_core.model import UniteModel
from unite_core.plugins import Plugin
from unite_core.recipes import load_recipe
from unite_core.testing.setting import Setting, identical, surroundings
from unite_core.types import Batch, Layout

IMPORTS_NO_TORCH = """
import sys
from unite_core.plugins import load_plugin
load_plugin(sys.argv[1])
sys.exit("torch" in sys.modules)
"""
DRAWN = 64
"""Sizes drawn for generation."""


class InterfaceChecks(Setting):
    """What can be seen without the network."""

    def test_the_entry_point_gives_the_modality(self, plugin: Plugin) -> None:
        modality = plugin.load()
        assert isinstance(modality, type) and issubclass(modality, Modality), (
            f"{plugin.implementation} is {modality!r}, not a subclass of Modality: "
            "look at Plugin(implementation=...)"
        )
        missing = sorted(modality.__abstractmethods__)
        assert not missing, f"{modality.__name__} does not define {', '.join(missing)}"
        assert modality.name == plugin.name, (
            f"{modality.__name__}.name is {modality.name!r}, the plug-in's is {plugin.name!r}"
        )

    def test_announcing_it_imports_no_torch(self, plugin: Plugin) -> None:
        command = [sys.executable, "-c", IMPORTS_NO_TORCH, plugin.name]
        done = subprocess.run(command, env=surroundings(), capture_output=True, text=True)
        assert done.returncode == 0, (
            "the module of the entry point imports torch, or fails, and so slows down or breaks "
            f"every command: keep what needs torch behind Plugin(implementation=...)\n{done.stderr}"
        )

    def test_its_recipes_are_valid(self, plugin: Plugin) -> None:
        paths = sorted(plugin.recipes.glob("*.yaml"))
        assert paths, f"no *.yaml in {plugin.recipes}: look at Plugin(recipes=...) and package data"
        for path in paths:
            found = load_recipe(str(path)).modality
            assert found == plugin.name, f"{path} is of modality {found!r}: look at its first lines"

    def test_weights_depend_on_keys_that_there_are(self, plugin: Plugin) -> None:
        unknown = sorted(set(plugin.trained_for) - plugin.config.model_fields.keys())
        assert not unknown, (
            f"{plugin.config.__name__} has no {unknown[0]}: see Plugin(trained_for=)"
        )

    def test_a_configuration_survives_yaml(self, config: RunConfig, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        assert load_recipe(str(path)) == config, (
            "a configuration written as YAML reads differently: look at field types and validators "
            "of Plugin(config=...)"
        )

    def test_an_unknown_key_is_refused(self, config: RunConfig, tmp_path: Path) -> None:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
        try:
            load_recipe(str(path), ["data.no_such_key=1"])
        except ConfigurationError as error:
            assert "no_such_key" in str(error), f"the message does not name the key: {error}"
        else:
            pytest.fail("an unknown key in `data` is taken: derive the config from Section")

    def test_sampling_options_have_defaults(self, plugin: Plugin) -> None:
        missing = [n for n, f in plugin.sample_options.model_fields.items() if f.is_required()]
        assert not missing, (
            f"sampling options without default: {', '.join(missing)}; `unite sample` without "
            "options has to work"
        )

    def test_statistics_are_plain_json(self, model: UniteModel) -> None:
        statistics = model.modality.statistics
        try:
            back = json.loads(json.dumps(statistics))
        except TypeError as error:
            pytest.fail(f"statistics are not JSON, {error}: look at `measure`")
        assert identical(back, statistics), (
            "statistics change as JSON (keys that are no text, tuples): look at `measure`; "
            f"{different_keys(statistics, back)}"
        )

    def test_sizes_of_the_data_set_are_those_of_its_layouts(self, model: UniteModel) -> None:
        modality = model.modality
        for split in ("train", "validation", "test"):
            data = modality.dataset(split)
            assert len(data.sizes) == len(data) > 0, (
                f"{split}: {len(data.sizes)} sizes of {len(data)} samples; there must be as many, "
                "and one at least: look at `dataset`"
            )
            indices = np.arange(min(4, len(data)))
            found = modality.layout(data.batch(indices, None)).sizes.tolist()
            assert found == data.sizes[indices].tolist(), (
                f"{split}: `layout` gives sizes {found}, the data set {data.sizes[indices]}"
            )
        largest, registers = modality.dataset("train").sizes.max(), modality.registers()
        assert largest <= registers, f"a sample has {largest} latents, `registers` is {registers}"

    def test_layouts_of_generation_match_those_of_training(
        self, model: UniteModel, batch: Batch
    ) -> None:
        modality = model.modality
        trained, drawn = modality.layout(batch), layout(modality)
        sizes = modality.dataset("train").sizes
        assert drawn.sizes.shape == (DRAWN,), (
            f"`sample_layout` gives sizes {tuple(drawn.sizes.shape)} for {DRAWN} samples"
        )
        strange = sorted({*drawn.sizes.tolist()} - {*sizes.tolist()})
        assert not strange, (
            f"sizes {strange} are generated, which no training sample has: draw them from the "
            "training histogram in `sample_layout`"
        )
        assert form(drawn.condition) == form(trained.condition), (
            f"the condition is {form(trained.condition)} in `layout`, {form(drawn.condition)} in "
            "`sample_layout`: the network never saw the latter"
        )

    def test_layouts_of_generation_repeat_by_their_generator(self, model: UniteModel) -> None:
        first, again = layout(model.modality), layout(model.modality)
        assert identical(first.sizes, again.sizes) and identical(
            first.condition, again.condition
        ), "two equal generators give two layouts: all chance in `sample_layout` comes from `rng`"

    def test_augmentation_depends_on_seed_and_index_alone(self, model: UniteModel) -> None:
        modality, data = model.modality, model.modality.dataset("train")
        together = modality.originals(data.batch(np.arange(3), 7))
        for index, among in enumerate(together):
            alone = modality.originals(data.batch(np.array([index]), 7))
            (error,) = modality.errors([among], alone)
            assert error <= self.same, (
                f"sample {index} is another by itself than in a batch (error {error}): resuming "
                "would not be exact; look at the random numbers in `Dataset.batch`"
            )


def layout(modality: Modality) -> Layout:
    """Of `DRAWN` samples, by a generator of its own."""
    return modality.sample_layout(DRAWN, np.random.default_rng(0), None)


def form(condition: Any) -> str:
    """What a condition is, whatever its values."""
    if isinstance(condition, Tensor):
        return f"a tensor {[None, *condition.shape[1:]]} of {condition.dtype}"
    return type(condition).__name__


def different_keys(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """Where two mappings differ, for a message."""
    keys = [key for key in a if key not in b or not identical(a[key], b[key])]
    return f"differing: {', '.join(map(repr, keys))}"
