import numpy as np
import pytest
import torch
from unite_molecule.geometry import aligned_rmsd, inertial_frame, random_rotations

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def points(generator: torch.Generator, b: int = 6, n: int = 9) -> torch.Tensor:
    x = torch.randn(b, n, 3, generator=generator)
    return x - x.mean(1, keepdim=True)


def framed(x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    mask = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
    return torch.einsum("bij,bnj->bni", inertial_frame(x, mask, mask.to(x.dtype)), x)


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


def test_inertial_coordinates_do_not_see_rotations(generator):
    x = points(generator)
    turned = torch.einsum("bij,bnj->bni", random_rotations(len(x), generator), x)
    torch.testing.assert_close(framed(turned), framed(x), atol=1e-5, rtol=0)


def test_inertial_coordinates_tell_mirror_images_apart(generator):
    x = points(generator)
    gaps = (framed(x * MIRROR) - framed(x)).abs().amax((1, 2))
    assert (gaps > 0.1).all()


def test_inertial_frame_ignores_padding(generator):
    x = points(generator)
    padded = torch.cat([x, torch.full((len(x), 2, 3), 5.0)], dim=1)
    mask = torch.arange(padded.shape[1]).expand(len(x), -1) < x.shape[1]
    torch.testing.assert_close(framed(padded, mask)[:, : x.shape[1]], framed(x))


@pytest.mark.parametrize("kind", ["single", "coincident", "collinear", "planar", "octahedral"])
def test_inertial_frame_of_degenerate_points_is_a_rotation(kind):
    axes = torch.eye(3)
    x = {
        "single": torch.zeros(1, 3),
        "coincident": torch.zeros(4, 3),
        "collinear": torch.tensor([[-1.0, 1, 0], [0, 0, 0], [1, -1, 0]]),
        "planar": torch.tensor([[1.0, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0]]),
        "octahedral": torch.cat([axes, -axes]),
    }[kind][None]
    frame = inertial_frame(x, torch.ones(x.shape[:2], dtype=torch.bool), torch.ones(x.shape[:2]))[0]
    torch.testing.assert_close(frame @ frame.T, axes, atol=1e-6, rtol=0)
    assert float(torch.linalg.det(frame)) == pytest.approx(1.0, abs=1e-6)


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
