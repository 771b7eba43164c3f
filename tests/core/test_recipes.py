"""From recipes and overrides to a checked configuration."""

from pathlib import Path

import pytest
import yaml
from unite_core.config import AdamWConfig, MuonConfig
from unite_core.errors import ConfigurationError
from unite_core.recipes import load_recipe, recipe_paths


def test_a_recipe_is_found_by_name_or_path() -> None:
    by_name = load_recipe("toy-small")
    assert by_name == load_recipe(str(recipe_paths()["toy-small"]))
    assert by_name.training.batch_size == 16


def test_the_schema_says_what_text_means() -> None:
    """YAML itself would read 1e-3 as text and no as False."""
    config = load_recipe("toy-small", ["training.precision=no", "training.final_rate=1e-1"])
    assert isinstance(config.optimizer, MuonConfig)
    assert config.optimizer.learning_rate == 1e-3
    assert config.training.precision == "no"
    assert config.training.final_rate == 0.1


@pytest.mark.parametrize("text", ["null", "~"])
def test_none_means_off(text: str) -> None:
    assert load_recipe("toy-small", [f"training.clip={text}"]).training.clip is None


def test_overrides_reach_into_sections() -> None:
    config = load_recipe(
        "toy-small", ["optimizer={name: adamw, betas: [0.8, 0.9]}", "data.longest=4"]
    )
    assert config.optimizer == AdamWConfig(betas=(0.8, 0.9))
    assert config.data == {"count": 64, "longest": 4, "conditional": True}


def test_a_saved_configuration_is_a_recipe(tmp_path: Path) -> None:
    config = load_recipe("toy-small")
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_recipe(str(path)) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.minuts=3", "unknown key training.minuts; did you mean 'minutes'?"),
        ("trainin.minutes=3", "unknown key trainin; did you mean 'training'?"),
        ("data.longst=3", "unknown key data.longst; did you mean 'longest'?"),
        ("optimizer.learning_rat=3", "did you mean 'learning_rate'?"),
        ("training.minutes=NaN", "training.minutes: Input should be a finite number"),
        ("training.minutes=.inf", "training.minutes: Input should be"),
        ("training.steps=many", "training.steps: Input should be a valid integer"),
        ("training.steps=0", "training.steps: Input should be greater than 0"),
        ("training=3", "training: Input should be a valid"),
        ("optimizer.name=sgd", "optimizer.name: 'sgd' is not one of 'adamw', 'muon'"),
        ("optimizer.learning_rate=inf", "optimizer.learning_rate: Input should be a finite"),
        ("modality=tay", "no modality named 'tay'; did you mean 'toy'?"),
        ("training.steps", "write key=value"),
        ("training.steps=[", "is not YAML"),
    ],
)
def test_a_bad_override_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_recipe("toy-small", [override])
    assert message in str(caught.value)


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(ConfigurationError, match=r"training.steps.*training.clip"):
        load_recipe("toy-small", ["training.steps=x", "training.clip=y"])


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("modality: toy\n")
    with pytest.raises(ConfigurationError, match="encoder is missing"):
        load_recipe(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"- a\n- b\n", "not a mapping"),
        (b"a: [", "is not YAML"),
        (b"[" * 1500, "nested too deeply"),
        (b"\xff\xfe\x00", "cannot read"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load_recipe(str(path))


def test_a_recipe_that_unfolds_without_end_is_told_shortly(tmp_path: Path) -> None:
    """Nine lists of ten times the one before: in full, a message of gigabytes."""
    values = load_recipe("toy-small").model_dump(mode="json")
    lists = [
        "a0: &a0 [x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)),
    ]
    unfolding = yaml.safe_dump(values).replace("steps: 6", "steps: *a9")
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join([*lists, unfolding]))
    with pytest.raises(ConfigurationError, match=r"training\.steps: Input should be") as caught:
        load_recipe(str(path))
    assert len(str(caught.value)) < 5000


def test_an_unknown_recipe_gets_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="no recipe 'toysmall'; did you mean 'toy-small'"):
        load_recipe("toysmall")
