"""Forms with files (multipart/form-data), read from memory and never written to a disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from simsearch.errors import InputError

_PARTS = 1100  # of one form
_TEXT = 1 << 20  # bytes of one that is no file


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was sent.

    Attributes:
        texts: Its fields that are no files; of several by one name the last.
        files: The bytes of its files, with the names of their fields, in order.
    """

    texts: Mapping[str, str]
    files: tuple[tuple[str, bytes], ...]


def read_form(content_type: str, body: bytes) -> Form:
    """Return the fields of a form.

    Raises:
        InputError: It is no such form.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    if not boundary:
        raise InputError("the form has no boundary in its Content-Type")
    parts = _Parts(body)
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InputError(f"the form cannot be read: {error}") from error
    if not parts.ended:
        raise InputError("the form ends in the middle")
    return Form(parts.texts, tuple(parts.files))


class _Parts:
    """What a parser finds, taken up as it goes."""

    def __init__(self, body: bytes) -> None:
        self.texts: dict[str, str] = {}
        self.files: list[tuple[str, bytes]] = []
        self.ended = False
        self._count = 0
        self._body = memoryview(body)

    def callbacks(self) -> dict[str, object]:
        """Return what the parser calls."""
        names = ("part_begin", "part_data", "part_end", "header_field", "header_value", "header_end", "end")
        return {f"on_{name}": getattr(self, f"_{name}") for name in names}

    def _part_begin(self) -> None:
        self._count += 1
        if self._count > _PARTS:
            raise InputError(f"the form has more than {_PARTS} fields")
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""
        self._data = list[memoryview]()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._data.append(memoryview(data)[start:end])

    def _part_end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise InputError("a field of the form has no name")
        name, whole = options[b"name"].decode("utf-8", "replace"), b"".join(self._data)
        if b"filename" in options:
            self.files.append((name, whole))
            return
        if len(whole) > _TEXT:
            raise InputError(f"the field {name[:80]!r} of the form is text of {len(whole):,} bytes: send it as a file")
        self.texts[name] = whole.decode("utf-8", "replace")

    def _end(self) -> None:
        self.ended = True
