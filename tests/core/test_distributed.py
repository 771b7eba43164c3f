"""Two processes compute what one would."""

import json
from pathlib import Path

import pytest
import torch
from core import distributed_worker
from core.two_processes import run_twice
from toy_modality import ToyDataset
from unite_core.batching import NOISE, BatchPlan, Share, derive_seed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two gloo processes wrote."""
    output = tmp_path_factory.mktemp("two")
    run_twice([distributed_worker.__file__, str(output)])
    return output


def first_update() -> tuple[dict[str, torch.Tensor], float]:
    """Gradients and loss, means over both ranks, one after the other in this process."""
    objective = distributed_worker.toy_objective()
    config = distributed_worker.CONFIG
    loss = 0.0
    for rank in range(2):
        plan = BatchPlan(ToyDataset(64, 5), config.batch_size, config.seed, Share(2, rank, 2))
        for piece in range(2):
            torch.manual_seed(derive_seed(config.seed, NOISE, 0, piece, rank))
            part = objective(plan[piece]).total / 4
            part.backward()
            loss += float(part.detach())
    gradients = {n: p.grad for n, p in objective.named_parameters() if p.grad is not None}
    return gradients, loss


def test_gradients_equal_those_of_one_process(two_processes: Path) -> None:
    expected, _ = first_update()
    assert "model.encoder.blocks.0.attention.qkv.weight" in expected
    for rank in range(2):
        found = torch.load(two_processes / f"gradients-{rank}.pt")
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_the_log_has_the_mean_over_processes(two_processes: Path) -> None:
    first = json.loads((two_processes / "run" / "log.jsonl").read_text().splitlines()[0])
    assert first["step"] == 1
    assert first["loss"] == pytest.approx(first_update()[1], rel=1e-5)


def test_weights_stay_the_same_on_all_ranks(two_processes: Path) -> None:
    first, second = (torch.load(two_processes / f"weights-{rank}.pt") for rank in range(2))
    start = distributed_worker.toy_objective().model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], start[name]) for name in first)
