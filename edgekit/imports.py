"""Imports what a package offers when it is first used, so that a command starts without what it does not need.

from edgekit.imports import postpone

if TYPE_CHECKING:
    from edgekit.plan import Plan      # imported at the first ``package.Plan``

postpone(__name__)
"""

import ast
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__all__ = ["postpone"]


class _Package(ModuleType):
    """A package whose ``_places`` say in which module each name is, and what it is called there."""

    _places: dict[str, tuple[str, str]]

    def __getattr__(self, name: str) -> Any:
        if name not in self._places:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        module, there = self._places[name]
        value = getattr(import_module(module), there)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """A submodule does not take the place of what is offered under its name."""
        if not (isinstance(value, ModuleType) and name in self._places):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._places})


def postpone(package: str) -> None:
    """Let the imports under ``if TYPE_CHECKING`` of a package be done when their names are first used."""
    module = sys.modules[package]
    assert module.__spec__ is not None
    tree = ast.parse(module.__spec__.loader.get_source(package))  # type: ignore[union-attr]
    checked = [node for node in tree.body if isinstance(node, ast.If)]
    found = [each for node in checked for each in node.body if isinstance(each, ast.ImportFrom)]
    places = {alias.asname or alias.name: (str(each.module), alias.name) for each in found for alias in each.names}
    module._places = places  # type: ignore[attr-defined]
    module.__class__ = _Package
