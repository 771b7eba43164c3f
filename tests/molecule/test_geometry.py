import numpy as np
import pytest
import torch
from unite_molecule.geometry import (
    inertial_frame,
    ordered_frame,
    random_rotations,
    superposition,
)

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def points(generator: torch.Generator, b: int = 6, n: int = 9) -> torch.Tensor:
    x = torch.randn(b, n, 3, generator=generator)
    return x - x.mean(1, keepdim=True)


FRAMES = {
    "inertial": lambda x, mask: inertial_frame(x, mask, mask.to(x.dtype)),
    "ordered": ordered_frame,
}


@pytest.fixture(params=FRAMES)
def framed(request):
    """Coordinates in a frame."""

    def enter(x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        mask = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
        return torch.einsum("bij,bnj->bni", FRAMES[request.param](x, mask), x)

    return enter


def test_random_rotations_are_rotations(generator):
    r = random_rotations(100, generator)
    torch.testing.assert_close(r @ r.mT, torch.eye(3).expand(100, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(100))


def test_random_rotations_are_haar(generator):
    r = random_rotations(20_000, generator)
    assert r.mean(0).abs().max() < 0.02
    # the angle's density is (1 - cos a) / pi, so that the mean of cos a is -1/2
    cosines = (r.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2
    assert float(cosines.mean()) == pytest.approx(-0.5, abs=0.02)
    assert float((r[:, 0, 0] ** 2).mean()) == pytest.approx(1 / 3, abs=0.01)


def test_random_rotations_follow_the_generator():
    first, second = (random_rotations(3, torch.Generator().manual_seed(7)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_framed_coordinates_do_not_see_rotations(generator, framed):
    x = points(generator)
    turned = torch.einsum("bij,bnj->bni", random_rotations(len(x), generator), x)
    torch.testing.assert_close(framed(turned), framed(x), atol=1e-5, rtol=0)


def test_framed_coordinates_tell_mirror_images_apart(generator, framed):
    x = points(generator)
    gaps = (framed(x * MIRROR) - framed(x)).abs().amax((1, 2))
    assert (gaps > 0.1).all()


def test_frames_ignore_padding(generator, framed):
    x = points(generator)
    padded = torch.cat([x, torch.full((len(x), 2, 3), 5.0)], dim=1)
    mask = torch.arange(padded.shape[1]).expand(len(x), -1) < x.shape[1]
    torch.testing.assert_close(framed(padded, mask)[:, : x.shape[1]], framed(x))


def test_ordered_frame_moves_little_with_its_points(generator):
    x = points(generator, b=500)
    mask = torch.ones(x.shape[:2], dtype=torch.bool)
    step = 1e-4 * points(generator, b=500)
    moved = ordered_frame(x + step, mask) - ordered_frame(x, mask)
    assert moved.abs().max() < 0.02


def test_ordered_axes_point_to_the_first_points():
    x = torch.tensor([[[2.0, 0, 0], [0, 1, 0], [-2, -1, 0]]])
    x = x - x.mean(1, keepdim=True)
    first, second, third = ordered_frame(x, torch.ones(1, 3, dtype=torch.bool))[0]
    assert x[0, 0] @ first > 1.5
    assert x[0, 1] @ second > 0.5
    torch.testing.assert_close(third.abs(), torch.tensor([0.0, 0, 1]))


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize("kind", ["single", "coincident", "collinear", "planar", "octahedral"])
def test_frames_of_degenerate_points_are_rotations(kind, frame):
    axes = torch.eye(3)
    x = {
        "single": torch.zeros(1, 3),
        "coincident": torch.zeros(4, 3),
        "collinear": torch.tensor([[-1.0, 1, 0], [0, 0, 0], [1, -1, 0]]),
        "planar": torch.tensor([[1.0, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]]),
        "octahedral": torch.cat([axes, -axes]),
    }[kind][None]
    found = frame(x, torch.ones(x.shape[:2], dtype=torch.bool))[0]
    torch.testing.assert_close(found @ found.T, axes, atol=1e-6, rtol=0)
    assert float(torch.linalg.det(found)) == pytest.approx(1.0, abs=1e-6)


def aligned_rmsd(a, b):
    """Root mean squared distance of [n, 3] from [n, 3] after the best proper motion."""
    a, b = a - a.mean(0), b - b.mean(0)
    moved = b @ superposition(a, b).T
    return float(np.sqrt(np.square(a - moved).sum(1).mean()))


def test_aligned_rmsd_of_moved_points_is_zero(generator):
    x = points(generator)[0]
    moved = x @ random_rotations(1, generator)[0].T + torch.tensor([1.0, 2.0, 3.0])
    assert aligned_rmsd(x.numpy(), moved.numpy()) == pytest.approx(0.0, abs=1e-6)


def test_aligned_rmsd_allows_no_reflection(generator):
    x = points(generator)[0]
    assert aligned_rmsd(x.numpy(), (x * MIRROR).numpy()) > 0.1


def test_aligned_rmsd_of_a_stretched_pair():
    pair = np.array([[-1.0, 0, 0], [1, 0, 0]])
    assert aligned_rmsd(pair, 1.5 * pair) == pytest.approx(0.5)
