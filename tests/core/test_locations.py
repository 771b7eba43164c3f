"""Where a model lies."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import toy_plugin
from core.test_objective import toy_model
from unite_core.errors import StorageError
from unite_core.locations import find_model, local_model, plugin_of, read_config, shipped_models


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy modality carries weights named toy-tiny."""
    directory = tmp_path / "weights" / "toy-tiny"
    toy_model().save_pretrained(directory)
    carrying = replace(toy_plugin.plugin, weights=tmp_path / "weights")
    monkeypatch.setattr(toy_plugin, "plugin", carrying)
    return directory


def test_shipped_weights_are_found_by_name(shipped: Path) -> None:
    assert shipped_models()["toy-tiny"] == shipped
    assert find_model("toy-tiny") == shipped
    assert plugin_of(shipped).name == "toy"


def test_a_run_gives_its_model(tmp_path: Path) -> None:
    toy_model().save_pretrained(tmp_path / "run" / "model")
    assert find_model(str(tmp_path / "run")) == tmp_path / "run" / "model"
    assert find_model(str(tmp_path / "run" / "model")) == tmp_path / "run" / "model"


def test_a_name_that_is_nowhere_is_none_here() -> None:
    assert local_model("somebody/model") is None


def test_a_missing_model_gets_the_nearest_name(shipped: Path) -> None:
    with pytest.raises(StorageError, match=r"no model 'toytiny': .* did you mean 'toy-tiny'"):
        find_model("toytiny")


def test_a_hub_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StorageError, match=r"no model 'somebody/model'.*nor on the hub"):
        find_model("somebody/model")


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="holds no model"):
        find_model(str(tmp_path))


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_a_config_that_is_no_models_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(StorageError, match=r"config\.json"):
        read_config(tmp_path)


def test_a_model_of_a_modality_that_is_not_here_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"modality": "tay"}))
    with pytest.raises(StorageError, match="no modality named 'tay'; did you mean 'toy'"):
        plugin_of(tmp_path)
