"""UniteModel: tokenizer, Generative Encoder and decoder, with what is needed to use them."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from pydantic import BaseModel
from torch import Tensor, nn

from unite_core import flow, sampling
from unite_core.config import EncoderConfig, RunConfig, Solver
from unite_core.encoder import GenerativeEncoder
from unite_core.errors import StorageError
from unite_core.locations import local_model
from unite_core.plugins import load_plugin
from unite_core.types import Batch, Latents, Layout

Precision = Literal["no", "bf16"]


CARD = """---
{{ card_data }}
---
A UNITE model: one network that is both tokenizer and generator (arXiv 2603.22283). `unite info`
says what it is a model of, `unite sample` draws from it.
"""


class UniteModel(nn.Module, PyTorchModelHubMixin, library_name="unite", model_card_template=CARD):
    """One network that tokenizes and generates. Its arguments are plain JSON, kept in config.json.

    `modality` names the plug-in, `data` is its config, `statistics` what it measured in training.
    """

    def __init__(
        self,
        modality: str,
        data: dict[str, Any],
        encoder: dict[str, Any],
        statistics: dict[str, Any],
    ) -> None:
        super().__init__()
        plugin = load_plugin(modality)
        config = EncoderConfig.model_validate(encoder)
        self.modality = plugin.load()(plugin.config.model_validate(data), statistics)
        self.tokenizer = self.modality.tokenizer(config.width)
        self.encoder = GenerativeEncoder(config, self.modality.registers())
        self.decoder = self.modality.decoder(config.latent_dim)
        self.condition = self.modality.condition_embedding(config.width)

    def denoise(self, z: Tensor, t: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Clean latents from noisy ones [b, n, d] at levels t [b]: the encoder without tokens."""
        estimate: Tensor = self.encoder(z, t, condition, mask)
        return estimate

    @property
    def device(self) -> torch.device:
        return self.encoder.register_code.device

    def encode(
        self, batch: Any, layout: Layout, t_max: float, noise: Tensor | None = None
    ) -> tuple[Latents, Any]:
        """Latents of a batch, and the tokenizer's context. Registers start from `noise`."""
        tokens = self.tokenizer(batch)
        mask = layout.mask
        if noise is None:
            noise = torch.randn(*mask.shape, self.encoder.config.latent_dim, device=mask.device)
        t = t_max * torch.rand(mask.shape[0], device=mask.device)
        z = self.encoder(noise, t, self.condition.null(mask.shape[0]), mask, tokens)
        return Latents(z, mask), tokens.context

    def encode_same(self, batch: Batch, seed: int) -> tuple[Latents, Layout, Any]:
        """As `encode` at t = 0, one register noise for all samples: batch-mates play no part."""
        batch = batch.to(self.device)
        layout = self.modality.layout(batch)
        generator = torch.Generator().manual_seed(seed)
        table = torch.randn(
            self.modality.registers(), self.encoder.config.latent_dim, generator=generator
        ).to(self.device)
        noise = table[: layout.mask.shape[1]].expand(len(batch), -1, -1)
        latents, context = self.encode(batch, layout, 0.0, noise)
        return latents, layout, context

    @torch.no_grad()
    def tokenize(self, batch: Batch, seed: int = 0) -> Latents:
        """Latents [b, n, d] of a batch."""
        return self.encode_same(batch, seed)[0]

    @torch.no_grad()
    def reconstruct(self, batch: Batch, seed: int = 0) -> list[Any]:
        """The batch through latents and back, in the user's form."""
        latents, layout, context = self.encode_same(batch, seed)
        return self.modality.finish(self.decoder(latents.z, latents.mask), layout, context)

    @torch.no_grad()
    def generate(
        self,
        count: int,
        steps: int = 50,
        solver: Solver = "stochastic",
        seed: int = 0,
        batch_size: int = 512,
        precision: Precision = "bf16",
        options: BaseModel | None = None,
    ) -> list[Any]:
        """`count` new samples. The noise of sample i depends on (seed, i) alone."""
        layout = self.modality.sample_layout(count, np.random.default_rng(seed), options)
        samples: list[Any] = [None] * count
        for rows in equal_size_rows(layout.sizes, batch_size):
            part = Layout(
                layout.sizes[rows].to(self.device),
                None if layout.condition is None else layout.condition[rows].to(self.device),
                None if layout.context is None else layout.context[rows],
            )
            with torch.autocast(self.device.type, torch.bfloat16, enabled=precision == "bf16"):
                z = self.generate_latents(part, steps, solver, [(seed, int(row)) for row in rows])
            finished = self.modality.finish(self.decoder(z, part.mask), part, part.context)
            for row, sample in zip(rows.tolist(), finished, strict=True):
                samples[row] = sample
        return samples

    def generate_latents(
        self, layout: Layout, steps: int, solver: Solver, seeds: list[tuple[int, int]]
    ) -> Tensor:
        """Latents [b, n, d] by integrating from noise; `seeds` has one (run, sample) pair a row."""
        mask = layout.mask
        source = RowNoise(seeds, layout.sizes, self.encoder.config.latent_dim, mask.device)
        dropped = torch.zeros(mask.shape[0], dtype=torch.bool, device=mask.device)
        condition = self.condition(layout.condition, dropped)

        def denoise(z: Tensor, t: Tensor) -> Tensor:
            return self.denoise(z, t, condition, mask).float()

        times = flow.time_grid(steps, self.modality.time_shift)
        solvers: dict[Solver, Callable[[sampling.Denoiser, Tensor, Tensor], Tensor]] = {
            "euler": sampling.euler,
            "heun": sampling.heun,
            "dopri5": sampling.dopri5,
            "stochastic": partial(sampling.stochastic, noise=source),
        }
        return solvers[solver](denoise, source(), times)


class SeparateModel(UniteModel):
    """Ablation: a denoiser with weights of its own, of the encoder's shape."""

    def __init__(
        self,
        modality: str,
        data: dict[str, Any],
        encoder: dict[str, Any],
        statistics: dict[str, Any],
    ) -> None:
        super().__init__(modality, data, encoder, statistics)
        self.denoiser = GenerativeEncoder(self.encoder.config, self.modality.registers())

    def denoise(self, z: Tensor, t: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        estimate: Tensor = self.denoiser(z, t, condition, mask)
        return estimate


class RowNoise:
    """Standard normal noise [b, n, d], each row a stream of its own, whatever its batch-mates."""

    def __init__(
        self, seeds: list[tuple[int, int]], sizes: Tensor, latent_dim: int, device: torch.device
    ) -> None:
        entropy = (np.random.SeedSequence(pair).generate_state(1, np.uint64)[0] for pair in seeds)
        self.generators = [torch.Generator().manual_seed(int(word) % 2**63) for word in entropy]
        self.sizes = sizes.tolist()
        self.latent_dim = latent_dim
        self.device = device

    def __call__(self) -> Tensor:
        noise = torch.zeros(len(self.sizes), max(self.sizes), self.latent_dim)
        for row, size, generator in zip(noise, self.sizes, self.generators, strict=True):
            row[:size].normal_(generator=generator)
        return noise.to(self.device)


def equal_size_rows(sizes: Tensor, batch_size: int) -> Iterator[Tensor]:
    """Row indices in batches whose samples have the same size, so that nothing is padded."""
    for size in sorted(set(sizes.tolist())):
        yield from (sizes == size).nonzero()[:, 0].split(batch_size)


def build_model(config: RunConfig) -> UniteModel:
    """A fresh model for a run: measures the training data, then draws the weights from the seed."""
    plugin = load_plugin(config.modality)
    data = plugin.config.model_validate(config.data)
    statistics = plugin.load().measure(data)
    torch.manual_seed(config.training.seed)
    return UniteModel(
        modality=config.modality,
        data=data.model_dump(mode="json"),
        encoder=config.encoder.model_dump(mode="json"),
        statistics=statistics,
    )


def load_model(name: str | Path) -> UniteModel:
    """A model by directory (a run's own, or one of `save_pretrained`), shipped name, or hub id.

    Raises StorageError where none of these is there or the files do not fit.
    """
    return open_model(local_model(str(name)) or str(name))


def open_model(source: str | Path) -> UniteModel:
    """`from_pretrained` with an error that names the source."""
    try:
        return UniteModel.from_pretrained(source).eval()
    except Exception as error:
        raise StorageError(f"cannot load a model from {source}: {error}") from error
