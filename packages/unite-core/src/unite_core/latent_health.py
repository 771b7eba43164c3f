"""What the latents of some samples say of a run's health."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unite_core.health import TINY, Finding, advised, judge
from unite_core.model import UniteModel
from unite_core.types import Batch

CONSTANT = 0.05
"""A dimension whose deviation is less than so much of the latents' size is nearly constant."""
DEAD = (0.25, 0.9)
"""Share of nearly constant dimensions from which to watch it, and from which it is ill."""
SPREAD = (0.2, 0.05)
"""The same for the difference between samples over the latents' size: worse when smaller."""
COPIED = (0.97, 0.995)
"""The same for the share of the latents' variance that is linear in their own tokens."""


@dataclass(frozen=True)
class LatentStatistics:
    """Of a batch's latents, in units of their root mean square `size`.

    `deviations` is each dimension's standard deviation over all latents. `spread` is the standard
    deviation between samples of latents in the same place. `shares` of the variance lie in the
    principal directions, largest first. `copied` is the share of variance that a linear map of each
    latent's own token explains in samples that it was not fitted to; None where tokens and latents
    are not one to one.
    """

    size: float
    deviations: Float[Tensor, " d"]
    spread: float
    shares: Float[Tensor, " d"]
    copied: float | None

    @property
    def constant(self) -> int:
        """Dimensions that are nearly the same everywhere."""
        return int((self.deviations < CONSTANT).sum())

    @property
    def effective(self) -> float:
        """Dimensions that the variance fills: 1 / sum of squared shares."""
        return float(1 / self.shares.square().sum())


def explained(
    x: Float[Tensor, "k h"],
    z: Float[Tensor, "k d"],
    new_x: Float[Tensor, "l h"],
    new_z: Float[Tensor, "l d"],
) -> float:
    """Share of the variance of `new_z` by the least-squares map x -> z; at most 1."""
    x, z, new_x, new_z = (part.double().cpu() for part in (x, z, new_x, new_z))
    middle = x.mean(0), z.mean(0)
    # the driver for matrices that lack rank, as those of few kinds of tokens do
    weights = torch.linalg.lstsq(x - middle[0], z - middle[1], driver="gelsd").solution
    left = new_z - middle[1] - (new_x - middle[0]) @ weights
    return float(1 - left.square().sum() / (new_z - new_z.mean(0)).square().sum())


def statistics(
    z: Float[Tensor, "b n d"],
    mask: Bool[Tensor, "b n"],
    x: Float[Tensor, "b m h"],
    x_mask: Bool[Tensor, "b m"],
) -> LatentStatistics:
    """Of latents z and the tokens x that they were made of; b is at least 4."""
    real = z[mask]
    size = real.square().mean().sqrt().clamp(min=TINY)
    counts = mask.sum(0)[:, None]
    middle = (z * mask[..., None]).sum(0) / counts.clamp(min=1)
    between = (z - middle)[mask].square().mean().sqrt()
    variances = torch.linalg.eigvalsh(real.T.double().cov()).flip(0).clamp(min=0)
    half = len(z) // 2
    paired = mask.shape == x_mask.shape and bool((mask == x_mask).all())
    first, second = mask[:half], mask[half:]
    copied = (
        explained(x[:half][first], z[:half][first], x[half:][second], z[half:][second])
        if paired
        else None
    )
    return LatentStatistics(
        size=float(size),
        deviations=(real.std(0) / size).cpu(),
        spread=float(between / size),
        shares=(variances / variances.sum().clamp(min=TINY)).float().cpu(),
        copied=copied,
    )


@torch.no_grad()
def look_at_latents(model: UniteModel, batch: Batch) -> LatentStatistics:
    """The statistics of a batch's latents."""
    seen: list[tuple[Tensor, Tensor]] = []
    # the tokens that these latents are of: a tokenizer may draw a random frame at each call
    handle = model.tokenizer.register_forward_hook(
        lambda _module, _inputs, tokens: seen.append((tokens.x, tokens.mask))
    )
    latents = model.tokenize(batch)
    handle.remove()
    ((x, x_mask),) = seen
    return statistics(latents.z, latents.mask, x, x_mask)


def latent_findings(found: LatentStatistics) -> list[Finding]:
    """Whether samples differ, how many dimensions are used, whether the encoder does more than
    copy."""
    differing = [differences(found)]
    if differing[0].state == "ill":
        return differing  # what is constant has no directions, nor is it a copy
    return [*differing, dimensions(found), *copies(found)]


def differences(found: LatentStatistics) -> Finding:
    """Whether different samples have different latents."""
    text = f"samples differ by {found.spread:.2g} of the latents' size {found.size:.2g}"
    advice = (
        "they collapse, so nothing can be decoded: start anew with a lower objective.flow_weight, "
        "fewer draws or a lower optimizer.learning_rate"
    )
    return advised(judge(-found.spread, (-SPREAD[0], -SPREAD[1])), "latents", text, advice)


def dimensions(found: LatentStatistics) -> Finding:
    """How many dimensions carry something."""
    count = len(found.deviations)
    low, high = found.deviations.min(), found.deviations.max()
    text = (
        f"{found.constant} of {count} are nearly constant (deviations {low:.2g} to {high:.2g} of "
        f"the latents' size), the variance fills {found.effective:.2g}"
    )
    advice = "a smaller encoder.latent_dim would do; if reconstruction is poor, lower flow_weight"
    state = judge(found.constant / count, DEAD)
    return advised(state, "latent dimensions", text, advice)


def copies(found: LatentStatistics) -> list[Finding]:
    """Whether latents are more than a linear copy of their tokens."""
    if found.copied is None:
        return []
    share = max(found.copied, 0.0)
    text = f"{share:.1%} of the latents' variance is a linear copy of their own tokens"
    advice = "the encoder adds little: raise objective.decoder_noise.share or lower latent_dim"
    return [advised(judge(share, COPIED), "nearly-identity latents", text, advice)]
