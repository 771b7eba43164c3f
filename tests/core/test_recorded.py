"""Which batches share a recording; test_gpu.py has what only a GPU can show."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from unite_core.errors import ConfigurationError
from unite_core.recorded import kind_of


@dataclass(frozen=True)
class Pair:
    x: Tensor
    label: Tensor | None


def test_a_kind_is_told_by_shapes_and_types() -> None:
    x, label = torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64)
    own = kind_of(Pair(x, label))
    assert own == kind_of(Pair(x + 1, label + 1))
    others = [Pair(x, None), Pair(x.T, label), Pair(x.double(), label), Pair(x, label[:1])]
    assert own not in {kind_of(other) for other in others}


@pytest.mark.parametrize("batch", [Pair(torch.zeros(2), 3), {"x": torch.zeros(2)}])  # type: ignore[arg-type]
def test_other_batches_are_told_the_remedy(batch: object) -> None:
    with pytest.raises(ConfigurationError, match=r"training\.cuda_graphs=false"):
        kind_of(batch)
