"""What a modality implements so that the core can train it and sample from it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from unite_core.errors import ConfigurationError
from unite_core.types import Batch, Layout, Story, Tokens

PICTURED = 20
"""Samples in a picture; beside it half as many originals with their reconstructions."""


class Tokenizer(nn.Module, ABC):
    """Reads a batch and embeds it at the encoder's width."""

    @abstractmethod
    def forward(self, batch: Any) -> Tokens: ...


class Decoder(nn.Module, ABC):
    """Turns latents [b, n, d] with mask [b, n] into the modality's prediction."""

    @abstractmethod
    def forward(self, z: Tensor, mask: Tensor) -> Any: ...


class ConditionEmbedding(nn.Module, ABC):
    """Embeds a condition at the encoder's width h; knows what no condition looks like."""

    @abstractmethod
    def null(self, count: int) -> Tensor:
        """Embedding of no condition [count, h]."""

    @abstractmethod
    def forward(self, condition: Any, dropped: Tensor) -> Tensor:
        """Embedding [b, h] of the batch's condition; rows with `dropped` [b] get the null one."""


class Unconditional(ConditionEmbedding):
    """For modalities that generate by layout alone: the embedding is zero."""

    zero: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.register_buffer("zero", torch.zeros(1, width), persistent=False)

    def null(self, count: int) -> Tensor:
        return self.zero.expand(count, self.width)

    def forward(self, condition: Any, dropped: Tensor) -> Tensor:
        return self.null(dropped.shape[0])


class Dataset(ABC):
    """Samples by index. `sizes` [len] gives the latents of each, for equal-size batches."""

    sizes: np.ndarray

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def batch(self, indices: np.ndarray, seed: int | None) -> Batch:
        """The samples at `indices`, collated.

        `seed` is f(run seed, epoch); augmentation of sample i is a function of (seed, i) alone.
        None means no augmentation.
        """


class Modality(ABC):
    """One kind of data. Built from its config and the statistics of its training data.

    `statistics` is plain JSON (size histogram, element list, class names, ...): it is saved with
    the weights, so that sampling needs no data. What is not abstract has a default that will do.
    """

    name: ClassVar[str]
    time_shift: ClassVar[float] = 1.0
    """Shift of the sampler's time grid: below 1 it spends more steps near the noise."""
    strength: ClassVar[float] = 4.0
    """Of the stochastic solver, unless it is given: more of it contracts the samples' spread."""
    rounds: ClassVar[int] = 0
    """How often samples pass through latents and back, unless it is given."""

    def __init__(self, config: BaseModel, statistics: Mapping[str, Any]) -> None:
        self.config = config
        self.statistics = statistics

    @classmethod
    @abstractmethod
    def measure(cls, config: BaseModel) -> dict[str, Any]:
        """Statistics of the training split; prepares the data where need be. DataError."""

    @abstractmethod
    def registers(self) -> int:
        """The most latents that a sample may have: the length K of the register table."""

    @abstractmethod
    def tokenizer(self, width: int) -> Tokenizer: ...

    @abstractmethod
    def decoder(self, latent_dim: int) -> Decoder: ...

    def condition_embedding(self, width: int) -> ConditionEmbedding:
        """By default there is no condition."""
        return Unconditional(width)

    @abstractmethod
    def dataset(self, split: str) -> Dataset:
        """`split` is "train", "validation" or "test"."""

    @abstractmethod
    def layout(self, batch: Any) -> Layout:
        """How many latents each sample of a batch has, and its condition."""

    @abstractmethod
    def sample_layout(
        self, count: int, rng: np.random.Generator, options: BaseModel | None
    ) -> Layout:
        """The same for generation: sizes by the training histogram, or what `options` asks for."""

    @abstractmethod
    def reconstruction_loss(
        self, prediction: Any, batch: Any, context: Any
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss to differentiate, and detached terms for the log."""

    @abstractmethod
    def finish(self, prediction: Any, layout: Layout, context: Any) -> list[Any]:
        """Samples in the user's form. `context` is the tokenizer's, or the sample layout's."""

    @abstractmethod
    def originals(self, batch: Any) -> list[Any]:
        """The batch in the user's form, to compare reconstructions with."""

    @classmethod
    def prepare(cls, source: str) -> str:
        """Makes a source of data ready for training, and says what was kept and what rejected.

        ConfigurationError where, as by default, the modality's data need no preparation.
        """
        raise ConfigurationError(
            f"data of modality {cls.name!r} need no preparation: train on {source!r} as it is"
        )

    @classmethod
    @abstractmethod
    def read(cls, path: Path) -> tuple[list[Any], Mapping[str, int]]:
        """Samples of a file, and how many records were rejected for which reason."""

    def accept(self, samples: Sequence[Any]) -> tuple[list[Any], Mapping[str, int]]:
        """The samples that this model can take, by default all, and how many it cannot take for
        which reason.
        """
        return list(samples), {}

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Batch:
        """Accepted samples as a batch."""

    @classmethod
    @abstractmethod
    def write(cls, samples: Sequence[Any], path: Path) -> None:
        """Save samples; the format follows the file's ending. ConfigurationError, StorageError."""

    @classmethod
    def write_reconstructions(
        cls, originals: Sequence[Any], reconstructions: Sequence[Any], path: Path
    ) -> None:
        """Save reconstructions, where it helps beside their originals; errors as `write`'s."""
        cls.write(reconstructions, path)

    @classmethod
    def check_score(cls, config: BaseModel, reference: str | None) -> None:
        """Raises what `score` would raise whatever the samples, before any are made; by default
        nothing.
        """
        return

    @classmethod
    @abstractmethod
    def score(
        cls, config: BaseModel, samples: Sequence[Any], reference: str | None
    ) -> dict[str, dict[str, Any]]:
        """Quality of samples: row -> metric -> value, rows "samples", "data" (the data itself) and
        whatever else to compare with.

        `reference` is a source of data to compare with; None means the configured one.
        """

    @classmethod
    def score_reconstruction(
        cls, config: BaseModel, originals: Sequence[Any], reconstructions: Sequence[Any]
    ) -> dict[str, Any]:
        """How near reconstructions come, metric -> value; by default by their `errors`."""
        errors = cls.errors(originals, reconstructions)
        return {"mean_error": float(np.mean(errors)), "largest_error": max(errors)}

    @classmethod
    @abstractmethod
    def errors(cls, originals: Sequence[Any], reconstructions: Sequence[Any]) -> list[float]:
        """How far each reconstruction is, in the modality's own unit (RMSD in angstrom, say)."""

    @classmethod
    @abstractmethod
    def preview(cls, samples: Sequence[Any], path: Path, columns: int | None = None) -> None:
        """A PNG picture of samples in rows of `columns`, or of the modality's own choice."""

    @classmethod
    def report(cls, story: Story, directory: Path) -> list[Path]:
        """Writes samples and a self-contained report.html on a run; gives the files written.

        By default pictures by `preview`, of samples and of originals beside their reconstructions.
        """
        # here: matplotlib takes a second to import, and only reports draw
        from unite_core.page import inline_png, template, write_page

        samples, pairs = directory / "samples.png", directory / "reconstructions.png"
        cls.preview(story.samples[:PICTURED], samples)
        shown = [sample for pair in story.pairs[: PICTURED // 2] for sample in pair]
        cls.preview(shown, pairs, columns=2)
        drawn = {"Samples": samples, "Originals, each with its reconstruction": pairs}
        pictures = {name: inline_png(path, name) for name, path in drawn.items()}
        return [*drawn.values(), *write_page(story, pictures, directory, template())]
