"""Whatever happens to a checkpoint's bytes, it is read as it was written, or refused by name."""

import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from core.faults.children import ended, start, train
from core.test_checkpoint import STATE, assert_same, save_steps
from core.test_cli import call
from core.test_training import newest, toy_trainer
from unite_core import checkpoint
from unite_core.errors import StorageError


def flips(path: Path) -> Iterator[bytes]:
    """The file with each of its bits flipped in turn."""
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        for bit in range(8):
            content[place] ^= 1 << bit
            yield bytes(content)
            content[place] ^= 1 << bit


def cuts(path: Path) -> Iterator[bytes]:
    """The file cut to every length."""
    content = path.read_bytes()
    for length in range(len(content)):
        yield content[:length]


@pytest.mark.slow
@pytest.mark.parametrize(("damaged", "ways"), [(flips, 8), (cuts, 1)])
def test_no_flipped_bit_or_cut_is_read_as_something_else(
    tmp_path: Path, damaged: Callable[[Path], Iterator[bytes]], ways: int
) -> None:
    """Every bit and every length of every file of a small checkpoint."""
    path = checkpoint.save(tmp_path, 7, {"a": {"b": torch.arange(3)}}, keep=2)
    whole = checkpoint.load(path)
    tried, size = 0, sum(file.stat().st_size for file in path.iterdir())
    for file in sorted(path.iterdir()):
        content = file.read_bytes()
        for changed in damaged(file):
            tried += 1
            file.write_bytes(changed)
            try:
                state = checkpoint.load(path)
            except StorageError as error:
                assert str(file) in str(error) or str(path) in str(error)  # noqa: PT017
            else:
                assert_same(state, whole)
        file.write_bytes(content)
    assert tried == ways * size > 0


def truncate(path: Path) -> None:
    weights = path / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def flip(path: Path) -> None:
    content = bytearray((path / "ema.safetensors").read_bytes())
    content[len(content) // 2] ^= 16
    (path / "ema.safetensors").write_bytes(content)


def lose(path: Path) -> None:
    (path / "optimizers.safetensors").unlink()


def older(path: Path) -> None:
    rewrite(path, format=0)


def newer(path: Path) -> None:
    rewrite(path, format=2, layout="of the future")


def rewrite(path: Path, **changes: object) -> None:
    manifest = path / checkpoint.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


DAMAGES = {
    truncate: "model.safetensors is damaged",
    flip: "ema.safetensors is damaged",
    lose: "optimizers.safetensors is missing",
    older: "has checkpoint format 0, this unite-core reads 1",
    newer: "has checkpoint format 2, this unite-core reads 1",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_by_auto_and_refused_by_path(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    output, log = tmp_path / "run", tmp_path / "log"
    assert ended(start(train, output, {}, log=log)) == 0
    whole = newest(output)
    last = output / "checkpoints" / "step-000000006"
    damage(last)
    log.unlink()
    by_path = start(train, tmp_path / "other", {}, "--resume", last, log=log)
    assert ended(by_path) == 5
    said = log.read_text()
    assert "Traceback" not in said
    assert DAMAGES[damage] in said
    assert "SHA-256" in said
    log.unlink()
    assert ended(start(train, output, {}, "--resume", "auto", log=log)) == 0
    said = log.read_text()
    assert DAMAGES[damage] in said
    assert "falling back to the checkpoint before" in said
    for part in ("model", "ema", "optimizers"):
        assert_same(newest(output)[part], whole[part])


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def bombs(mark: Path) -> Iterator[bytes]:
    """As pickle and torch.save write them."""
    yield pickle.dumps({"model": Bomb(mark)})
    torch.save({"model": Bomb(mark)}, mark.with_suffix(".pt"))
    yield mark.with_suffix(".pt").read_bytes()


def test_the_bombs_are_live(tmp_path: Path) -> None:
    for number, bomb in enumerate(bombs(tmp_path / "mark")):
        if number == 0:
            pickle.loads(bomb)
        else:
            torch.load(tmp_path / "mark.pt", weights_only=False)
        (tmp_path / "mark").rmdir()


@pytest.mark.parametrize("name", ["model.safetensors", "model.json", "manifest.json"])
def test_a_pickle_in_a_checkpoint_is_refused_and_not_executed(tmp_path: Path, name: str) -> None:
    """Also where the manifest vouches for it."""
    mark = tmp_path / "mark"
    for bomb in bombs(mark):
        path = checkpoint.save(tmp_path / "checkpoints", 7, STATE, keep=2)
        (path / name).write_bytes(bomb)
        if name != checkpoint.MANIFEST:
            entry = {"size": len(bomb), "sha256": checkpoint._digest(path / name)}
            files = json.loads((path / checkpoint.MANIFEST).read_text())["files"]
            rewrite(path, files=files | {name: entry})
        with pytest.raises(StorageError, match="damaged"):
            checkpoint.load(path)
        assert not mark.exists()


def test_a_pickle_given_as_a_model_or_a_checkpoint_is_exit_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark, run = tmp_path / "mark", tmp_path / "run"
    toy_trainer(run).train()
    for bomb in bombs(mark):
        file = tmp_path / "bomb.pt"
        file.write_bytes(bomb)
        assert call(["train", "toy-small", "--output", tmp_path / "o", "--resume", file]) == 5
        for name in ("model.safetensors", "pytorch_model.bin"):
            model = shutil.copytree(run / "model", tmp_path / f"model-{name}", dirs_exist_ok=True)
            (model / "model.safetensors").unlink()
            (model / name).write_bytes(bomb)
            assert call(["sample", model, "--output", tmp_path / "samples.json"]) == 5
        assert not mark.exists()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("run", "run/checkpoints/step-000000008"),
        ("run/checkpoints", "run/checkpoints/step-000000008"),
        ("run/model", "run/checkpoints/step-000000008"),
        ("run/checkpoints/step-000000007", "run/checkpoints/step-000000008"),
        ("atuo", "one's directory"),
    ],
)
def test_a_resume_from_no_checkpoint_names_one_and_makes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    advice: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    toy_trainer(Path("run")).train()
    capsys.readouterr()
    assert call(["train", "toy-small", "--output", "other", "--resume", word]) == 5
    said = f"{word} is not a checkpoint: give {advice}, or 'auto' for the newest of --output"
    assert capsys.readouterr().err == f"error: {said}\n"
    assert not Path("other").exists()


def test_steps_that_differ_between_ranks_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process that cannot read the newest checkpoint would fall back alone."""
    trainer = toy_trainer(tmp_path)
    monkeypatch.setattr(trainer, "gather", lambda mine: [[float(mine), 3.0]])
    with pytest.raises(StorageError, match="resume from different steps"):
        trainer.restore("auto")


def test_all_damaged_is_an_error_and_no_fresh_start(tmp_path: Path) -> None:
    save_steps(tmp_path / "checkpoints", 3, 6)
    for path in checkpoint.found(tmp_path / "checkpoints"):
        (path / "run.json").unlink()
    with pytest.raises(StorageError, match="remove them to start afresh"):
        toy_trainer(tmp_path).train(resume="auto")
