"""Gives spoilt files to the readers: each must be read, rejected in part, or refused by name."""

import argparse
import resource
import sys
import tempfile
import traceback
from collections import Counter
from functools import partial
from pathlib import Path

from readers import READERS, Reader
from unite_core.errors import UniteError
from unite_molecule.killable import attempt

FAILED = "FAILED"


def peak_gigabytes() -> float:
    """The most memory that this process has had."""
    kilobyte = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilobyte / 1e9


def verdict(reader: Reader, content: bytes) -> str:
    """What a reader makes of a file; starts with FAILED where it raises what it should not."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"case{reader.ending}")
        path.write_bytes(content)
        try:
            rejected = reader.read(path)
        except UniteError as error:
            return f"refused: {type(error).__name__}"
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return f"{FAILED}: {type(error).__name__} in {Path(last.filename).name}"
    return "rejected in part" if any(rejected.values()) else "read"


def judge(name: str, seed: int, gigabytes: float, number: int) -> str:
    """The verdict on a numbered case, which also fails where it takes too much memory."""
    before = peak_gigabytes()
    said = verdict(READERS[name], READERS[name].case(seed, number))
    after = peak_gigabytes()
    return f"{FAILED}: {after:.1f} GB, {said}" if after > max(before, gigabytes) else said


def run(name: str, cases: int, seed: int, seconds: float, gigabytes: float) -> list[str]:
    """The verdict on each case. Cases are in processes of their own, so that none can end this."""
    READERS[name].case(seed, 0)  # makes the whole files, before the processes are forked
    said = attempt(partial(judge, name, seed, gigabytes), range(cases), seconds)
    return [f"{FAILED}: crashed, or took {seconds:g} s" if one is None else one for one in said]


def report(name: str, said: list[str]) -> dict[str, int | str]:
    """A row of figures; on stderr, the first cases of each failure."""
    for kind in sorted({one for one in said if one.startswith(FAILED)}):
        numbers = [number for number, one in enumerate(said) if one == kind]
        print(f"{name}: {kind}: {len(numbers)} cases, as {numbers[:5]}", file=sys.stderr)
    counts = Counter(one.partition(":")[0] for one in said)
    kinds = ("read", "rejected in part", "refused", FAILED)
    return {"reader": name, "cases": len(said), **{kind: counts[kind] for kind in kinds}}


def show(name: str, seed: int, number: int) -> None:
    """Reads one case in this process, with the whole traceback of what it raises."""
    content = READERS[name].case(seed, number)
    path = Path(f"{name}-{number}{READERS[name].ending}")
    path.write_bytes(content)
    print(f"wrote {path}")
    print(dict(READERS[name].read(path)) or "read")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*", default=list(READERS), help=", ".join(READERS))
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for a case")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="memory for a case")
    parser.add_argument("--show", type=int, metavar="NUMBER", help="one case, to look into it")
    parser.add_argument("--publish", action="store_true", help="write the figures to results/")
    given = parser.parse_args()
    limits = {"seconds": given.seconds, "gigabytes": given.gigabytes}
    if given.show is not None:
        show(given.readers[0], given.seed, given.show)
        return
    rows = [report(name, run(name, given.cases, given.seed, **limits)) for name in given.readers]
    if given.publish:
        from environment import publish  # imports torch

        publish("fuzz", rows, seed=given.seed, **limits)
    for row in rows:
        print(*(f"{key} {value}" for key, value in row.items()), sep="  ")
    if any(row[FAILED] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
