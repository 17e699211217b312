"""The script and the style of a page, which stand inside it, and the policy under which a browser runs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from simsearch.errors import InputError, shown
from simsearch.library.format.atomic_files import naming_full_disk
from simsearch.runtime.files import published

_TEMPLATES = Path(__file__).with_name("templates")
_HOW: Any = {"encoding": "utf-8", "errors": "backslashreplace", "newline": "\n"}
_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True, slots=True)
class Inline:
    """What stands inside a page.

    Attributes:
        script: Of the page; it is the same for every page of a kind, so that its digest says what may run.
        style: The style sheet.
    """

    script: Markup
    style: Markup

    @property
    def policy(self) -> str:
        """The Content-Security-Policy: nothing is loaded, and only this script and this style count."""
        return (
            f"default-src 'none'; img-src data:; script-src {_digest(self.script)}; style-src {_digest(self.style)}; "
            "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        )


@cache
def inline(style: str, *scripts: str) -> Inline:
    """Return files of the templates' folder as one script and one style sheet.

    Args:
        style: Name of the style sheet.
        scripts: Names of the scripts, in order; they see each other's names, and nothing else does.
    """
    told = "\n".join(text(name) for name in scripts)
    return Inline(Markup(f'"use strict";\n(() => {{\n{told}}})();\n'), Markup(text(style)))


def text(name: str) -> str:
    """Return a file of the templates' folder."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def environment() -> Environment:
    """Return the templates; every value is escaped."""
    return Environment(
        loader=PackageLoader("simsearch.act.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def write_whole(path: Path, pieces: Iterable[str]) -> int:
    """Write a page piece by piece, whole or not at all, and return its size in bytes.

    Raises:
        InputError: The name is none of a page, or leads to something else than a file.
        StorageFull: The disk is full; what stood there is unchanged.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{shown(str(path))} is no name of a page: end it in .html")
    if path.exists() and not path.is_file():
        raise InputError(f"{shown(str(path))} is a folder or something else: give the name of a file")
    if not path.parent.is_dir():
        raise InputError(f"the folder of {shown(str(path))} is not there: make it first")
    with naming_full_disk(path.parent), published(path) as part, part.open("w", **_HOW) as file:
        for piece in pieces:
            file.write(piece)
    return path.stat().st_size
