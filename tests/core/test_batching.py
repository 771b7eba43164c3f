"""Which samples each update sees."""

from itertools import pairwise

import numpy as np
import pytest
from toy_modality import ToyDataset
from unite_core.batching import BatchPlan, Share, derive_seed, epoch_batches, load_batches
from unite_core.errors import ConfigurationError
from unite_core.interruption import outlive_signals

SIZES = np.random.default_rng(0).integers(2, 10, 203)


def test_an_epoch_takes_each_sample_at_most_once() -> None:
    batches = epoch_batches(SIZES, 20, seed=0, epoch=0)
    assert batches.shape == (10, 20)
    assert len(np.unique(batches)) == 200


def test_batches_are_of_near_equal_size() -> None:
    """Sorted samples cut into batches: neighbouring batches share at most one size."""
    batches = epoch_batches(SIZES, 20, seed=0, epoch=0)
    ranges = sorted((SIZES[b].min(), SIZES[b].max()) for b in batches)
    assert all(high <= low for (_, high), (low, _) in pairwise(ranges))


def test_epochs_depend_on_seed_and_number_alone() -> None:
    first = epoch_batches(SIZES, 20, seed=3, epoch=1)
    assert np.array_equal(first, epoch_batches(SIZES, 20, seed=3, epoch=1))
    assert not np.array_equal(first, epoch_batches(SIZES, 20, seed=3, epoch=2))
    assert not np.array_equal(first, epoch_batches(SIZES, 20, seed=4, epoch=1))


def test_all_samples_get_their_turn() -> None:
    seen = {int(i) for epoch in range(4) for i in epoch_batches(SIZES, 20, 0, epoch).ravel()}
    assert seen == set(range(203))


@pytest.mark.parametrize(("accumulation", "world"), [(1, 4), (4, 1), (2, 3)])
def test_shares_partition_the_update(accumulation: int, world: int) -> None:
    indices = np.arange(24)
    pieces = [Share(accumulation, rank, world).of(indices) for rank in range(world)]
    assert all(piece.shape == (accumulation, 24 // accumulation // world) for piece in pieces)
    assert sorted(np.concatenate(pieces, axis=None)) == list(range(24))


def test_updates_are_the_same_for_any_world_size() -> None:
    data = ToyDataset(64, 5)
    alone = BatchPlan(data, 16, 0, Share())
    second = BatchPlan(data, 16, 0, Share(accumulation=2, rank=1, world_size=2))
    assert all(np.array_equal(alone.update_indices(s), second.update_indices(s)) for s in range(9))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_later_start_sees_the_same_batches(workers: int) -> None:
    def plan() -> BatchPlan:
        return BatchPlan(ToyDataset(64, 5), 16, 0, Share(accumulation=2))

    whole = list(load_batches(plan(), 0, 7, 0, outlive_signals))
    rest = list(load_batches(plan(), 3, 7, workers, outlive_signals))
    assert len(whole) == 14
    for a, b in zip(whole[6:], rest, strict=True):
        assert a.x.equal(b.x)


def test_streams_of_seeds_do_not_coincide() -> None:
    keys = [(seed, stream, key) for seed in (0, 1) for stream in (1, 2) for key in (0, 1)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="multiple of 6"):
        BatchPlan(ToyDataset(64, 5), 16, 0, Share(accumulation=2, rank=0, world_size=3))


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at most 8"):
        BatchPlan(ToyDataset(8, 5), 16, 0, Share())
