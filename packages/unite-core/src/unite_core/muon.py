"""Muon that orthogonalises all matrices of one shape at once."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Muon

from unite_core.precision import number_type
from unite_core.sharding import shard_like, whole

Coefficients = tuple[float, float, float]


def orthogonalised(
    x: Float[Tensor, "c m n"], coefficients: Coefficients, steps: int, eps: float
) -> Float[Tensor, "c m n"]:
    """Each matrix's singular values brought near 1, in bfloat16 where the device multiplies it."""
    tall = x.shape[1] > x.shape[2]
    y = (x.mT if tall else x).to(number_type("auto", x.device))
    y = y / y.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    iterated = newton_schulz if y.dtype == torch.bfloat16 else gram_newton_schulz
    y = iterated(y, coefficients, steps)
    return y.mT if tall else y


def newton_schulz(
    y: Float[Tensor, "c m n"], coefficients: Coefficients, steps: int
) -> Float[Tensor, "c m n"]:
    """`steps` times the quintic of torch's Muon: y -> a y + (b g + c g^2) y, g = y y^T."""
    a, b, c = coefficients
    for _ in range(steps):
        gram = y @ y.mT
        y = torch.baddbmm(y, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
    return y


def gram_newton_schulz(
    y: Float[Tensor, "c m n"], coefficients: Coefficients, steps: int
) -> Float[Tensor, "c m n"]:
    """As `newton_schulz`, half the operations where n is several times m: all but two products
    are of m x m. Needs float32: in bfloat16 the small eigenvalues of g drown and then grow.

    With p = a + b g + c g^2 the quintic is y -> p y, hence g -> p g p; the p are multiplied.
    """
    a, b, c = coefficients

    def polynomial(gram: Tensor) -> Tensor:
        p = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        p.diagonal(dim1=1, dim2=2).add_(a)
        return p

    gram = y @ y.mT
    p = factor = polynomial(gram)
    for _ in range(steps - 1):
        gram = p @ gram @ p
        p = polynomial(gram)
        factor = p @ factor
    return factor @ y


class StackedMuon(Muon):
    """torch's Muon, to rounding, in fewer and larger products: small models wait less for it.

    Scales each update by 0.2 sqrt(larger side), the rule "match_rms_adamw" (arXiv 2502.16982).
    """

    def __init__(self, params: Any, lr: float, weight_decay: float, momentum: float) -> None:
        super().__init__(params, lr, weight_decay, momentum, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        assert closure is None, "closures are not supported"
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    shapes[matrix.shape].append(matrix)
            for matrices in shapes.values():
                self.update(matrices, group)

    def update(self, matrices: list[Tensor], group: dict[str, Any]) -> None:
        """One update of matrices of the same shape."""
        gradients = [matrix.grad for matrix in matrices if matrix.grad is not None]
        buffers = [self.momentum(matrix) for matrix in matrices]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        nesterov = [  # one by one: torch 2.11 has no foreach for shards here
            gradient.lerp(buffer, group["momentum"])
            for gradient, buffer in zip(gradients, buffers, strict=True)
        ]
        directions = orthogonalised(
            torch.stack([whole(direction) for direction in nesterov]),
            group["ns_coefficients"],
            group["ns_steps"],
            group["eps"],
        )
        rate = group["lr"] * 0.2 * max(matrices[0].shape) ** 0.5
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        moves = [
            shard_like(direction, matrix)
            for direction, matrix in zip(directions.to(matrices[0].dtype), matrices, strict=True)
        ]
        torch._foreach_add_(matrices, moves, alpha=-rate)

    def momentum(self, matrix: Tensor) -> Tensor:
        """The running mean of the matrix's gradient."""
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        buffer: Tensor = state["momentum_buffer"]
        return buffer
