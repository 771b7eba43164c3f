"""The values that pass between the parts: what each field holds, its shape and its unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@runtime_checkable
class Batch(Protocol):
    """What a modality's collate returns: samples that move to a device together.

    Passes over it can be recorded on a GPU (`training.cuda_graphs`) where it is a dataclass of
    tensors, or None for some, and the modality's forward and loss bring nothing from the host.
    """

    def __len__(self) -> int:
        """Number of samples b."""
        ...

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        ...


@dataclass(frozen=True)
class Sequence:
    """What the transformer reads: token contents, which of them are real, and where they stand."""

    x: Float[Tensor, "b s h"]
    mask: Bool[Tensor, "b s"]
    positions: Float[Tensor, "s"]


@dataclass(frozen=True)
class Tokens:
    """An observation embedded at the encoder's width, to be joined with the registers.

    `context` is what the modality needs to come back from the decoder (a molecule's frame, say);
    the core hands it through unread. It is None or indexed by rows.
    """

    x: Float[Tensor, "b m h"]
    mask: Bool[Tensor, "b m"]
    context: Any

    def join(self, registers: Sequence, free: int) -> Sequence:
        """Registers with this content: subclasses say how the two meet.

        Positions from `free` on belong to no register, however many there are in a batch.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class AppendedTokens(Tokens):
    """Tokens that follow the registers as further positions of the sequence (arXiv 2603.22283)."""

    def join(self, registers: Sequence, free: int) -> Sequence:
        own = torch.arange(free, free + self.x.shape[1], device=self.x.device)
        return Sequence(
            x=torch.cat([registers.x, self.x.to(registers.x.dtype)], dim=1),
            mask=torch.cat([registers.mask, self.mask], dim=1),
            positions=torch.cat([registers.positions, own.to(registers.positions.dtype)]),
        )


@dataclass(frozen=True)
class PairedTokens(Tokens):
    """Tokens added one to one to the registers: content i belongs to latent i (m = n)."""

    def join(self, registers: Sequence, free: int) -> Sequence:
        return Sequence(registers.x + self.x, registers.mask & self.mask, registers.positions)


@dataclass(frozen=True)
class Latents:
    """What the encoder writes: `z` went through the encoder's last LayerNorm; padding is zero."""

    z: Float[Tensor, "b n d"]
    mask: Bool[Tensor, "b n"]


@dataclass(frozen=True)
class Layout:
    """Which latents each sample has, and the condition under which they are generated.

    `sizes` [b] counts latents; `condition` is the modality's own (class labels, properties) and is
    read by its condition embedding alone; None means unconditional. `context` is handed to `finish`
    with generated latents, as the tokenizer's is with reconstructed ones. Both are indexed by rows;
    a condition also moves with `to(device)`.
    `length` pads beyond the largest size, so that shapes repeat and compiled graphs are reused.
    """

    sizes: Tensor
    condition: Any = None
    context: Any = None
    length: int | None = None

    def __getitem__(self, rows: Tensor) -> "Layout":
        """The layout of these rows."""
        return Layout(
            self.sizes[rows],
            None if self.condition is None else self.condition[rows],
            None if self.context is None else self.context[rows],
            self.length,
        )

    def to(self, device: torch.device) -> "Layout":
        """The same layout with sizes and condition on another device."""
        condition = None if self.condition is None else self.condition.to(device)
        return Layout(self.sizes.to(device), condition, self.context, self.length)

    @property
    def mask(self) -> Tensor:
        """Real latents [b, n], n being `length` or the largest size."""
        n = int(self.sizes.max()) if self.length is None else self.length
        return torch.arange(n, device=self.sizes.device) < self.sizes[:, None]


@dataclass(frozen=True)
class Losses:
    """`total` is what to differentiate; `terms` are detached scalars for the log."""

    total: Float[Tensor, ""]
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class Story:
    """What a run came to: all that its report shows."""

    title: str
    command: str
    scores: dict[str, dict[str, Any]]  # row -> metric -> value
    reconstruction: dict[str, dict[str, Any]]
    samples: list[Any]
    pairs: list[tuple[Any, Any]]  # originals with their reconstructions
    log: list[dict[str, Any]]
    versions: dict[str, str]
    statistics: Mapping[str, Any]  # the run's own, as its modality measured them
