"""Public names of the core change only on purpose."""

import inspect
from importlib import import_module

import interface_page
import pytest


def is_own(value: object, module: str) -> bool:
    """Whether a module defines this function or class."""
    return callable(value) and getattr(value, "__module__", None) == module


def test_the_page_of_public_names_is_the_codes() -> None:
    """Where it fails, a public name changed: say so in the changelog, then write the page anew."""
    assert interface_page.PAGE.read_text() == interface_page.page()


@pytest.mark.parametrize("module", [*interface_page.EVERYTHING, *interface_page.CHOSEN])
def test_public_definitions_say_what_they_are(module: str) -> None:
    """Names in dunders are of torch.compile, which leaves functions of its own in modules."""
    found = import_module(f"unite_core.{module.replace('/', '.')}")
    named = {name: value for name, value in vars(found).items() if not name.startswith("__")}
    own = [name for name, value in named.items() if is_own(value, found.__name__)]
    for name in interface_page.CHOSEN.get(module, own):
        value = vars(found)[name]
        assert not callable(value) or inspect.getdoc(value), name
