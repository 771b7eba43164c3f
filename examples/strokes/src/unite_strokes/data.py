"""Characters of KanjiVG as strokes: polylines in the order of writing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Self

import numpy as np
import torch
from fontTools.pens.recordingPen import RecordingPen
from fontTools.svgLib.path import parse_path
from jaxtyping import Bool, Float
from torch import Tensor
from unite_core.cache import prepared
from unite_core.modality import Dataset

Character = Float[np.ndarray, "n 16 2"]
"""n strokes of 16 points, evenly spaced along each: x right, y down, both in [-1, 1]."""

POINTS = 16
SIDE = 109.0
"""Side of KanjiVG's drawing area, in the unit of its files."""
BERNSTEIN = np.array(
    [[(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3] for u in np.linspace(0, 1, 32)]
)
"""Weights [32, 4] of a cubic curve's control points along it."""
PATH = re.compile(r'<path[^>]*\sd="([^"]+)"')
SHARES = {"train": (0.0, 0.84), "validation": (0.84, 0.92), "test": (0.92, 1.0)}
"""The part of the shuffled characters that is each split's."""


def evenly(line: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "16 2"]:
    """Points at equal distances along a polyline."""
    along = np.append(0, np.linalg.norm(np.diff(line, axis=0), axis=1).cumsum())
    places = np.linspace(0, along[-1], POINTS)
    return np.stack([np.interp(places, along, axis) for axis in line.T], axis=1)


def stroke(path: str) -> Float[np.ndarray, "16 2"]:
    """An SVG path of cubic curves as a stroke, in the path's own unit."""
    pen = RecordingPen()
    parse_path(path, pen)
    points = np.array([point for _, controls in pen.value for point in controls])
    curves = np.stack([points[i : len(points) - 3 + i : 3] for i in range(4)])
    return evenly(np.einsum("ui,icx->cux", BERNSTEIN, curves).reshape(-1, 2))


def read_svg(path: Path) -> Character:
    """The character in a file of KanjiVG's."""
    strokes = np.stack([stroke(d) for d in PATH.findall(path.read_text(encoding="utf-8"))])
    return (strokes * (2 / SIDE) - 1).astype(np.float32)


def store(folder: Path) -> None:
    """Writes all kanji of KanjiVG, variants aside, shuffled."""
    source = Path(str(distribution("kanjivg").locate_file("kanji")))
    paths = sorted(source.glob("0[4-9]???.svg"))
    kanji = [read_svg(paths[i]) for i in np.random.default_rng(0).permutation(len(paths))]
    sizes = [len(character) for character in kanji]
    np.savez(folder / "kanji.npz", strokes=np.concatenate(kanji), sizes=sizes)


@cache
def kanji() -> list[Character]:
    """What `store` wrote, in the data cache: made once, by one process."""
    with np.load(prepared(f"kanjivg-{version('kanjivg')}", store) / "kanji.npz") as stored:
        return np.split(stored["strokes"], stored["sizes"].cumsum()[:-1])


def characters(split: str) -> list[Character]:
    """The characters of "train", "validation" or "test"."""
    start, stop = (round(share * len(kanji())) for share in SHARES[split])
    return kanji()[start:stop]


def variation(strokes: Character) -> tuple[np.ndarray, np.ndarray]:
    """The mean stroke [32], and principal components [32, 32], each as long as it is common."""
    flat = strokes.reshape(len(strokes), -1)
    mean = flat.mean(0)
    _, scales, directions = np.linalg.svd(flat - mean, full_matrices=False)
    return mean, directions * scales[:, None] / len(flat) ** 0.5


@dataclass(frozen=True)
class StrokeBatch:
    """Characters padded with zeros to the most strokes among them."""

    points: Float[Tensor, "b n 16 2"]
    mask: Bool[Tensor, "b n"]

    def __len__(self) -> int:
        return len(self.points)

    def to(self, device: torch.device) -> Self:
        return type(self)(self.points.to(device), self.mask.to(device))


def collate(batch: Sequence[Character]) -> StrokeBatch:
    """Characters as one batch."""
    sizes = torch.tensor([len(character) for character in batch])
    points = torch.nn.utils.rnn.pad_sequence(list(map(torch.from_numpy, batch)), batch_first=True)
    return StrokeBatch(points, torch.arange(points.shape[1]) < sizes[:, None])


class StrokeDataset(Dataset):
    """Characters, in training each under a random affine map near the identity."""

    def __init__(self, samples: Sequence[Character], jitter: float) -> None:
        self.samples, self.jitter = samples, jitter
        self.sizes = np.array([len(character) for character in samples])

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: np.ndarray, seed: int | None) -> StrokeBatch:
        if seed is None:
            return collate([self.samples[i] for i in indices])
        return collate([self.augmented(i, seed) for i in indices])

    def augmented(self, index: int, seed: int) -> Character:
        """Character `index` as this epoch's `seed` maps it."""
        noise = self.jitter * np.random.default_rng([seed, index]).standard_normal((3, 2))
        mapped = self.samples[index] @ (np.eye(2) + noise[:2]) + noise[2]
        return np.asarray(mapped, np.float32)
