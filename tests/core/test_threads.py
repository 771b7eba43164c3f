"""Pieces of work are done at once, and leave no trace in torch's settings."""

import threading
from collections.abc import Iterator

import pytest
import torch
from unite_core.threads import spread

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_though_later_pieces_end_first() -> None:
    second_done = threading.Event()

    def work(piece: int) -> int:
        if piece == 0:
            assert second_done.wait(timeout=30), "the second piece waits for the first"
        if piece == 1:
            second_done.set()
        return piece * piece

    assert list(spread(work, range(5), CPU, False)) == [0, 1, 4, 9, 16]


def test_each_piece_has_one_thread_and_no_gradients() -> None:
    weight = torch.ones(2, requires_grad=True)

    def work(_: int) -> tuple[int, bool]:
        return torch.get_num_threads(), (weight * 2).requires_grad

    assert list(spread(work, range(4), CPU, False)) == [(1, False)] * 4
    assert list(spread(work, range(1), CPU, False)) == [(2, False)]
    assert list(spread(work, range(4), CPU, True)) == [(2, False)] * 4


def test_the_threads_are_given_back_after_success_and_failure() -> None:
    def fail(piece: int) -> int:
        raise ValueError(f"piece {piece}")

    list(spread(abs, range(3), CPU, False))
    assert torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="piece 0"):
        list(spread(fail, range(3), CPU, False))
    assert torch.get_num_threads() == 2
    assert torch.is_grad_enabled()
