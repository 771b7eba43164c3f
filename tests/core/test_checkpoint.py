"""Checkpoints are whole or not there."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from unite_core import checkpoint
from unite_core.errors import StorageError

STATE = {
    "model": {"weight": torch.arange(6.0).view(2, 3), "half": torch.ones(2, dtype=torch.bfloat16)},
    "optimizers": [{0: {"step": torch.tensor(3.0), "betas": (0.9, 0.99)}, 1: {"none": None}}],
    "run": {"step": 7, "name": "x"},
}


def assert_same(a: Any, b: Any) -> None:
    assert type(a) is type(b)
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for one, other in zip(a, b, strict=True):
            assert_same(one, other)
    else:
        assert a == b


def save_steps(directory: Path, *steps: int, keep: int = 2) -> None:
    for step in steps:
        checkpoint.save(directory, step, {"run": {"step": step}}, keep)


def saved_steps(directory: Path) -> list[int]:
    return [checkpoint.step_of(path) for path in checkpoint.found(directory)]


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_round_trip(tmp_path: Path) -> None:
    assert_same(checkpoint.load(checkpoint.save(tmp_path, 7, STATE, keep=2)), STATE)


def test_a_flipped_bit_is_named_by_file_and_hash(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    flip_bit(path / "model.safetensors")
    with pytest.raises(StorageError, match=r"model.safetensors is damaged.*SHA-256 [0-9a-f]{64}"):
        checkpoint.load(path)


def test_a_truncated_file_is_named_by_file_and_hash(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    weights = path / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    with pytest.raises(StorageError, match=r"model.safetensors is damaged.*SHA-256 [0-9a-f]{64}"):
        checkpoint.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    (path / "run.json").unlink()
    with pytest.raises(StorageError, match=r"run.json is missing \(SHA-256"):
        checkpoint.load(path)


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    os.truncate(path / "manifest.json", 10)
    with pytest.raises(StorageError, match=r"manifest.json \(SHA-256 [0-9a-f]{64}\) is damaged"):
        checkpoint.load(path)


def test_no_checkpoint_at_a_path_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="is not a checkpoint"):
        checkpoint.load(tmp_path / "step-000000001")


def test_another_format_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoint.save(tmp_path, 7, STATE, keep=2)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(StorageError, match="format 1, this unite-core reads 2"):
        checkpoint.load(path)


def test_latest_falls_back_over_a_damaged_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_steps(tmp_path, 1, 2)
    flip_bit(tmp_path / "step-000000002" / "run.json")
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert newest[1]["run"]["step"] == 1
    assert "step-000000002/run.json is damaged" in caplog.text


def test_latest_of_damaged_ones_alone_is_an_error(tmp_path: Path) -> None:
    save_steps(tmp_path, 1)
    flip_bit(tmp_path / "step-000000001" / "run.json")
    with pytest.raises(StorageError, match=r"no checkpoint in .* loads"):
        checkpoint.latest(tmp_path)


def test_latest_of_none_is_none(tmp_path: Path) -> None:
    assert checkpoint.latest(tmp_path / "none") is None


def test_the_newest_are_kept(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 2, 3, 4)
    assert saved_steps(tmp_path) == [3, 4]
    save_steps(tmp_path, 5, keep=3)
    assert saved_steps(tmp_path) == [3, 4, 5]


def test_fewer_than_two_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        save_steps(tmp_path, 1, keep=1)


def test_later_ones_that_did_not_load_are_removed_by_the_next_save(tmp_path: Path) -> None:
    save_steps(tmp_path, 1, 5)
    save_steps(tmp_path, 2)
    assert saved_steps(tmp_path) == [1, 2]


@pytest.mark.parametrize("moment", ["_write_tree", "_write_manifest", "os.rename"])
def test_killed_while_saving_the_earlier_ones_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    save_steps(tmp_path, 1, 2)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"unite_core.checkpoint.{moment}", die)
        with pytest.raises(KeyboardInterrupt):
            save_steps(tmp_path, 3)
    assert any(tmp_path.glob(".tmp-*"))
    assert saved_steps(tmp_path) == [1, 2]
    newest = checkpoint.latest(tmp_path)
    assert newest is not None
    assert newest[1]["run"]["step"] == 2
    save_steps(tmp_path, 3)
    assert not any(tmp_path.glob(".tmp-*"))


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write checkpoint"):
        save_steps(tmp_path / "file", 1)
