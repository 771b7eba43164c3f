"""Which samples each update sees: a pure function of seed and step, so that resuming is exact."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from unite_core.errors import ConfigurationError
from unite_core.modality import Dataset
from unite_core.types import Batch

# Streams of random numbers that must not coincide, though made of the same run seed.
PLAN, AUGMENTATION, NOISE = 1, 2, 3


def derive_seed(seed: int, stream: int, *keys: int) -> int:
    """A 63-bit seed that depends on all arguments."""
    state = np.random.SeedSequence([stream, *keys, seed]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def epoch_batches(sizes: np.ndarray, batch_size: int, seed: int, epoch: int) -> np.ndarray:
    """Sample indices [batches, batch_size] of one epoch, samples of near-equal `sizes` together.

    Batches come in random order. The remainder, len(sizes) modulo batch_size samples drawn anew
    each epoch, sits the epoch out.
    """
    rng = np.random.default_rng(derive_seed(seed, PLAN, epoch))
    kept = rng.permutation(len(sizes))[: len(sizes) - len(sizes) % batch_size]
    by_size = kept[np.argsort(sizes[kept], kind="stable")]
    batches = by_size.reshape(-1, batch_size)
    return batches[rng.permutation(len(batches))]


@dataclass(frozen=True)
class Share:
    """The part of every update's batch that one process takes, in `accumulation` pieces."""

    accumulation: int = 1
    rank: int = 0
    world_size: int = 1

    def of(self, indices: np.ndarray) -> np.ndarray:
        """This rank's pieces [accumulation, samples] of an update's indices [batch_size]."""
        return indices.reshape(self.accumulation, self.world_size, -1)[:, self.rank]


class BatchPlan(TorchDataset[Batch]):
    """The run's batches by position: piece k of update s is item s * accumulation + k.

    Raises ConfigurationError where the batch size cannot be divided or the data fill no batch.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int, share: Share) -> None:
        pieces = share.accumulation * share.world_size
        if batch_size % pieces:
            raise ConfigurationError(
                f"training.batch_size {batch_size} does not divide into accumulation "
                f"{share.accumulation} x {share.world_size} processes: use a multiple of {pieces}"
            )
        if len(dataset) < batch_size:
            raise ConfigurationError(
                f"training.batch_size {batch_size} is more than the {len(dataset)} training "
                f"samples: use at most {len(dataset)}"
            )
        self.dataset = dataset
        self.batch_size = batch_size
        self.seed = seed
        self.share = share
        self.epoch_length = len(dataset) // batch_size
        self._epoch, self._batches = -1, np.empty(0)

    def update_indices(self, step: int) -> np.ndarray:
        """Samples [batch_size] of update `step`, over all processes."""
        epoch, place = divmod(step, self.epoch_length)
        if epoch != self._epoch:
            sizes = self.dataset.sizes
            self._epoch = epoch
            self._batches = epoch_batches(sizes, self.batch_size, self.seed, epoch)
        indices: np.ndarray = self._batches[place]
        return indices

    def __getitem__(self, position: int) -> Batch:
        step, piece = divmod(position, self.share.accumulation)
        augmentation = derive_seed(self.seed, AUGMENTATION, step // self.epoch_length)
        return self.dataset.batch(self.share.of(self.update_indices(step))[piece], augmentation)


def load_batches(
    plan: BatchPlan, start: int, stop: int, workers: int, in_worker: Callable[[int], None]
) -> Iterator[Any]:
    """Pieces of updates start..stop-1 in order, the same whatever the number of `workers`.

    Each worker process begins with `in_worker(its number)`.
    """
    accumulation = plan.share.accumulation
    return iter(
        DataLoader(
            plan,
            batch_size=None,
            sampler=range(start * accumulation, stop * accumulation),
            num_workers=workers,
            worker_init_fn=in_worker,
            collate_fn=_unchanged,
        )
    )


def _unchanged(batch: Any) -> Any:
    return batch
