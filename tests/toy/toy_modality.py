"""A modality of two labelled kinds of small 2-D point sets, for tests of the core."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel
from torch import Tensor, nn
from unite_core.errors import DataError, StorageError
from unite_core.modality import (
    ConditionEmbedding,
    Dataset,
    Decoder,
    Modality,
    Tokenizer,
    Unconditional,
)
from unite_core.model import UniteModel
from unite_core.types import AppendedTokens, Layout


@dataclass(frozen=True)
class Points:
    """Point sets [b, n, 2] with their masks [b, n] and labels [b]."""

    x: Tensor
    mask: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> Self:
        return type(self)(self.x.to(device), self.mask.to(device), self.labels.to(device))


class ToyTokenizer(Tokenizer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed = nn.Linear(2, width)

    def forward(self, batch: Points) -> AppendedTokens:
        return AppendedTokens(self.embed(batch.x), batch.mask, context=None)


class ToyDecoder(Decoder):
    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.out = nn.Linear(latent_dim, 2)

    def forward(self, z: Tensor, mask: Tensor) -> Tensor:
        return self.out(z.float())


class ToyLabels(ConditionEmbedding):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(3, width)

    def null(self, count: int) -> Tensor:
        return self.table.weight[2].expand(count, -1)

    def forward(self, condition: Tensor, dropped: Tensor) -> Tensor:
        return self.table(condition.masked_fill(dropped, 2))


class ToyDataset(Dataset):
    def __init__(self, count: int, longest: int) -> None:
        self.longest = longest
        self.sizes = 2 + np.arange(count) % (longest - 1)

    def __len__(self) -> int:
        return len(self.sizes)

    def batch(self, indices: np.ndarray, seed: int | None) -> Points:
        sizes = torch.from_numpy(self.sizes[indices])
        slots = torch.arange(int(sizes.max()))
        angle = slots[None] * 2 * torch.pi / sizes[:, None] + torch.from_numpy(indices)[:, None]
        mask = slots < sizes[:, None]
        x = torch.stack([angle.cos(), angle.sin()], -1) * mask[..., None]
        return Points(x.float(), mask, torch.from_numpy(indices) % 2)


class ToyModality(Modality):
    name = "toy"

    @classmethod
    def measure(cls, config: BaseModel) -> dict[str, Any]:
        return {"longest": config.longest}

    def registers(self) -> int:
        return self.statistics["longest"]

    def tokenizer(self, width: int) -> ToyTokenizer:
        return ToyTokenizer(width)

    def decoder(self, latent_dim: int) -> ToyDecoder:
        return ToyDecoder(latent_dim)

    def condition_embedding(self, width: int) -> ConditionEmbedding:
        return ToyLabels(width) if self.config.conditional else Unconditional(width)

    def dataset(self, split: str) -> ToyDataset:
        return ToyDataset(self.config.count, self.config.longest)

    def layout(self, batch: Points) -> Layout:
        condition = batch.labels if self.config.conditional else None
        return Layout(batch.mask.sum(1), condition=condition)

    def sample_layout(
        self, count: int, rng: np.random.Generator, options: BaseModel | None
    ) -> Layout:
        sizes = torch.from_numpy(rng.integers(2, self.registers() + 1, count))
        if options is not None and options.point_count is not None:
            sizes = torch.full_like(sizes, options.point_count)
        labels = torch.from_numpy(rng.integers(0, 2, count))
        return Layout(sizes, condition=labels if self.config.conditional else None)

    def reconstruction_loss(
        self, prediction: Tensor, batch: Points, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss = (prediction - batch.x)[batch.mask].square().mean()
        return loss, {"points": loss.detach()}

    def finish(self, prediction: Tensor, layout: Layout, context: None) -> list[np.ndarray]:
        return [x[:n].cpu().numpy() for x, n in zip(prediction, layout.sizes.tolist(), strict=True)]

    def originals(self, batch: Points) -> list[np.ndarray]:
        return self.finish(batch.x, self.layout(batch), None)

    def collate(self, samples: Sequence[np.ndarray]) -> Points:
        x = nn.utils.rnn.pad_sequence([torch.from_numpy(s) for s in samples], batch_first=True)
        sizes = torch.tensor([len(s) for s in samples])
        return Points(x, torch.arange(x.shape[1]) < sizes[:, None], torch.zeros_like(sizes))

    @classmethod
    def prepare(cls, source: str) -> str:
        return f"{source}: 64 kept, 0 rejected"

    @classmethod
    def read(cls, path: Path) -> tuple[list[np.ndarray], Mapping[str, int]]:
        try:
            records = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        samples = [np.array(points, dtype=np.float32) for points in records]
        finite = [sample for sample in samples if np.isfinite(sample).all()]
        bad = len(samples) - len(finite)
        return finite, {"coordinates that are not finite": bad} if bad else {}

    def accept(self, samples: Sequence[np.ndarray]) -> tuple[list[np.ndarray], Mapping[str, int]]:
        accepted = [sample for sample in samples if len(sample) <= self.registers()]
        large = len(samples) - len(accepted)
        return accepted, {f"more than {self.registers()} points": large} if large else {}

    @classmethod
    def write(cls, samples: Sequence[np.ndarray], path: Path) -> None:
        try:
            path.write_text(json.dumps([sample.tolist() for sample in samples]))
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}") from error

    @classmethod
    def score(
        cls, config: BaseModel, samples: Sequence[np.ndarray], reference: str | None
    ) -> dict[str, dict[str, Any]]:
        radius = np.concatenate([np.linalg.norm(sample, axis=1) for sample in samples])
        return {"samples": {"radius": float(radius.mean())}, "data": {"radius": 1.0}}

    @classmethod
    def errors(
        cls, originals: Sequence[np.ndarray], reconstructions: Sequence[np.ndarray]
    ) -> list[float]:
        pairs = zip(originals, reconstructions, strict=True)
        return [float(np.abs(a - b).mean()) for a, b in pairs]

    @classmethod
    def preview(cls, samples: Sequence[np.ndarray], path: Path, columns: int | None = None) -> None:
        """A pixel for each sample."""
        columns = columns or len(samples)
        Image.new("L", (columns, -(-len(samples) // columns))).save(path)


def convert(source: Path, output: Path) -> None:
    """A model of the encoder's sizes that a JSON file gives."""
    UniteModel("toy", {}, json.loads(source.read_text()), {"longest": 5}).save_pretrained(output)
