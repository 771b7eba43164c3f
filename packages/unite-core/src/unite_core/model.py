"""UniteModel: tokenizer, Generative Encoder and decoder, with what is needed to use them."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from pydantic import BaseModel
from torch import Tensor, nn

from unite_core import flow, sampling
from unite_core.config import EncoderConfig, Precision, RunConfig, Solver
from unite_core.encoder import GenerativeEncoder
from unite_core.errors import ConfigurationError, StorageError
from unite_core.latents import (
    Recorder,
    RowNoise,
    equal_size_rows,
    integrate,
    spherical,
)
from unite_core.layers import as_written, compile_blocks
from unite_core.locations import local_model
from unite_core.plugins import load_plugin
from unite_core.precision import autocast
from unite_core.sampling_settings import check_levels, check_strength
from unite_core.threads import spread
from unite_core.types import Batch, Latents, Layout

OnBatch = Callable[[int], None]
"""Told how many samples a batch that is done has."""


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
        self.denoiser = (
            GenerativeEncoder(config, self.modality.registers())
            if config.denoiser == "separate"
            else None
        )
        self.decoder = self.modality.decoder(config.latent_dim)
        self.condition = self.modality.condition_embedding(config.width)
        self.compiled = False

    def compile_blocks(self) -> None:
        """Compiles what denoises: about a minute the first time, for many samples."""
        compile_blocks(self.encoder if self.denoiser is None else self.denoiser, dynamic=True)
        self.compiled = True

    def denoise(self, z: Tensor, t: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """Clean latents from noisy ones [b, n, d] at levels t [b]: the encoder without tokens."""
        network = self.encoder if self.denoiser is None else self.denoiser
        estimate: Tensor = network(z, t, condition, mask)
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
    def reconstruct(self, batch: Batch, seed: int = 0, precision: Precision = "no") -> list[Any]:
        """The batch through latents and back, in the user's form."""
        with autocast(precision, self.device):
            latents, layout, context = self.encode_same(batch, seed)
        z = latents.z.to(self.encoder.register_code.dtype)
        return self.decode(z, layout, context)

    def again(self, samples: Sequence[Any], precision: Precision = "auto") -> list[Any]:
        """Samples through latents and back; those that the modality does not accept as they are."""
        accepted = [self.modality.accept([sample])[0] for sample in samples]
        usable = [one for found in accepted for one in found]
        if not usable:
            return list(samples)
        with as_written() if self.compiled else nullcontext():  # too seldom to be compiled for
            made = iter(self.reconstruct(self.modality.collate(usable), precision=precision))
        return [next(made) if found else old for old, found in zip(samples, accepted, strict=True)]

    def decode(self, z: Tensor, layout: Layout, context: Any) -> list[Any]:
        """Latents [b, n, d] in the user's form."""
        return self.modality.finish(self.decoder(z, layout.mask), layout, context)

    def generate(
        self,
        count: int,
        steps: int = 50,
        solver: Solver = "stochastic",
        seed: int = 0,
        batch_size: int = 512,
        precision: Precision = "auto",
        options: BaseModel | None = None,
        guidance: float = 1.0,
        temperature: float = 1.0,
        strength: float | None = None,
        rounds: int | None = None,
        rows: Sequence[int] | None = None,
        on_batch: OnBatch | None = None,
    ) -> list[Any]:
        """`count` new samples. The noise of sample i depends on (seed, i) alone.

        `guidance` is the scale of classifier-free guidance; other than 1 it needs a condition,
        else ConfigurationError. `temperature` is the noise's standard deviation, `strength` how
        much of it the stochastic solver draws anew; other solvers refuse it. `rounds` is how often
        the samples pass through latents and back, which makes their parts agree. Both are the
        modality's by default. `rows` are those of the samples to make, by default all. `on_batch`
        is called with the number of samples of each batch that is done.
        """
        strength = self.chosen_strength(solver, strength)
        layout = self.draw_layout(count, seed, options, guidance)
        numbers = torch.arange(count) if rows is None else torch.tensor(rows, dtype=torch.int64)
        times = flow.time_grid(steps, self.modality.time_shift)
        rounds = self.modality.rounds if rounds is None else rounds

        def make(part: Layout, noise: RowNoise) -> list[Any]:
            with autocast(precision, self.device):
                z = integrate(self.guided(part, guidance), noise, times, solver, strength)
            samples = self.decode(z, part, part.context)
            for _ in range(rounds):
                samples = self.again(samples, precision)
            return samples

        return self.in_batches(make, layout, numbers, seed, batch_size, temperature, on_batch)

    def trajectories(
        self,
        count: int,
        levels: int,
        steps: int = 50,
        solver: Solver = "stochastic",
        seed: int = 0,
        batch_size: int = 512,
        precision: Precision = "auto",
        options: BaseModel | None = None,
        guidance: float = 1.0,
        temperature: float = 1.0,
        strength: float | None = None,
    ) -> list[list[Any]]:
        """The samples of `generate` on their way: for each one, the decoded clean estimates at
        `levels` noise levels, spread evenly over the steps from the first to the last. No rounds.
        """
        check_levels(levels, steps)
        strength = self.chosen_strength(solver, strength)
        layout = self.draw_layout(count, seed, options, guidance)
        times = flow.time_grid(steps, self.modality.time_shift)
        shown = times[torch.linspace(0, steps - 1, levels).round().long()]

        def make(part: Layout, noise: RowNoise) -> list[list[Any]]:
            with autocast(precision, self.device):
                recorder = Recorder(self.guided(part, guidance), shown)
                integrate(recorder, noise, times, solver, strength)
            columns = (self.decode(recorder.kept[t], part, part.context) for t in recorder.levels)
            return list(map(list, zip(*columns, strict=True)))

        return self.in_batches(make, layout, torch.arange(count), seed, batch_size, temperature)

    @torch.no_grad()
    def interpolate(self, batch: Batch, steps: int, seed: int = 0) -> list[Any]:
        """`steps` samples from the first to the second of a batch of two, between their latents.

        The ends are their reconstructions. ConfigurationError where the two have different numbers
        of latents.
        """
        latents, layout, context = self.encode_same(batch, seed)
        first, second = layout.sizes.tolist()
        if first != second:
            raise ConfigurationError(
                f"cannot interpolate between {first} and {second} latents: "
                "choose two samples that have the same number"
            )
        shares = torch.linspace(0, 1, steps, device=self.device)
        nearer = (shares > 0.5).long()
        z = spherical(latents.z[0], latents.z[1], shares)
        return self.decode(z, layout[nearer], None if context is None else context[nearer])

    def draw_layout(
        self, count: int, seed: int, options: BaseModel | None, guidance: float
    ) -> Layout:
        """The layout of new samples; ConfigurationError for guidance without a condition."""
        layout = self.modality.sample_layout(count, np.random.default_rng(seed), options)
        if guidance != 1.0 and layout.condition is None:
            raise ConfigurationError(
                f"guidance {guidance:g} needs a model with a condition, and this one has none: "
                "leave guidance at 1"
            )
        return layout

    def chosen_strength(self, solver: Solver, given: float | None) -> float:
        """The stochastic solver's strength: the given one, or the modality's."""
        check_strength(solver, given)
        return self.modality.strength if given is None else given

    def in_batches(
        self,
        make: Callable[[Layout, RowNoise], list[Any]],
        layout: Layout,
        numbers: Tensor,
        seed: int,
        batch_size: int,
        temperature: float,
        on_batch: OnBatch | None = None,
    ) -> list[Any]:
        """What `make` gives for the samples `numbers` [k] of a layout, in their order."""

        def part(rows: Tensor) -> list[Any]:
            own = layout[numbers[rows]].to(self.device)
            seeds = [(seed, number) for number in numbers[rows].tolist()]
            return make(own, RowNoise(seeds, own, self.encoder.config.latent_dim, temperature))

        batches = list(equal_size_rows(layout.sizes[numbers], batch_size))
        made: dict[int, Any] = {}
        done = spread(part, batches, self.device, self.compiled)
        for rows, results in zip(batches, done, strict=True):
            made.update(zip(rows.tolist(), results, strict=True))
            if on_batch is not None:
                on_batch(len(results))
        return [made[row] for row in range(len(numbers))]

    def guided(self, layout: Layout, guidance: float) -> sampling.Denoiser:
        """`denoise` as a function of noisy latents and level, guided towards a condition."""
        mask = layout.mask
        dropped = torch.zeros(mask.shape[0], dtype=torch.bool, device=mask.device)

        def under(condition: Tensor) -> sampling.Denoiser:
            return lambda z, t: self.denoise(z, t, condition, mask).float()

        given = self.condition(layout.condition, dropped)
        return sampling.guided(under(given), under(self.condition.null(mask.shape[0])), guidance)


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


def open_model(source: str | Path, **changes: Any) -> UniteModel:
    """`from_pretrained` with an error that names the source; `changes` are to its arguments."""
    try:
        with redirect_stdout(StringIO()):  # the hub's client announces what it loads
            return UniteModel.from_pretrained(source, strict=True, **changes).eval()
    except Exception as error:
        raise StorageError(f"cannot load a model from {source}: {error}") from error
