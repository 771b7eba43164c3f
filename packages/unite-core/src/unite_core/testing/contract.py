"""The contract between the core and a modality, as a class of tests."""

from unite_core.testing.files import FileChecks
from unite_core.testing.interface import InterfaceChecks
from unite_core.testing.network import NetworkChecks
from unite_core.testing.runs import RunChecks


class ModalityContract(InterfaceChecks, NetworkChecks, FileChecks, RunChecks):
    """What the core relies on in a modality. A plug-in's test file subclasses it.

        class TestContract(ModalityContract):
            recipe = "waves-tiny"

    Every failure says what broke and what to look at. A check that cannot hold for a modality is
    left out by `test_name = None`; say why beside it. Attributes and fixtures to override are those
    of `Setting`. The training split needs at least four samples.
    """
