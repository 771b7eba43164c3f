"""Ways to spoil a file."""

import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np

LARGEST = 1 << 18
"""Bytes of a spoilt file; what grows beyond is cut."""

WORDS = [
    *(b"nan", b"-inf", b"1e999", b"1.5*^-6", b"-1", b"0", b"00", b"999", b"1e-4", b"0x10", b"no"),
    *(b"2147483648", b"4294967295", b"99999999999999999999", b"9" * 5000, b"-" + b"9" * 400),
    *(b"", b" ", b"\n", b"\r\n", b"\t", b"\0", b"$$$$\n", b"M  END\n", b"---\n", b"\xff\xfe"),
    *(text.encode() for text in ("é", "\ufeff", "\u202e", "٣", "²", "🧪", "\u2028", "ﬀ")),
    *(b"&a ", b"*a", b"<<: ", b"!!python/object/apply:os.system ['true']", b"null", b"{}", b"- "),
]
"""What stands for a number, a name or nothing at all, where readers stumble."""

NUMBER = re.compile(rb"[0-9][0-9.]*")
OPENINGS = (b"[", b"{", b"(", b"{a: ", b"- ", b"- - ", b"'", b"a: &a [*a, ")
PNG = b"\x89PNG\r\n\x1a\n"

Mutation = Callable[[bytes, np.random.Generator, Sequence[bytes]], bytes]


def place(content: bytes, rng: np.random.Generator) -> int:
    """Somewhere in a file, its end included."""
    return int(rng.integers(len(content) + 1))


def span(content: bytes, rng: np.random.Generator) -> tuple[int, int]:
    """A piece of a file, mostly a short one."""
    start = place(content, rng)
    return start, start + int(2 ** rng.uniform(0, 10))


def flip_bits(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Up to thirty bits."""
    spoilt = bytearray(content)
    for at in rng.integers(len(spoilt), size=int(rng.integers(1, 31))) if spoilt else ():
        spoilt[at] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def truncate(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """The beginning alone."""
    return content[: place(content, rng)]


def remove(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A piece is missing."""
    start, end = span(content, rng)
    return content[:start] + content[end:]


def repeat(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A piece stands there up to a thousand times."""
    start, end = span(content, rng)
    return content[:end] + content[start:end] * int(10 ** rng.uniform(0, 3)) + content[end:]


def splice(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A piece of another file in place of one of this."""
    other = others[int(rng.integers(len(others)))]
    (start, end), (first, last) = span(content, rng), span(other, rng)
    return content[:start] + other[first:last] + content[end:]


def insert_word(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """A word that readers stumble over, somewhere."""
    at = place(content, rng)
    return content[:at] + WORDS[int(rng.integers(len(WORDS)))] + content[at:]


def replace_number(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Such a word in place of a number that is written out."""
    numbers = list(NUMBER.finditer(content))
    if not numbers:
        return insert_word(content, rng, others)
    start, end = numbers[int(rng.integers(len(numbers)))].span()
    return content[:start] + WORDS[int(rng.integers(len(WORDS)))] + content[end:]


def write_integer(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Bytes of an extreme count."""
    at, width = place(content, rng), int(rng.choice([1, 2, 4, 8]))
    extreme = int(rng.choice([0, 1, 2 ** (8 * width - 1) - 1, -1])) % 256**width
    order = "little" if rng.random() < 0.5 else "big"
    return content[:at] + extreme.to_bytes(width, order) + content[at + width :]


def nest(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Up to ten thousand brackets that open."""
    opening = OPENINGS[int(rng.integers(len(OPENINGS)))]
    at = place(content, rng)
    return content[:at] + opening * int(10 ** rng.uniform(0, 4)) + content[at:]


MUTATIONS: tuple[Mutation, ...] = (
    *(flip_bits, truncate, remove, repeat, splice),
    *(insert_word, replace_number, write_integer, nest),
)


def spoil(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Some mutations, half of the time one."""
    for _ in range(int(rng.geometric(0.5))):
        content = MUTATIONS[int(rng.integers(len(MUTATIONS)))](content, rng, others)[:LARGEST]
    return content


def spoil_image(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """The same; half of the PNGs have checksums that fit, so that more than these is tested."""
    spoilt = spoil(content, rng, others)
    return with_checksums(spoilt) if spoilt.startswith(PNG) and rng.random() < 0.5 else spoilt


def with_checksums(content: bytes) -> bytes:
    """A PNG whose chunks' checksums are right, as far as there are chunks."""
    fixed, at = bytearray(content), len(PNG)
    while at + 12 <= len(fixed):
        end = at + 8 + int.from_bytes(fixed[at : at + 4], "big")
        if end + 4 > len(fixed):
            break
        fixed[end : end + 4] = zlib.crc32(fixed[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(fixed)


def spoil_archive(content: bytes, rng: np.random.Generator, others: Sequence[bytes]) -> bytes:
    """Half of the time the ZIP as it is, otherwise one of its files in an archive that is whole."""
    if rng.random() < 0.5:
        return spoil(content, rng, others)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    victim = str(rng.choice(list(files)))
    files[victim] = spoil(files[victim], rng, list(files.values()))
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()
