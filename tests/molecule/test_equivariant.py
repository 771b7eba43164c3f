import pytest
import torch
from unite_molecule.config import StemConfig
from unite_molecule.equivariant import PARALLEL, EquivariantAtoms, frame_of
from unite_molecule.geometry import random_rotations

SMILES = ("C[C@H](N)C(=O)O", "NC=O", "Cc1ncoc1F")


@pytest.fixture
def tokenizer():
    torch.manual_seed(0)
    return EquivariantAtoms(16, StemConfig(random_frames=0.0))


@pytest.fixture
def spare():
    return random_rotations(64, torch.Generator().manual_seed(1))


def assert_rotations(r):
    torch.testing.assert_close(r @ r.mT, torch.eye(3).expand_as(r), atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(len(r)), atol=1e-5, rtol=0)


def vectors(seed):
    return torch.randn(64, 3, generator=torch.Generator().manual_seed(seed))


def test_frame_follows_its_vectors(spare):
    first, second = vectors(2), vectors(3)
    frame = frame_of(first, second, spare)
    assert_rotations(frame)
    along, across = (torch.einsum("bij,bj->bi", frame, v) for v in (first, second))
    torch.testing.assert_close(along[:, 0], first.norm(dim=-1))
    assert along[:, 1:].abs().max() < 1e-5
    assert across[:, 2].abs().max() < 1e-5
    assert (across[:, 1] > 0).all()


def test_frame_turns_with_its_vectors(spare):
    first, second = vectors(2), vectors(3)
    turned = frame_of(*(torch.einsum("bij,bj->bi", spare, v) for v in (first, second)), spare)
    torch.testing.assert_close(turned, frame_of(first, second, spare) @ spare.mT, atol=1e-4, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 0.9 * PARALLEL, torch.pi - 0.9 * PARALLEL])
def test_parallel_vectors_are_completed_by_the_spare(angle, spare):
    axes = random_rotations(64, torch.Generator().manual_seed(4))
    angle = torch.tensor(angle)
    first, second = axes[:, 0], axes[:, 0] * angle.cos() + axes[:, 1] * angle.sin()
    frame = frame_of(first, 3 * second, spare)
    assert_rotations(frame)
    torch.testing.assert_close(frame[:, 0], first)
    assert (frame - frame_of(first, second, spare.roll(1, 0))).abs().amax((1, 2)).min() > 1e-3


def test_vectors_just_apart_need_no_spare(spare):
    axes = random_rotations(64, torch.Generator().manual_seed(4))
    angle = torch.tensor(1.1 * PARALLEL)
    frame = frame_of(axes[:, 0], axes[:, 0] * angle.cos() + axes[:, 1] * angle.sin(), spare)
    torch.testing.assert_close(frame, axes, atol=1e-4, rtol=0)


def test_vanishing_vectors_give_the_spare(spare):
    nothing = torch.zeros(64, 3)
    assert_rotations(frame_of(nothing, nothing, spare))
    torch.testing.assert_close(frame_of(nothing, nothing, spare)[:, 0], spare[:, 0])


def test_gradient_of_a_degenerate_frame_is_finite(spare):
    first = torch.cat([torch.zeros(32, 3), vectors(2)[:32]]).requires_grad_()
    second = torch.zeros(64, 3, requires_grad=True)
    frame_of(first, second, spare)[:, 1, 0].sum().backward()
    assert first.grad.isfinite().all()
    assert second.grad.isfinite().all()


def test_degenerate_frames_are_random_in_training_alone(tokenizer, batch_of):
    batch = batch_of("O=C=O")
    drawn = torch.stack([tokenizer(batch).context.frame.rotation[0] for _ in range(8)])
    assert_rotations(drawn)
    assert drawn[:, 1].std(0).max() > 0.1
    tokenizer.eval()
    first, second = (tokenizer(batch).context.frame.rotation for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_learned_frames_are_not_random(tokenizer, batch_of):
    batch = batch_of(*SMILES)
    first, second = (tokenizer(batch).context.frame.rotation for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)
    trained = tokenizer.eval()(batch).context.frame.rotation
    torch.testing.assert_close(first, trained, atol=0, rtol=0)


def test_the_stated_share_gets_random_frames(batch_of):
    torch.manual_seed(0)
    tokenizer = EquivariantAtoms(16, StemConfig(random_frames=0.25))
    batch = batch_of(*["NC=O"] * 400)
    learned = tokenizer.eval()(batch).context.frame.rotation
    drawn = tokenizer.train()(batch).context.frame.rotation
    share = ((drawn - learned).abs().amax((1, 2)) > 1e-3).float().mean()
    assert float(share) == pytest.approx(0.25, abs=0.08)


def test_equivalent_atoms_still_give_a_frame(tokenizer, batch_of):
    """Benzene's atoms differ by their index alone."""
    tokenizer.eval()
    pooled = tokenizer.axes(tokenizer.stem(batch_of("c1ccccc1"))).sum(1)[0]
    first, second = pooled.split(3)
    sine = torch.linalg.cross(first, second).norm() / (first.norm() * second.norm())
    assert sine > PARALLEL


def test_the_frame_is_learned(tokenizer, batch_of):
    tokens = tokenizer(batch_of(*SMILES))
    weights = torch.randn(tokens.context.target.coordinates.shape)
    (tokens.context.target.coordinates * weights).sum().backward()
    for name, parameter in (*tokenizer.axes.named_parameters(), *tokenizer.stem.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert tokenizer.stem.element.weight.grad.abs().max() > 0


def test_autocast_does_not_bend_the_frame(tokenizer, batch_of):
    batch = batch_of(*SMILES)
    exact = tokenizer.eval()(batch).context.frame.rotation
    with torch.autocast("cpu", torch.bfloat16):
        frame = tokenizer(batch).context.frame.rotation
    torch.testing.assert_close(frame, exact, atol=1e-5, rtol=0)
