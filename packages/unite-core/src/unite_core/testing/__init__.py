"""Tests that every modality has to pass, for the test files of plug-ins; needs pytest."""

from unite_core.testing.contract import ModalityContract

__all__ = ["ModalityContract"]
