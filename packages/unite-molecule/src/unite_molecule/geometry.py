"""Rotations: random ones, principal axes and the best superposition of two point sets."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

AMBIGUOUS = 1e-4
"""Relative skewness below which the points do not tell an axis's two directions apart."""


def random_rotations(
    count: int,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> Float[Tensor, "count 3 3"]:
    """Rotations drawn uniformly (Haar): a normal quaternion points uniformly on the 3-sphere."""
    from e3nn import o3  # takes two seconds to import, and sampling needs none of it

    quaternions = torch.randn(count, 4, dtype=torch.float64, generator=generator, device=device)
    unit = quaternions / quaternions.norm(dim=-1, keepdim=True)
    rotations: Tensor = o3.quaternion_to_matrix(unit)
    return rotations.to(torch.get_default_dtype())


def directed(
    axis: Float[Tensor, "b 3"], x: Float[Tensor, "b n 3"], weights: Float[Tensor, "b n"]
) -> Float[Tensor, "b 3"]:
    """The axis, turned so that points are skewed towards its positive side.

    Where they are not skewed, the points' order decides: later ones lie on the positive side.
    """
    along = torch.einsum("bni,bi->bn", x, axis)
    third = (weights * along**3).sum(1)
    scale = (weights * along.abs() ** 3).sum(1)
    order = torch.arange(x.shape[1], device=x.device, dtype=x.dtype)
    later = (weights * order * along).sum(1)
    decisive = torch.where(third.abs() > AMBIGUOUS * scale, third, later)
    return torch.where(decisive < 0, -1.0, 1.0)[:, None] * axis


@torch.no_grad()
def inertial_frame(
    x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"], weights: Float[Tensor, "b n"]
) -> Float[Tensor, "b 3 3"]:
    """Principal axes of centred points as rows, the longest first; always a rotation.

    Signs follow the third moments, and the last axis is the cross product of the others, so that
    mirror images get different coordinates. Any rotation serves a single or collinear points.
    """
    points = (x * mask[..., None]).double()
    mass = (weights * mask).double()
    moment = torch.einsum("bn,bni,bnj->bij", mass, points, points)
    axes = torch.linalg.eigh(moment).eigenvectors  # columns, shortest axis first
    first = directed(axes[..., 2], points, mass)
    second = directed(axes[..., 1], points, mass)
    frame = torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)
    return frame.to(x.dtype)


def superposition(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation R [3, 3] that brings centred b nearest to centred a: a ~ b R^T (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(a.T.astype(np.float64) @ b.astype(np.float64))
    handed = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    return np.asarray(u @ np.diag([1.0, 1.0, handed]) @ vt)


PERPENDICULAR = 1e-3
"""Length in angstrom below which what is left of a vector gives no direction."""

REACHES = (1.0, 4.0)
"""Over how many points the weights of `ordered_frame`'s two sums fall by e."""


@torch.no_grad()
def ordered_frame(x: Float[Tensor, "b n 3"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b 3 3"]:
    """Axes of centred points as rows, from sums that weigh early points more; always a rotation.

    The first axis points to the first one or two points, the second to the first few. Unlike
    principal axes they move smoothly with points that are not collinear. Mirror images differ.
    """
    points = (x * mask[..., None]).double()
    place = torch.arange(x.shape[1], device=x.device, dtype=points.dtype)
    # no matrix product: autocast would round it
    near, far = (((-place / reach).exp()[:, None] * points).sum(1) for reach in REACHES)
    first = across(near, torch.zeros_like(near))
    second = across(far, first)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=1).to(x.dtype)


def across(v: Float[Tensor, "b 3"], axis: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
    """Unit vector along the part of v that is perpendicular to `axis`, any such where none is."""
    left = v - (v * axis).sum(-1, keepdim=True) * axis
    spare = torch.eye(3, device=v.device, dtype=v.dtype)[axis.abs().argmin(-1)]
    spare = spare - (spare * axis).sum(-1, keepdim=True) * axis
    lost = left.norm(dim=-1, keepdim=True) < PERPENDICULAR
    return torch.nn.functional.normalize(torch.where(lost, spare, left), dim=-1)
