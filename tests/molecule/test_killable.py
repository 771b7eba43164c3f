"""Tasks that hang or crash, and workers whose parent is killed."""

import os
import subprocess
import sys
import time

from unite_molecule.killable import attempt


def fragile(item: int) -> int:
    """Waits on 1, crashes on 2, computes without end on 3."""
    if item == 1:
        time.sleep(60)
    if item == 2:
        os._exit(1)
    while item == 3:
        pass
    return 10 * item


def test_hanging_and_crashing_items_cost_only_themselves():
    started = time.monotonic()
    assert attempt(fragile, [0, 1, 2, 3, 4], 0.3) == [0, None, None, None, 40]
    assert time.monotonic() - started < 10


def slow(item: int) -> int:
    time.sleep(1.0)
    return item


def test_time_that_others_take_does_not_count():
    assert attempt(slow, [5], 0.3) == [5]


def test_nothing_to_do():
    assert attempt(fragile, [], 0.5) == []


ORPHANS = """
import ctypes, os, time
from unite_molecule.killable import attempt

def task(item):
    os.write(1, b"works\\n")  # at once: prints of two workers may mix
    if item:
        ctypes.PyDLL(None).sleep(60)  # as code that never gives other threads their turn
    time.sleep(0.1)

attempt(task, [0, 1], 0.4)
"""


def test_workers_do_not_outlive_a_killed_parent():
    command = [sys.executable, "-c", ORPHANS]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout.readline() == parent.stdout.readline() == b"works\n"
        parent.kill()
        parent.communicate(timeout=20)  # ends once nobody holds the pipe, workers included
