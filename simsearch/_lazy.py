"""Public names that load on first use (PEP 562): importing a package loads nothing but the package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any


class LazyPackage(ModuleType):
    """A package whose public names are loaded on first use and hide submodules of the same name."""

    __all__: list[str]
    _homes: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self._homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        module, _, attribute = self._homes[name].partition(":")
        found = importlib.import_module(f"{self.__name__}.{module or name}")
        return getattr(found, attribute or name) if module else found

    def __setattr__(self, name: str, value: object) -> None:
        # An import of package.name binds the submodule to the package, where a public name would be lost behind it.
        if not (name in self._homes and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return self.__all__


def attach(package: str, names: Mapping[str, str], *more: str) -> None:
    """Make names public in a package: they become its `__all__` and are loaded on first use.

    Type checkers read the same names from imports under TYPE_CHECKING.

    Args:
        package: The package, as its `__name__`.
        names: The place of each: a module relative to the package, `module:attribute` where its name differs there, or
            nothing for a submodule.
        more: Public names that the package itself defines.
    """
    module = sys.modules[package]
    vars(module).update(__all__=sorted([*names, *more]), _homes=names)
    module.__class__ = LazyPackage
