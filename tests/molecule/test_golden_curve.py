"""The loss curve of a tiny run, which a change that is meant to change no number does not move."""

from pathlib import Path

import pytest
from core.conftest import fresh_accelerate  # noqa: F401 (a fixture)
from golden_curve import check

ELSEWHERE = 0.01
"""What rounding may grow to: AVX2 in place of AVX512 moved the gradient's norm by 0.0004."""


@pytest.mark.slow
def test_a_hundred_updates_are_those_of_the_golden_curve():
    check(Path(__file__).parent / "golden_curve", ELSEWHERE)
