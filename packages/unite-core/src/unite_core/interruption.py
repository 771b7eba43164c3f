"""How a run is stopped from outside, and kept from sharing its directory with another run."""

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from unite_core.errors import ConfigurationError, StorageError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
EXIT_CODE = 143


class StopRequest:
    """Set by the first signal; the second ends the process at once, but not under torchrun.

    torchrun passes on to its ranks what they may have got already: one request comes twice. It
    kills those that have not ended 30 s later.
    """

    def __init__(self) -> None:
        self.requested = False
        self.launched = "TORCHELASTIC_RUN_ID" in os.environ

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.requested and not self.launched:
            os._exit(EXIT_CODE)
        self.requested = True


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Inside, SIGTERM, SIGINT and SIGUSR1 only ask for a stop."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def outlive_signals(worker: int) -> None:
    """For data workers: of SIGNALS they obey those alone that the trainer itself sends.

    A scheduler signals every process of a run; the trainer needs its workers to finish the step.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_obey_parent, daemon=True).start()


def _obey_parent() -> None:
    while signal.sigwaitinfo(SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Makes `directory` and holds it for this process; the lock goes with the process.

    StorageError where it cannot be written or locked, ConfigurationError where another run holds
    it.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / ".lock").open("w")
    except OSError as error:
        raise StorageError(f"cannot write to output {directory}: {error}") from error
    with file:
        try:
            # lockf, not flock: data workers do not inherit it and so cannot outlive the run with it
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise StorageError(
                    f"the file system cannot lock {file.name}: {error}; choose an --output on "
                    "another"
                ) from error
            raise ConfigurationError(
                f"another run is using {directory}: wait for it, or choose another --output"
            ) from error
        yield
