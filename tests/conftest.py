import os
from collections.abc import Iterator

import jaxtyping
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # a worker has a core: threads that outnumber the cores wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if "UNITE_TEST_GPU" not in os.environ:
    # tests compare with what a CPU computes; test_gpu.py alone is for GPUs
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Shapes are not checked inside: the checks break the graphs of torch.compile."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
