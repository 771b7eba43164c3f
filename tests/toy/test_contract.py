"""The toy modality keeps the contract."""

from unite_core.testing import ModalityContract


class TestToy(ModalityContract):
    recipe = "toy-small"
    overrides = ("optimizer.learning_rate=0.02",)
    test_two_processes_have_the_gradients_of_one = None  # core/test_distributed.py has more of it
