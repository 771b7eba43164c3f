"""The exported model is whole at every moment."""

from pathlib import Path

import pytest
import torch
from core.test_checkpoint import assert_same
from core.test_objective import toy_model
from unite_core import export as module
from unite_core.export import export
from unite_core.model import UniteModel, load_model


def changed() -> UniteModel:
    model = toy_model()
    torch.nn.init.ones_(model.decoder.out.weight)
    return model


def test_a_new_export_replaces_the_old_one(tmp_path: Path) -> None:
    for model in (toy_model(), changed()):
        export(model, tmp_path / "model")
        assert_same(dict(load_model(tmp_path).state_dict()), dict(model.state_dict()))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_killed_while_exporting_a_whole_model_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each replacement of a file; the next export clears away what was left."""
    replace = module.os.replace
    for allowed in range(3):
        first, second = toy_model(), changed()
        export(first, tmp_path / "model")
        left = iter(range(allowed))

        def die(source: Path, target: Path, left: object = left) -> None:
            if next(left, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(module.os, "replace", die)
            patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)
            with pytest.raises(KeyboardInterrupt):
                export(second, tmp_path / "model")
        weights = load_model(tmp_path).state_dict()["decoder.out.weight"]
        assert any(weights.equal(m.decoder.out.weight) for m in (first, second))
        assert len(list(tmp_path.glob(".tmp-model-*"))) == 1
        export(second, tmp_path / "model")
        assert [path.name for path in tmp_path.iterdir()] == ["model"]
