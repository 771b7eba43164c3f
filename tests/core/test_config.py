"""What a section of the configuration takes for its values."""

from typing import Literal

import pytest
from pydantic import ValidationError
from unite_core.config import Section


class Numbers(Section):
    channels: Literal[1, 3]
    side: Literal[8, 16] | None = None
    name: Literal["1", "a"] = "a"


def test_text_stands_for_a_literal_number_and_stays_text_for_literal_text() -> None:
    read = Numbers.model_validate({"channels": "3", "side": "16", "name": "1"})
    assert (read.channels, read.side, read.name) == (3, 16, "1")


@pytest.mark.parametrize("channels", ["2", "03", "3.0", "", 2, None])
def test_anything_but_the_literals_is_refused(channels: object) -> None:
    with pytest.raises(ValidationError, match="channels"):
        Numbers.model_validate({"channels": channels})
