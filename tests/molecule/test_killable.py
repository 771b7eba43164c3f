import os
import time

from unite_molecule.killable import attempt


def fragile(item: int) -> int:
    """Hangs on 1, crashes on 2."""
    if item == 1:
        time.sleep(60)
    if item == 2:
        os._exit(1)
    return 10 * item


def test_hanging_and_crashing_items_cost_only_themselves():
    started = time.monotonic()
    assert attempt(fragile, [0, 1, 2, 3, 4], 0.5) == [0, None, None, 30, 40]
    assert time.monotonic() - started < 10


def test_nothing_to_do():
    assert attempt(fragile, [], 0.5) == []
