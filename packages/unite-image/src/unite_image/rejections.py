"""Goes through the images of a source, and counts those that cannot be used by their reason."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from unite_image.decoding import Rejected
from unite_image.records import Record
from unite_image.store import chunks

EXAMPLES = 3
"""Names that are kept for each reason."""

T = TypeVar("T")


@dataclass(frozen=True)
class Rejections:
    """How many images were rejected for each reason, and the names of the first few."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, name: str) -> None:
        """Counts one."""
        self.counts[reason] = self.counts.get(reason, 0) + 1
        names = self.examples.setdefault(reason, [])
        if len(names) < EXAMPLES:
            names.append(name)

    @property
    def total(self) -> int:
        """Number of rejected images."""
        return sum(self.counts.values())

    def __str__(self) -> str:
        """A line for each reason, the most frequent first."""
        lines = [
            f"  {count:,} {reason}: {', '.join(self.examples[reason])}"
            for reason, count in sorted(self.counts.items(), key=lambda item: -item[1])
        ]
        return "\n".join(lines)


def usable(
    records: Iterator[Record], use: Callable[[Record], T], rejections: Rejections
) -> Iterator[T]:
    """`use` of each record in order, several at a time; those that it rejects are counted."""

    def attempt(record: Record) -> T | Rejected:
        try:
            return use(record)
        except Rejected as reason:
            return reason

    with ThreadPoolExecutor() as pool:  # Pillow lets other threads run while it works
        for piece in chunks(records):
            for record, outcome in zip(piece, pool.map(attempt, piece), strict=True):
                if isinstance(outcome, Rejected):
                    rejections.add(str(outcome), record.name)
                else:
                    yield outcome
