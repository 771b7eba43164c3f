"""Frames, and what tokenizers make of a molecule that was moved, mirrored or padded."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from unite_molecule.atoms import (
    AugmentedAtoms,
    Frame,
    InertialAtoms,
    OrderedAtoms,
    PositionEmbedding,
    TokenEmbedding,
    centred,
    centroid,
    height,
    in_order,
)
from unite_molecule.config import StemConfig
from unite_molecule.equivariant import EquivariantAtoms
from unite_molecule.geometry import random_rotations

SMILES = ("C[C@H](N)C(=O)O", "NC=O", "Cc1ncoc1F")
MIRROR = torch.diag(torch.tensor([-1.0, 1, 1]))
LINEAR = ("C#N", "O=C=O", "C#CC#N")

INVARIANT = {
    "inertial": lambda: InertialAtoms(16),
    "ordered": lambda: OrderedAtoms(16),
    "equivariant": lambda: EquivariantAtoms(16, StemConfig()),
}


@pytest.fixture(params=INVARIANT)
def tokenizer(request):
    torch.manual_seed(1)
    return INVARIANT[request.param]().eval()


def turned(count):
    return random_rotations(count, torch.Generator().manual_seed(2))


def assert_rotations(r, atol=1e-5):
    torch.testing.assert_close(r @ r.mT, torch.eye(3).expand_as(r), atol=atol, rtol=0)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(len(r)), atol=atol, rtol=0)


def test_leaving_a_frame_undoes_entering_it(batch_of):
    batch = batch_of(*SMILES)
    frame = Frame(turned(3), centroid(batch))
    back = frame.leave(frame.enter(batch))
    torch.testing.assert_close(back.coordinates, batch.coordinates, atol=1e-5, rtol=0)
    torch.testing.assert_close(in_order(back), in_order(batch), atol=1e-5, rtol=0)


def test_centroids_are_moved_to_the_origin(batch_of):
    still = centred(batch_of(*SMILES))
    assert centroid(still).abs().max() < 1e-5
    assert not still.coordinates[~still.mask].any()


def test_autocast_does_not_round_the_target(batch_of):
    batch = batch_of(*SMILES)
    exact = InertialAtoms(16)(batch).context.target
    with torch.autocast("cpu", torch.bfloat16):
        target = InertialAtoms(16)(batch).context.target
    torch.testing.assert_close(target.coordinates, exact.coordinates, atol=1e-5, rtol=0)
    assert target.offsets.dtype == torch.float32


def test_autocast_does_not_round_positions():
    """Bfloat16 knows no number between 3 and 3.015."""
    embedding = PositionEmbedding(64)
    near, far = torch.tensor([3.0, 0, 0]), torch.tensor([3.007, 0, 0])
    assert torch.equal(near.bfloat16(), far.bfloat16())
    with torch.autocast("cpu", torch.bfloat16):
        assert not torch.equal(embedding(near), embedding(far))


def test_augmentation_is_for_training_alone(batch_of):
    batch, tokenizer = batch_of(*SMILES), AugmentedAtoms(16)
    first, second = (tokenizer(batch).context.frame.rotation for _ in range(2))
    assert_rotations(first)
    assert (first - second).abs().amax((1, 2)).min() > 0.01
    still = tokenizer.eval()(batch).context.frame.rotation
    torch.testing.assert_close(still, torch.eye(3).expand(3, 3, 3))


def test_tokens_do_not_see_motion(tokenizer, batch_of, moved):
    batch, r = batch_of(*SMILES), turned(3)
    before, after = tokenizer(batch), tokenizer(moved(batch, r, 4.0))
    torch.testing.assert_close(after.x, before.x, atol=1e-4, rtol=0)
    frame = before.context.frame.rotation @ r.mT
    torch.testing.assert_close(after.context.frame.rotation, frame, atol=1e-4, rtol=0)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("kind", INVARIANT)
def test_tokens_do_not_see_motion_in_double_precision(kind, batch_of, moved):
    torch.manual_seed(1)
    tokenizer, batch = INVARIANT[kind]().eval(), batch_of(*SMILES)
    batch = replace(batch, coordinates=batch.coordinates.double(), offsets=batch.offsets.double())
    before, after = tokenizer(batch), tokenizer(moved(batch, turned(3), 4.0))
    torch.testing.assert_close(after.x, before.x, atol=1e-9, rtol=0)


def test_mirror_images_are_told_apart(tokenizer, batch_of, moved):
    batch = batch_of("C[C@H](N)C(=O)O")
    gap = (tokenizer(moved(batch, MIRROR)).x - tokenizer(batch).x).abs().max()
    assert gap > 1e-2


def test_hydrogens_of_a_token_are_a_set(tokenizer, batch_of):
    batch = batch_of("CC(C)=O")
    three = int((batch.hydrogens[0] == 3).nonzero()[0, 0])
    swapped = batch.offsets.clone()
    swapped[0, three, :3] = batch.offsets[0, three, [2, 0, 1]]
    before, after = tokenizer(batch), tokenizer(replace(batch, offsets=swapped))
    torch.testing.assert_close(after.x, before.x, atol=1e-5, rtol=0)


@pytest.mark.parametrize("smiles", ["CC(C)=O", "CCN", "C", "[NH4+]"])
def test_hydrogens_of_a_token_have_one_order(smiles, batch_of):
    """Whatever order they come in; from the highest down, three or more turning left."""
    batch = batch_of(smiles)
    expected = in_order(batch)
    for order in permutations(range(4)):
        shuffled = batch.offsets[:, :, list(order)]
        empty = (~shuffled.any(-1)).long().argsort(dim=-1, stable=True)
        empty_last = shuffled.take_along_dim(empty[..., None], dim=2)
        found = in_order(replace(batch, offsets=empty_last))
        torch.testing.assert_close(found, expected, atol=0, rtol=0)
    heights = expected @ height(expected)
    held = batch.hydrogens > 1
    assert (heights[held][:, :1] >= heights[held].where(batch.filled[held], -9)).all()
    handed = torch.linalg.det(expected[..., :3, :])
    assert (handed[batch.hydrogens > 2] > 0.1).all()
    assert (batch.hydrogens > 1).any()


def test_autocast_does_not_change_the_order(batch_of):
    """Heights of 4.5 and 4.51 are one number in bfloat16."""
    batch = batch_of("CCN")
    two = int((batch.hydrogens[0] == 2).nonzero()[0, 0])
    offsets = batch.offsets.clone()
    offsets[0, two, 0], offsets[0, two, 1] = torch.tensor([[0, 0, 1.5], [0, 0.005, 1.5]])
    close = replace(batch, offsets=offsets)
    with torch.autocast("cpu", torch.bfloat16):
        found = in_order(close)
    torch.testing.assert_close(found, in_order(close), atol=0, rtol=0)
    torch.testing.assert_close(found[0, two, 0], offsets[0, two, 1], atol=0, rtol=0)


def test_the_place_of_a_hydrogen_is_embedded(batch_of):
    """Latents must carry the order: without it two would stand for one."""
    batch, embedding = batch_of("CCN"), TokenEmbedding(16)
    pair = batch.offsets.clone()
    two = int((batch.hydrogens[0] == 2).nonzero()[0, 0])
    pair[0, two, :2] = batch.offsets[0, two, [1, 0]]
    assert (embedding(batch) - embedding(replace(batch, offsets=pair))).abs().max() > 1e-2


def test_padding_and_mates_change_nothing(tokenizer, batch_of):
    together = tokenizer(batch_of(*SMILES, multiple=11))
    for row, smiles in enumerate(SMILES):
        alone = tokenizer(batch_of(smiles))
        n = alone.x.shape[1]
        torch.testing.assert_close(together.x[row, :n], alone.x[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("smiles", LINEAR)
def test_linear_molecules_have_a_frame(tokenizer, smiles, batch_of, moved):
    """Any frame along the axis gives the same tokens."""
    batch, r = batch_of(smiles), turned(1)
    before, after = tokenizer(batch), tokenizer(moved(batch, r))
    assert_rotations(before.context.frame.rotation)
    x, y = (tokens.context.target.coordinates for tokens in (before, after))
    torch.testing.assert_close(y, x, atol=1e-3, rtol=0)


@pytest.mark.parametrize("smiles", ["C", "O", "N"])
@pytest.mark.parametrize("training", [True, False])
def test_a_single_token_has_a_frame(tokenizer, smiles, training, batch_of):
    tokens = tokenizer.train(training)(batch_of(smiles))
    assert_rotations(tokens.context.frame.rotation)
    assert tokens.x.isfinite().all()
