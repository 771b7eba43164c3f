"""Checkpoints that are whole or not there: written aside, hashed, renamed, verified when read."""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save_file
from torch import Tensor

from unite_core.config import Section
from unite_core.errors import StorageError
from unite_core.locations import MANIFEST
from unite_core.storage import writing

FORMAT = 1
logger = logging.getLogger(__name__)


class FileEntry(Section):
    """What a file of a checkpoint must be."""

    size: int
    sha256: str


class Manifest(Section):
    """The files of a checkpoint, each entry being NAME.json with NAME.safetensors."""

    format: int
    entries: list[str]
    files: dict[str, FileEntry]


def save(directory: Path, step: int, state: Mapping[str, Any], keep: int) -> Path:
    """Write `state` as `directory`/step-<step>, then remove all but the newest `keep` (at least 2).

    Each entry of `state` is a tree of dicts, lists, tuples, tensors and JSON values. A process
    killed at any moment leaves the earlier checkpoints whole. StorageError where the disk refuses.
    """
    target = directory / f"step-{step:09d}"
    temporary = directory / f".tmp-{step}-{uuid4().hex}"
    try:
        with writing(f"checkpoint {target}"):
            temporary.mkdir(parents=True)
            for name, tree in state.items():
                _write_tree(temporary, name, tree)
            _write_manifest(temporary)
            if target.exists():  # it did not load, or the run would not be at this step again
                shutil.rmtree(target)
            os.rename(temporary, target)
            _sync(directory)
            prune(directory, step, keep)
    except StorageError:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target


def load(path: Path) -> dict[str, Any]:
    """The state saved at `path`, tensors on the CPU, every byte verified; else StorageError."""
    manifest = _read_manifest(path)
    try:
        return {name: _read_tree(path, name, manifest.files) for name in manifest.entries}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        digest = _digest(path / MANIFEST)
        message = f"{path} (manifest's SHA-256 {digest}) is damaged: {error!r}"
        raise StorageError(message) from error


def latest(directory: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that loads; None where there is none at all.

    Warns of each damaged one that it passes over; StorageError where all are damaged.
    """
    candidates = found(directory)
    for path in reversed(candidates):
        try:
            return path, load(path)
        except StorageError as error:
            logger.warning("%s; falling back to the checkpoint before", error)
    if candidates:
        raise StorageError(f"no checkpoint in {directory} loads; remove them to start afresh")
    return None


def found(directory: Path) -> list[Path]:
    """Finished checkpoints, oldest first; one without a manifest was never finished."""
    paths = directory.glob("step-*")
    return sorted(path for path in paths if _is_checkpoint(path))


def step_of(path: Path) -> int:
    """The step in a checkpoint directory's name."""
    return int(path.name.removeprefix("step-"))


def prune(directory: Path, step: int, keep: int) -> None:
    """Keep the newest `keep` checkpoints up to `step`; remove later ones and unfinished saves.

    Later ones can only be those that did not load when the run fell back to an earlier step.
    """
    if keep < 2:
        raise ValueError("fewer than two checkpoints cannot survive damage to the newest")
    upto = [path for path in found(directory) if step_of(path) <= step]
    later = [path for path in found(directory) if step_of(path) > step]
    for path in [*upto[:-keep], *later, *directory.glob(".tmp-*")]:
        shutil.rmtree(path)


def _is_checkpoint(path: Path) -> bool:
    return bool(re.fullmatch(r"step-\d+", path.name)) and (path / MANIFEST).is_file()


def _write_tree(directory: Path, name: str, tree: Any) -> None:
    tensors: dict[str, Tensor] = {}
    structure = flatten(tree, name, tensors)
    _write_json(directory / f"{name}.json", structure)
    save_file(tensors, directory / f"{name}.safetensors")
    _sync(directory / f"{name}.safetensors")


def _read_tree(directory: Path, name: str, files: Mapping[str, FileEntry]) -> Any:
    structure, tensors = (
        _verified(directory / file, files[file]) for file in (f"{name}.json", f"{name}.safetensors")
    )
    return unflatten(json.loads(structure), safetensors_load(tensors))


def flatten(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON; its tensors move into `tensors`, named by their path."""
    if isinstance(tree, Tensor):
        tensors[path] = tree.detach().cpu().contiguous()
        return {"tensor": path}
    if isinstance(tree, Mapping):
        pairs = [[key, flatten(value, f"{path}/{key}", tensors)] for key, value in tree.items()]
        return {"dict": pairs}  # pairs, since an optimizer's keys are integers
    if isinstance(tree, list | tuple):
        items = [flatten(value, f"{path}/{i}", tensors) for i, value in enumerate(tree)]
        return {"tuple" if isinstance(tree, tuple) else "list": items}
    return {"value": tree}


def unflatten(structure: dict[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    """The tree that `flatten` took apart."""
    ((kind, content),) = structure.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unflatten(value, tensors) for key, value in content}
    if kind == "value":
        return content
    items = [unflatten(value, tensors) for value in content]
    return tuple(items) if kind == "tuple" else items


def _write_manifest(directory: Path) -> None:
    paths = sorted(directory.iterdir())
    files = {p.name: {"size": p.stat().st_size, "sha256": _digest(p)} for p in paths}
    entries = [path.stem for path in paths if path.suffix == ".json"]
    _write_json(directory / MANIFEST, {"format": FORMAT, "entries": entries, "files": files})
    _sync(directory)


def _read_manifest(path: Path) -> Manifest:
    place = path / MANIFEST
    try:
        digest = _digest(place)
        content = json.loads(place.read_text())
        version = content["format"]
        manifest = Manifest.model_validate(content) if version == FORMAT else None
    except OSError as error:
        raise StorageError(f"{path} is not a checkpoint: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{place} (SHA-256 {digest}) is damaged: {error!r}") from error
    if manifest is None:
        raise StorageError(
            f"{place} (SHA-256 {digest}) has checkpoint format {version!r}, this unite-core reads "
            f"{FORMAT}: use the version that wrote it"
        )
    return manifest


def _verified(path: Path, expected: FileEntry) -> bytes:
    if not path.is_file():
        raise StorageError(f"{path} is missing (SHA-256 {expected.sha256})")
    content = path.read_bytes()  # and not mapped: what is used is what was verified
    size, digest = len(content), hashlib.sha256(content).hexdigest()
    if size != expected.size or digest != expected.sha256:
        raise StorageError(
            f"{path} is damaged: {size} bytes with SHA-256 {digest}, "
            f"the manifest says {expected.size} bytes with {expected.sha256}"
        )
    return content


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, value: Any) -> None:
    with path.open("w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
