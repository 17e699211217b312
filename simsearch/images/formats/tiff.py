"""What a TIFF's first page says of its samples, so that forms which Pillow gets wrong are refused by name."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from simsearch.errors import ImageRejected, RejectCode

# Tags
KIND, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, COLOURS = 254, 258, 259, 262, 277, 284, 320
EXTRA, FORMAT, SUBSAMPLING = 338, 339, 530
_ORIENTATION, _PROFILE = 274, 34675
# What a decoder needs: size, samples, strips, tiles, tables of the compressions, colours.
_PICTURE_TAGS = """
254 256 257 258 259 262 266 273 277 278 279 284 292 293 317 320 322 323 324 325 332 338 339 347 512 513 514 515
517 518 519 520 521 529 530 531 532
"""
_PICTURE = frozenset(map(int, _PICTURE_TAGS.split()))
_REDUCED = 1  # bit of KIND: a smaller form of another page
_SIZES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}  # BYTE, SHORT, LONG, LONG8
_SHORT, _UNDEFINED = 3, 7
_BIG_ENTRY = 20  # bytes of a tag in a BigTIFF
UNSIGNED, SIGNED, _FLOAT = 1, 2, 3
_FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", _FLOAT: "float"}
WHITE_IS_ZERO = 0
_COLOURS = {WHITE_IS_ZERO: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
_RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 2, 3, 5, 6, 8
_USUAL = {_RGB: 3, _CMYK: 4, _YCBCR: 3, _LAB: 3}  # samples of a pixel; one where nothing is said
_ALPHA = (2,)  # EXTRA: one more sample, alpha that colours are not multiplied by
_SEPARATE = 2
_PLAIN = 1  # COMPRESSION: none
_MOST_TAGS, _MOST_VALUES, _MOST_PAGES = 4096, 64, 10_000


@dataclass(frozen=True, slots=True)
class Form:
    """How the samples of a page are stored.

    Attributes:
        big_endian: Whether the most significant byte comes first.
        big_tiff: Whether offsets have 64 bits.
        bits: Of each sample.
        format: 1 unsigned, 2 signed, 3 float; the largest of those of all samples.
        photometric: What samples mean, as TIFF numbers it.
        samples: A pixel.
        extra: What those are that the colours do not need, as TIFF numbers it.
        planar: Whether each sample has a plane of its own.
        plain: Not compressed.
        subsampled: Whether colours have fewer pixels than brightness.
    """

    big_endian: bool
    big_tiff: bool
    bits: tuple[int, ...]
    format: int
    photometric: int
    samples: int
    extra: tuple[int, ...]
    planar: bool
    plain: bool
    subsampled: bool

    def __str__(self) -> str:
        bits = "/".join(map(str, sorted(set(self.bits))))
        colours = _COLOURS.get(self.photometric, f"photometric {self.photometric}")
        text = f"{colours}, {self.samples} x {bits} bits {_FORMATS.get(self.format, 'of unknown format')}"
        text += ", in planes" if self.planar else ""
        text += ", subsampled" if self.subsampled else ""
        return text + (", uncompressed" if self.plain else ", compressed") + self._container

    @property
    def _container(self) -> str:
        return (", big-endian" if self.big_endian else "") + (", BigTIFF" if self.big_tiff else "")

    @property
    def wrong(self) -> bool:
        """Whether Pillow would read something else than is meant, or fail with words that do not say why."""
        if self.big_endian and self.big_tiff:
            return True
        if self.planar and self.plain and self.samples > _USUAL.get(self.photometric, 1) and self.extra != _ALPHA:
            return True
        deep = max(self.bits, default=1) > 8
        if self.format == SIGNED and max(self.bits, default=1) < 32:
            return True  # 8 bits wrap, 16 have no white point that anybody agrees on
        if self.planar and (self.samples == 2 or (self.plain and deep)):
            return True  # planes are read as if they had one byte a sample
        if deep and self.big_endian and not self.plain and self.format != UNSIGNED:
            return True  # bytes are swapped twice
        return self.photometric == _YCBCR and self.plain and self.subsampled


def require_right(data: bytes) -> None:
    """Make sure that Pillow reads a TIFF as it is meant.

    Raises:
        ImageRejected: Format_not_allowed; the message says what the samples are.
    """
    form = form_of(data)
    if form is not None and form.wrong:
        raise refused(form)


def refused(form: Form) -> ImageRejected:
    """Return the reject of a form that is not decoded."""
    return ImageRejected(
        RejectCode.FORMAT_NOT_ALLOWED,
        f"TIFF with samples of this form is not decoded: {form}; "
        "convert to 8 or 16 bits unsigned, not in planes, not BigTIFF",
    )


def form_of(data: bytes) -> Form | None:
    """Return how the first page's samples are stored; None where the file does not say."""
    page = next(_pages(data), None)
    if page is None:
        return None
    first = {tag: values[0] for tag, values in page.items() if values}
    samples = first.get(SAMPLES, 1)
    photometric, compression = first.get(PHOTOMETRIC, 0), first.get(COMPRESSION, _PLAIN)
    bits = page.get(BITS) or (1,)
    return Form(
        big_endian=data[:1] == b"M",
        big_tiff=43 in data[2:4],
        bits=bits,
        format=max(page.get(FORMAT) or (UNSIGNED,)),
        photometric=photometric,
        samples=samples,
        extra=page.get(EXTRA, ()),
        planar=first.get(PLANAR, 1) == _SEPARATE and samples > 1,
        plain=compression == _PLAIN,
        subsampled=photometric == _YCBCR and (page.get(SUBSAMPLING) or (2, 2)) != (1, 1),
    )


def has_more_pages(data: bytes) -> bool:
    """Return whether a further page follows that is not a smaller form of another."""
    pages = _pages(data)
    next(pages, None)
    return any(not (page.get(KIND) or (0,))[0] & _REDUCED for page in pages)


def without_notes(data: bytes) -> bytes:
    """Return a TIFF whose first page has only the tags that bear on its picture; as it is where it has no page."""
    order, word, count, entry = _layout(data)
    try:
        (at,) = struct.unpack_from(word, data, 8 if entry == _BIG_ENTRY else 4)
        (number,) = struct.unpack_from(count, data, at)
    except struct.error:
        return data
    start = at + struct.calcsize(count)
    end = start + number * entry
    entries = [data[i : i + entry] for i in range(start, min(end, len(data) - entry), entry)]
    kept = b"".join(each for each in entries if _bears_on_picture(*struct.unpack_from(f"{order}HH{word[1]}", each)))
    following = data[end : end + struct.calcsize(word)]
    page = struct.pack(count, len(kept) // entry) + kept + following
    return data[:at] + page + data[at + len(page) :]


def _bears_on_picture(tag: int, kind: int, count: int) -> bool:
    return tag in _PICTURE or (tag, kind, count) == (_ORIENTATION, _SHORT, 1) or (tag, kind) == (_PROFILE, _UNDEFINED)


def _layout(data: bytes) -> tuple[str, str, str, int]:
    """Return byte order, formats of an offset and of a page's number of tags, and bytes of a tag."""
    order = "<" if data[:1] == b"I" else ">"
    return (order, order + "Q", order + "Q", _BIG_ENTRY) if 43 in data[2:4] else (order, order + "I", order + "H", 12)


def _pages(data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """Yield the whole-number tags of each page, up to where the file is damaged or turns in a circle."""
    _, word, count, entry = _layout(data)
    try:
        (at,) = struct.unpack_from(word, data, 8 if entry == _BIG_ENTRY else 4)
        seen = set[int]()
        while at and at not in seen and len(seen) < _MOST_PAGES:
            seen.add(at)
            (number,) = struct.unpack_from(count, data, at)
            start = at + struct.calcsize(count)
            yield dict(_tags(data, range(start, start + min(number, _MOST_TAGS) * entry, entry), word))
            (at,) = struct.unpack_from(word, data, start + number * entry)
    except struct.error:
        return


def _tags(data: bytes, entries: range, word: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    order, inline = word[0], struct.calcsize(word)
    for at in entries:
        tag, kind, count = struct.unpack_from(f"{order}HH{word[1]}", data, at)
        if kind not in _SIZES or count > _MOST_VALUES:
            continue
        letter, size = _SIZES[kind]
        value = at + entries.step - inline
        if count * size > inline:
            (value,) = struct.unpack_from(word, data, value)
        if value + count * size <= len(data):
            yield tag, struct.unpack_from(f"{order}{count}{letter}", data, value)
