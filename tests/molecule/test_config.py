"""What the molecule section of a recipe refuses."""

import pytest
from unite_core.errors import ConfigurationError
from unite_core.recipes import check
from unite_molecule.config import MoleculeConfig


def test_decoder_width_that_heads_cannot_share_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"data.decoder: width 128 is no multiple of 6"):
        check(MoleculeConfig, {"decoder": {"heads": 3}}, "data.")
