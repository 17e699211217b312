#!/usr/bin/env python
"""Writes docs/api.md from the docstrings of the public names: scripts/pages/api.py."""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ForwardRef

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
PACKAGES = (
    *("simsearch", "simsearch.distance", "simsearch.images", "simsearch.images.perturb", "simsearch.extract"),
    *(
        "simsearch.search",
        "simsearch.decide",
        "simsearch.spatial",
        "simsearch.library",
        "simsearch.act",
        "simsearch.benchmark",
        "simsearch.training",
        "simsearch.scale",
        "simsearch.serve",
    ),
    "simsearch.errors",
)
HEAD = """# Public names

Made by `scripts/pages/api.py` from the docstrings; edit those. What is not listed here may change at any time. Shapes:
n images, q queries, k neighbours, d dimensions, b bytes.
"""
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example|Reference):$")
_ITEM = re.compile(r"^(\*{0,2}[\w, .]+): (.*)$", re.DOTALL)
_BOUND = ("self", "cls")
_DEFAULT = re.compile(r"<factory>|<.*? at 0x[0-9a-f]+>")  # a default that has no text of its own
_WIDTH = 120


class _Raw(str):
    """An annotation as it stands in the source; `inspect` would put it in quotes."""

    __slots__ = ()

    @classmethod
    def of(cls, annotation: Any) -> Any:
        text = annotation.__forward_arg__ if isinstance(annotation, ForwardRef) else annotation
        return cls(text) if isinstance(text, str) else text

    def __repr__(self) -> str:
        return str(self)


def page() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *(line for package in PACKAGES for line in _package(package))]).rstrip() + "\n"


def _package(name: str) -> Iterator[str]:
    module = importlib.import_module(name)
    yield from (f"## {name}", "", *_text(module))
    for public in module.__all__:
        value = getattr(module, public)
        if (home := _home(public, value)) != name:
            yield from (f"`{public}`: see [{home}](#{home.replace('.', '')}).", "")
        elif inspect.isclass(value) and value.__module__.startswith("simsearch"):
            yield from _class(public, value)
        elif inspect.isfunction(value):
            yield from (f"### {public}", "", *_signature(public, value), *_text(value))


def _home(name: str, value: Any) -> str:
    """The package that describes a name: the innermost of those that give it."""
    if inspect.ismodule(value) and value.__name__ in PACKAGES:
        return value.__name__
    modules = [importlib.import_module(package) for package in PACKAGES]
    return max((m.__name__ for m in modules if name in m.__all__ and getattr(m, name) is value), key=len)


def _class(name: str, kind: type) -> Iterator[str]:
    plain = not issubclass(kind, (Exception, enum.Enum)) and not hasattr(kind, "model_fields")
    members = _members(kind)
    properties = [f"- `.{member}`: {_sentence(value)}" for member, value in members if isinstance(value, property)]
    yield from (f"### {name}", "", *(_signature(name, kind) if plain else ()), *_text(kind))
    yield from (*properties, *([""] if properties else ()))
    for member, value in members:
        if not isinstance(value, property):
            function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            yield from (f"#### {name}.{member}", "", *_signature(member, function), *_text(function))


def _members(kind: type) -> list[tuple[str, Any]]:
    """Public properties, then methods, of a class and of its bases among ours; those of a base come last."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if base.__module__.startswith("simsearch"):
            for name, value in vars(base).items():
                function = isinstance(value, (classmethod, staticmethod)) or inspect.isfunction(value)
                if not name.startswith("_") and (function or isinstance(value, property)) and inspect.getdoc(value):
                    found.setdefault(name, value)
    return sorted(found.items(), key=lambda item: not isinstance(item[1], property))


def _signature(name: str, value: Any) -> tuple[str, ...]:
    whole = inspect.signature(value)
    own = [p.replace(annotation=_Raw.of(p.annotation)) for p in whole.parameters.values() if p.name not in _BOUND]
    answer = whole.empty if inspect.isclass(value) else _Raw.of(whole.return_annotation)
    signature = whole.replace(parameters=own, return_annotation=answer)
    line = name + _DEFAULT.sub("...", str(signature))
    return ("```python", *([line] if len(line) <= _WIDTH else _one_a_line(name, signature)), "```", "")


def _one_a_line(name: str, signature: inspect.Signature) -> Iterator[str]:
    kinds = [p.kind for p in signature.parameters.values()]
    lines = [_DEFAULT.sub("...", str(p)) for p in signature.parameters.values()]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        lines.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    end = str(signature.replace(parameters=[])).removeprefix("()")
    yield from (f"{name}(", *(f"    {line}," for line in lines), f"){end}")


def _sentence(value: Any) -> str:
    return " ".join((inspect.getdoc(value) or "").split("\n\n")[0].split())


def _text(value: Any) -> Iterator[str]:
    """A docstring as Markdown: its paragraphs as they are, items as lists, examples as code."""
    section, body = "", list[str]()
    for line in [*(inspect.getdoc(value) or "").splitlines(), "End:"]:
        if (found := _SECTION.match(line)) or line == "End:":
            yield from _section(section, textwrap.dedent("\n".join(body)).strip("\n"))
            section, body = found[1] if found else "", []
        else:
            body.append(line)


def _section(name: str, body: str) -> Iterator[str]:
    if not body:
        return
    if not name:
        for paragraph in body.split("\n\n"):
            drawn = "──" in paragraph  # the tree of exceptions
            yield from ("```text", *paragraph.splitlines(), "```", "") if drawn else (*paragraph.splitlines(), "")
    elif name == "Example":
        yield from ("```pycon", *body.splitlines(), "```", "")
    else:
        items = [" ".join(item.split()) for item in re.split(r"\n(?=\S)", body)]
        items = items if all(map(_ITEM.match, items)) else [" ".join(items)]
        yield from (f"{name}:", "", *(f"- {_ITEM.sub(_marked, item)}" for item in items), "")


def _marked(found: re.Match[str]) -> str:
    return f"`{found[1]}`: {found[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
