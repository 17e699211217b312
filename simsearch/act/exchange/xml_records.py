"""Records of an XML file, one after the other, with limits: no document type, no entities, no deep nesting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from simsearch.act.exchange.records import DEEPEST
from simsearch.errors import InputError

_LONGEST = 10_000  # characters of text in one element
_MOST = 5_000  # elements in one record
_AT_ONCE = 1 << 20


@dataclass(slots=True)
class Element:
    """An element, without its namespace.

    Attributes:
        tag: Its name.
        attributes: Of it.
        text: In it.
        children: In it.
    """

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        """Return the first child of that name."""
        return next((one for one in self.children if one.tag == tag), None)

    def said(self, tag: str) -> str:
        """Return the text of the first child of that name; nothing where there is none."""
        found = self.child(tag)
        return "" if found is None else found.text.strip()


class _Builder:
    """Takes what the parser meets, and gives each element at a depth whole."""

    def __init__(self, depth: int) -> None:
        self.done: list[Element] = []
        self.above: list[Element] = []
        self._open: list[Element] = []
        self._depth, self._level, self._count = depth, 0, 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._level += 1
        if self._level > DEEPEST:
            raise InputError(f"it is nested deeper than {DEEPEST} levels")
        element = Element(tag.rpartition("}")[2], attributes)
        if self._level < self._depth:
            self.above.append(element)
            return
        self._count = self._count + 1 if self._open else 1
        if self._count > _MOST:
            raise InputError(f"one of its records has more than {_MOST:,} elements")
        if self._open:
            self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _tag: str) -> None:
        self._level -= 1
        if self._open:
            element = self._open.pop()
            if not self._open:
                self.done.append(element)

    def text(self, text: str) -> None:
        if self._open:
            self._open[-1].text += text
            if len(self._open[-1].text) > _LONGEST:
                raise InputError(f"one of its elements holds more than {_LONGEST:,} characters")


def records(data: bytes, depth: int) -> Iterator[Element]:
    """Yield each element at a depth, the root being at 1, whole.

    Raises:
        InputError: It is no XML, declares a document type or entities, or goes beyond the limits.
    """
    builder, parser = _Builder(depth), expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refused
    parser.EntityDeclHandler = _refused
    parser.ExternalEntityRefHandler = _refused
    for start in range(0, max(len(data), 1), _AT_ONCE):
        part = data[start : start + _AT_ONCE]
        try:
            parser.Parse(part, start + _AT_ONCE >= len(data))
        except expat.ExpatError as error:
            raise InputError(f"it is no XML: {error}") from error
        yield from builder.done
        builder.done.clear()


def _refused(*_: Any) -> Any:
    raise InputError("it declares a document type or entities, which an exchange has no need of; it was not read")
