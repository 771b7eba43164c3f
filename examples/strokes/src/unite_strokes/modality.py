"""The strokes modality: what the core asks of a plug-in, answered for pen strokes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor
from unite_core.errors import ConfigurationError
from unite_core.modality import Modality
from unite_core.types import Layout

from unite_strokes.config import StrokesConfig, StrokesSampleOptions
from unite_strokes.data import Character, StrokeBatch, StrokeDataset, characters, collate, variation
from unite_strokes.files import COLUMNS, read_json, save
from unite_strokes.networks import StrokeDecoder, StrokeTokenizer


class StrokesModality(Modality):
    """Characters as pen strokes, one latent for each stroke in the order of writing."""

    name = "strokes"
    config: StrokesConfig

    @classmethod
    def measure(cls, config: BaseModel) -> dict[str, Any]:
        """How many training characters have 0, 1, 2, ... strokes, and how strokes vary."""
        training = characters("train")
        mean, shapes = variation(np.concatenate(training))
        return {
            "stroke_counts": np.bincount([len(character) for character in training]).tolist(),
            "mean": mean.tolist(),
            "shapes": shapes.tolist(),
        }

    def registers(self) -> int:
        return len(self.statistics["stroke_counts"]) - 1

    def tokenizer(self, width: int) -> StrokeTokenizer:
        return StrokeTokenizer(width)

    def decoder(self, latent_dim: int) -> StrokeDecoder:
        return StrokeDecoder(
            self.config,
            latent_dim,
            torch.tensor(self.statistics["mean"]),
            torch.tensor(self.statistics["shapes"]),
        )

    def dataset(self, split: str) -> StrokeDataset:
        return StrokeDataset(characters(split), self.config.jitter)

    def layout(self, batch: StrokeBatch) -> Layout:
        return Layout(batch.mask.sum(1))

    def sample_layout(
        self, count: int, rng: np.random.Generator, options: BaseModel | None
    ) -> Layout:
        asked = options.strokes if isinstance(options, StrokesSampleOptions) else None
        if asked is not None and asked > self.registers():
            raise ConfigurationError(
                f"--strokes {asked}: this model writes at most {self.registers()}"
            )
        if asked is not None:
            return Layout(torch.full((count,), asked))
        counts = np.array(self.statistics["stroke_counts"])
        sizes = rng.choice(len(counts), count, p=counts / counts.sum())
        return Layout(torch.from_numpy(sizes))

    def reconstruction_loss(
        self, prediction: Tensor, batch: StrokeBatch, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        error = (prediction - batch.points)[batch.mask].square().mean()
        return self.config.loss_weight * error, {"error": error.detach()}

    def finish(self, prediction: Tensor, layout: Layout, context: None) -> list[Character]:
        rows = zip(prediction.cpu().numpy(), layout.sizes.tolist(), strict=True)
        return [points[:size] for points, size in rows]

    def originals(self, batch: StrokeBatch) -> list[Character]:
        return self.finish(batch.points, self.layout(batch), None)

    @classmethod
    def read(cls, path: Path) -> tuple[list[Character], Mapping[str, int]]:
        return read_json(path)

    def accept(self, samples: Sequence[Character]) -> tuple[list[Character], Mapping[str, int]]:
        accepted = [sample for sample in samples if len(sample) <= self.registers()]
        long = len(samples) - len(accepted)
        return accepted, {f"more than {self.registers()} strokes": long} if long else {}

    def collate(self, samples: Sequence[Character]) -> StrokeBatch:
        return collate(samples)

    @classmethod
    def write(cls, samples: Sequence[Character], path: Path) -> None:
        save(samples, path)

    @classmethod
    def score(
        cls, config: BaseModel, samples: Sequence[Character], reference: str | None
    ) -> dict[str, dict[str, Any]]:
        """Beside test characters, or those of a file; the data row is validation ones."""
        # here: scipy takes a second to import, and only scores need it
        from unite_strokes.metrics import score_table

        known = characters("test") if reference is None else cls.read(Path(reference))[0]
        return score_table(samples, known)

    @classmethod
    def errors(
        cls, originals: Sequence[Character], reconstructions: Sequence[Character]
    ) -> list[float]:
        """Mean distance of the points of each pair; the drawing area's side is 2."""
        pairs = zip(originals, reconstructions, strict=True)
        return [float(np.linalg.norm(a - b, axis=-1).mean()) for a, b in pairs]

    @classmethod
    def preview(cls, samples: Sequence[Character], path: Path, columns: int | None = None) -> None:
        save(samples, path, columns or COLUMNS)
