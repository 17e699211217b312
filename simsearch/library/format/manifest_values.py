"""The values of a manifest, each checked once, on reading: a library may be damaged, or come from anybody."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from simsearch.errors import LibraryDamaged
from simsearch.library.format.channel import DTYPES, Channel, metrics_of
from simsearch.library.format.commit import FileRecord, Mask, SegmentRecord, State
from simsearch.library.format.layout import ITEMS, SEGMENTS

MOST_ID = 1 << 62
"""Ids, sizes and counts are below: sums of a few of them are still int64."""
_MOST_ITEMS = 1 << 32  # positions are uint32
_LEAST_ITEM_BYTES = 8  # of an item in `items.arrow`: the offset of its path
_MOST_TEXT = 1 << 12
_DIGEST = re.compile(r"[0-9a-f]{64}")
_UUID = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")  # one part of a path, and not hidden
_TAKEN = {"items", "rejects"}

Row = Sequence[Any]


class ManifestValues:
    """The checked conversion of a manifest's values.

    Every method raises `LibraryDamaged` for a value that no library writes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def state(
        self, meta: Mapping[Any, Any], roots: Iterable[Row], channels: Iterable[Row], segments: Iterable[Row]
    ) -> State:
        """Return the whole state, from the rows of its tables."""
        named = tuple(map(self._channel, channels))
        names = [channel.name for channel in named]
        if not names or len(set(names)) < len(names):
            self._refuse("the channels", ", ".join(names))
        records = tuple(map(self._segment, segments))
        if len({record.uuid for record in records}) < len(records):
            self._refuse("a segment", "is there twice")
        return State(
            uuid=self._matching(_UUID, meta.get("uuid"), "uuid"),
            generation=self._count(meta.get("generation"), "generation"),
            next_id=self._count(meta.get("next_id"), "next_id"),
            roots={self._bytes(path, "a root"): self._count(number, "a root's number") for path, number in roots},
            channels=named,
            segments=records,
        )

    def files(self, rows: Iterable[Row]) -> dict[str, tuple[FileRecord, ...]]:
        """Return the files of each segment, by its name, from rows of (segment, name, bytes, sha256)."""
        found: dict[str, list[FileRecord]] = {}
        for segment, name, size, sha256 in rows:
            text = self._text(name, "a file's name")
            if "/" in text or "\0" in text or text in {"", ".", ".."}:
                self._refuse("a file's name", name)
            record = FileRecord(
                text, self._count(size, text), self._matching(_DIGEST, sha256, f"the SHA-256 of {text}")
            )
            found.setdefault(self._matching(_NAME, segment, "the segment of a file"), []).append(record)
        return {segment: tuple(records) for segment, records in found.items()}

    def _channel(self, row: Row) -> Channel:
        name, model, fingerprint, dimension, dtype, metric, non_negative, card, bits = row
        channel = Channel(
            name=self._matching(_NAME, name, "the name of a channel"),
            model=self._text(model, "a model"),
            fingerprint=self._text(fingerprint, "a fingerprint"),
            dimension=self._count(dimension, "a dimension", least=1, limit=1 << 31),
            dtype=self._among(tuple(DTYPES), dtype, "a dtype"),
            metric=self._among(metrics_of(dtype), metric, "a metric"),
            non_negative=bool(self._count(non_negative, "non_negative", limit=2)),
            card=None if card is None else self._matching(_DIGEST, card, "the digest of a card"),
            bits=None if bits is None else self._count(bits, "the bits of a channel"),
        )
        if channel.name in _TAKEN:
            self._refuse("the name of a channel", name)
        room = 8 * channel.dimension
        if channel.bits is not None and not (channel.dtype == "bits" and room - 8 < channel.bits <= room):
            self._refuse("the bits of a channel", bits)
        return channel

    def _segment(self, row: Row) -> SegmentRecord:
        name, rank, items, removed, files = row
        uuid = self._matching(_NAME, name, "the name of a segment")
        count = self._count(items, f"the items of segment {uuid}", limit=_MOST_ITEMS)
        mask = None
        room = self._room(uuid)
        if removed is not None and room is not None:  # else the folder is gone, which opening it reports
            if count > room // _LEAST_ITEM_BYTES:
                self._refuse(f"the items of segment {uuid}", items)
            mask = self._mask(self._bytes(removed, "a bitmap", limit=None), count, uuid)
        return SegmentRecord(uuid, self._count(rank, f"the rank of segment {uuid}"), count, mask, files)

    def _room(self, segment: str) -> int | None:
        """Return the size of a segment's items file, which bounds their number; None where there is no file."""
        try:
            return (self._path.parent / SEGMENTS / segment / ITEMS).stat().st_size
        except OSError:
            return None

    def _mask(self, blob: bytes, count: int, uuid: str) -> Mask:
        """Return a bitmap unpacked, in memory bounded by its items."""
        size = -(-count // 8)
        stream = zlib.decompressobj()
        try:
            bits = stream.decompress(blob, size + 1)
        except zlib.error as error:
            raise LibraryDamaged(self._message(f"the bitmap of segment {uuid}", str(error))) from error
        if len(bits) != size or not stream.eof or stream.unused_data:
            self._refuse(f"the bitmap of segment {uuid}", f"{len(bits)} bytes for {count} items")
        return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).view(bool)

    def _matching(self, pattern: re.Pattern[str], value: Any, what: str) -> str:
        if not (isinstance(value, str) and pattern.fullmatch(value)):
            self._refuse(what, value)
        return value

    def _among(self, known: Sequence[str], value: Any, what: str) -> str:
        if value not in known:
            self._refuse(what, value)
        return str(value)

    def _text(self, value: Any, what: str) -> str:
        if not (isinstance(value, str) and len(value) <= _MOST_TEXT):
            self._refuse(what, value)
        return value

    def _bytes(self, value: Any, what: str, limit: int | None = _MOST_TEXT) -> bytes:
        if not (isinstance(value, bytes) and (limit is None or len(value) <= limit)):
            self._refuse(what, value)
        return value

    def _count(self, value: Any, what: str, *, least: int = 0, limit: int = MOST_ID) -> int:
        if not (isinstance(value, int) and least <= value < limit):
            self._refuse(what, value)
        return value

    def _refuse(self, what: str, value: Any) -> NoReturn:
        raise LibraryDamaged(self._message(what, value))

    def _message(self, what: str, value: Any) -> str:
        printed = repr(value[:60] if isinstance(value, (str, bytes)) else value)
        return f"{self._path} is damaged: {what} is {printed[:80]}, which no library writes"
