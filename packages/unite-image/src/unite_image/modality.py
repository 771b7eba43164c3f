"""The image modality: what the core asks of a plug-in, answered for images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel
from torch import Tensor
from unite_core.errors import ConfigurationError, nearest
from unite_core.modality import ConditionEmbedding, Modality, Unconditional
from unite_core.types import Layout, Story

from unite_image.condition import ClassEmbedding
from unite_image.config import ImageConfig, ImageSampleOptions
from unite_image.data import ImageDataset, open_dataset, prepare, read_images
from unite_image.decoder import ImageDecoder
from unite_image.decoding import Rejected, fit
from unite_image.grids import draw_grid, draw_pairs
from unite_image.losses import image_loss
from unite_image.patches import AppendedPatches, PairedPatches, PatchTokenizer
from unite_image.prepare import tell_rejected
from unite_image.types import Image, ImageBatch
from unite_image.writing import write_images

TOKENIZERS: dict[str, type[PatchTokenizer]] = {
    "appended": AppendedPatches,
    "paired": PairedPatches,
}
"""How patches meet the registers, by the configuration's names."""


def to_images(pixels: Float[Tensor, "b c h w"], labels: Tensor | None) -> list[Image]:
    """Pixels in [0, 1], what is outside cut off, to the nearest of 256 levels."""
    levels = (pixels.detach().float().clamp(0, 1) * 255).round().byte()
    arrays = levels.permute(0, 2, 3, 1).cpu().numpy()
    classes = [None] * len(arrays) if labels is None else labels.tolist()
    return [Image(array, label) for array, label in zip(arrays, classes, strict=True)]


def in_turn(weights: np.ndarray, count: int) -> np.ndarray:
    """`count` indices of `weights`, each as often as its share, evenly spread.

    Equal weights give 0, 1, 2, ... over and over; a longer row begins with the shorter one.
    """
    shares, credit = weights / weights.sum(), np.zeros(len(weights))
    chosen = np.empty(count, dtype=np.int64)
    for i in range(count):
        credit += shares
        chosen[i] = (credit + 1e-9 > credit.max()).argmax()  # rounding decides no tie
        credit[chosen[i]] -= 1
    return chosen


class ImageModality(Modality):
    """Square images of one size, one latent for each patch."""

    name = "image"
    time_shift = 0.5
    config: ImageConfig

    def __init__(self, config: BaseModel, statistics: Mapping[str, Any]) -> None:
        super().__init__(config, statistics)
        self.classes: list[str] = list(statistics["classes"])
        counts = statistics.get("counts") if self.config.class_shares == "training" else None
        # published checkpoints do not say what they were trained on: equal shares
        self.class_counts = np.array(counts or [1] * len(self.classes))

    @classmethod
    def prepare(cls, source: str) -> str:
        return prepare(source)

    @classmethod
    def measure(cls, config: BaseModel) -> dict[str, Any]:
        """Class names and their images' counts, none for an unconditional model, and the total."""
        assert isinstance(config, ImageConfig)
        data = open_dataset(config, "train")
        tell_rejected(config)
        labels = data.labels(np.arange(len(data)))
        counts = [] if labels is None else np.bincount(labels, minlength=len(data.classes)).tolist()
        return {"classes": data.classes, "counts": counts, "images": len(data)}

    def registers(self) -> int:
        return self.config.patches

    def tokenizer(self, width: int) -> PatchTokenizer:
        return TOKENIZERS[self.config.tokens](self.config, width)

    def decoder(self, latent_dim: int) -> ImageDecoder:
        return ImageDecoder(self.config, latent_dim)

    def condition_embedding(self, width: int) -> ConditionEmbedding:
        if not self.classes:
            return Unconditional(width)
        return ClassEmbedding(len(self.classes), width)

    def dataset(self, split: str) -> ImageDataset:
        return open_dataset(self.config, split)

    def layout(self, batch: ImageBatch) -> Layout:
        return self.full(len(batch), batch.labels if self.classes else None, batch.pixels.device)

    def full(self, count: int, labels: Tensor | None, device: torch.device | None = None) -> Layout:
        """A latent for each patch; the length is said, for a GPU would be waited for to tell it."""
        patches = self.registers()
        sizes = torch.full((count,), patches, device=device)
        return Layout(sizes, condition=labels, length=patches)

    def sample_layout(
        self, count: int, rng: np.random.Generator, options: BaseModel | None
    ) -> Layout:
        """Classes in turn, each as often as its share, or the one that `options` asks for."""
        asked = options.class_name if isinstance(options, ImageSampleOptions) else None
        if asked is not None:
            return self.full(count, torch.full((count,), self.class_index(asked)))
        if not self.classes:
            return self.full(count, None)
        return self.full(count, torch.from_numpy(in_turn(self.class_counts, count)))

    def class_index(self, name: str) -> int:
        """The class of that name, or of that number; ConfigurationError where it is not one."""
        if not self.classes:
            raise ConfigurationError(f"--class {name}: this model was trained without classes")
        found = [index for index, known in enumerate(self.classes) if known == name]
        if len(found) > 1:
            numbers = ", ".join(map(str, found))
            raise ConfigurationError(
                f"--class {name} is the name of several: take one of {numbers}"
            )
        if found:
            return found[0]
        if name.isdecimal() and int(name) < len(self.classes):
            return int(name)
        raise ConfigurationError(
            f"--class {name}: not one of this model's {len(self.classes)} classes, by name or "
            f"number{nearest(name, self.classes)}"
        )

    def reconstruction_loss(
        self, prediction: Tensor, batch: ImageBatch, context: None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        return image_loss(prediction, batch.pixels, self.config.loss)

    def finish(self, prediction: Tensor, layout: Layout, context: None) -> list[Image]:
        return to_images(prediction, layout.condition)

    def originals(self, batch: ImageBatch) -> list[Image]:
        return to_images(batch.pixels, batch.labels)

    @classmethod
    def read(cls, path: Path) -> tuple[list[Image], Mapping[str, int]]:
        """Images of a file or a folder."""
        return read_images(path)

    def accept(self, samples: Sequence[Image]) -> tuple[list[Image], Mapping[str, int]]:
        """Cuts to the model's size and channels; refuses what the data would be refused for."""
        config = self.config
        accepted: list[Image] = []
        refused: Counter[str] = Counter()
        for image in samples:
            try:
                accepted.append(fit(image, config.resolution, config.channels, config.enlarge))
            except Rejected as reason:
                refused[str(reason)] += 1
        return accepted, refused

    def collate(self, samples: Sequence[Image]) -> ImageBatch:
        """Labels only where every image has one."""
        pixels = torch.from_numpy(np.stack([image.pixels for image in samples]))
        labels = [image.label for image in samples if image.label is not None]
        return ImageBatch(
            pixels.permute(0, 3, 1, 2).float() / 255,
            torch.tensor(labels) if len(labels) == len(samples) else None,
        )

    @classmethod
    def write(cls, samples: Sequence[Image], path: Path) -> None:
        write_images(samples, path)

    @classmethod
    def write_reconstructions(
        cls, originals: Sequence[Image], reconstructions: Sequence[Image], path: Path
    ) -> None:
        """Arrays hold the reconstructions alone, a picture each original beside its own."""
        if path.suffix.lower() == ".npz":
            write_images(reconstructions, path)
        else:
            draw_pairs(list(zip(originals, reconstructions, strict=True)), path)

    @classmethod
    def check_score(cls, config: BaseModel, reference: str | None) -> None:
        from unite_image.metrics import check_score

        assert isinstance(config, ImageConfig)
        check_score(config, reference)

    @classmethod
    def score(
        cls, config: BaseModel, samples: Sequence[Image], reference: str | None
    ) -> dict[str, dict[str, Any]]:
        """Against images of `reference`, by default of the configured source."""
        # here: the feature networks take seconds to import, and samples need none
        from unite_image.metrics import score_table

        assert isinstance(config, ImageConfig)
        return score_table(config, samples, reference)

    @classmethod
    def score_reconstruction(
        cls, config: BaseModel, originals: Sequence[Image], reconstructions: Sequence[Image]
    ) -> dict[str, Any]:
        from unite_image.metrics import score_reconstruction

        assert isinstance(config, ImageConfig)
        return score_reconstruction(config.score, originals, reconstructions)

    @classmethod
    def errors(cls, originals: Sequence[Image], reconstructions: Sequence[Image]) -> list[float]:
        """Root mean square difference of each pair in 8-bit levels (0 to 255)."""
        pairs = zip(originals, reconstructions, strict=True)
        return [
            float(np.sqrt(np.square(a.pixels.astype(float) - b.pixels).mean())) for a, b in pairs
        ]

    @classmethod
    def preview(cls, samples: Sequence[Image], path: Path, columns: int | None = None) -> None:
        draw_grid(samples, path, columns)

    @classmethod
    def report(cls, story: Story, directory: Path) -> list[Path]:
        # here: matplotlib takes a third of a second to import, and only reports draw
        from unite_image.report import write_report

        return write_report(story, directory)
