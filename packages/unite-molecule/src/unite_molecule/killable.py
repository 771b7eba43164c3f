"""Runs a function that may hang or crash on many items, in processes that are killed then."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

PATIENCE = 10.0
"""How many times its processor time a task may last, for those that wait in vain."""

# a forked worker has its libraries loaded, and needs no guard around the user's main module
CONTEXT = multiprocessing.get_context("fork")


def follow(parent: int) -> None:
    """Ends this process soon after `parent`, even where that is killed and cannot say so."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def serve(
    task: Callable[[Item], Result], connection: Connection, seconds: float, parent: int
) -> None:
    """A worker's life: items in, results out."""
    follow(parent)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    while True:
        try:
            item = connection.recv()
        except EOFError:
            return
        signal.setitimer(signal.ITIMER_PROF, seconds)
        # a task that hangs may stop the thread that follows, and then nobody is left to kill us
        signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE * seconds)
        connection.send(task(item))
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0.0)


class Worker(Generic[Item, Result]):
    """A process with at most one item in hand."""

    def __init__(self, task: Callable[[Item], Result], seconds: float) -> None:
        self.task, self.seconds = task, seconds
        self.row, self.deadline = -1, 0.0
        self.start()

    def start(self) -> None:
        """A fresh process and our end of its pipe."""
        self.connection, theirs = CONTEXT.Pipe()
        life = (self.task, theirs, self.seconds, os.getpid())
        self.process = CONTEXT.Process(target=serve, args=life, daemon=True)
        self.process.start()
        theirs.close()

    def give(self, row: int, item: Item) -> None:
        """Starts on an item."""
        self.row, self.deadline = row, time.monotonic() + PATIENCE * self.seconds
        self.connection.send(item)

    def result(self) -> Result | None:
        """Of the item in hand; None where there is no answer in time or the process died."""
        try:
            if self.connection.poll():
                answer: Result = self.connection.recv()
                return answer
        except (EOFError, ConnectionError):
            pass  # it crashed: no answer, as when it hangs
        self.stop()
        self.start()
        return None

    def stop(self) -> None:
        """Ends the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def own_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def attempt(
    task: Callable[[Item], Result], items: Sequence[Item], seconds: float
) -> list[Result | None]:
    """task(item) of each item, on every core that is ours; None where that crashes or takes over
    `seconds` of a processor's time, so that other work on the machine does not decide.
    """
    results: list[Result | None] = [None] * len(items)
    waiting = iter(enumerate(items))
    count = min(own_cores(), len(items))
    idle = [Worker(task, seconds) for _ in range(count)]
    busy: list[Worker[Item, Result]] = []
    try:
        while True:
            while idle and (given := next(waiting, None)):
                busy.append(idle.pop())
                busy[-1].give(*given)
            if not busy:
                return results
            left = min(worker.deadline for worker in busy) - time.monotonic()
            answered = wait([worker.connection for worker in busy], max(left, 0.0))
            now = time.monotonic()
            for worker in list(busy):
                if worker.connection in answered or now >= worker.deadline:
                    results[worker.row] = worker.result()
                    busy.remove(worker)
                    idle.append(worker)
    finally:
        for worker in idle + busy:
            worker.stop()
