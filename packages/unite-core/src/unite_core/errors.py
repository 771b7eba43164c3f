"""Errors that users can act on, each with the exit code of the command line."""

from collections.abc import Iterable
from difflib import get_close_matches


class UniteError(Exception):
    """An error whose message names the thing and the remedy."""

    exit_code = 1


class ConfigurationError(UniteError):
    """A recipe, option or name that cannot be used."""

    exit_code = 2


class DataError(UniteError):
    """Data that is missing, or none of which is usable."""

    exit_code = 3


class NonFiniteError(UniteError):
    """A loss or gradient that is not a number; raised before it reaches the weights."""

    exit_code = 4


class StorageError(UniteError):
    """A path that cannot be written, or a checkpoint that cannot be read."""

    exit_code = 5


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint naming the closest known word, or all of them."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(choices)}" if choices else ""
