"""Changes of a list: each source record's latest word takes the place of its earlier one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from json import dumps

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.library.lists.codes import Code
from simsearch.library.lists.columns import SCHEMA, UNKNOWN, Columns
from simsearch.library.lists.entries import Change, Listed, SourceRecord, from_json, to_json

_FEW = 8  # codes or records of which entries are looked for one by one
REMOVED = ("local", "removed")
"""The source record of an entry that was removed here: no import lists it again before the next purge."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What changes did.

    Attributes:
        added: Entries that are new, or listed again.
        updated: Entries of which a source record or the quality is another now.
        unchanged: Entries that were named and are as before.
        withdrawn: Entries that no source lists any more.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    withdrawn: int = 0

    @property
    def anything(self) -> bool:
        """Whether an entry is another than before."""
        return bool(self.added or self.updated or self.withdrawn)


class Editor:
    """The entries of a list while changes are made to them; each change is whole.

    Args:
        table: The entries.
        next_id: Of the next new one.
        checks: Pictures that were checked so far.
        only: All changes that will be made; None for any. Of a few only the entries that they concern are unpacked.
    """

    def __init__(self, table: pa.Table, *, next_id: int, checks: int, only: Sequence[Change] | None = None) -> None:
        chosen = None if only is None else _concerned(table, only)
        self._rest = None if chosen is None else table.filter(pa.array(~chosen)) if chosen.any() else table
        self.columns = Columns.of(table if chosen is None else table.filter(pa.array(chosen)))
        self.next_id = next_id
        self._checks = checks
        self._at = {
            (kind, value): at
            for at, (kind, value) in enumerate(zip(self.columns.type, self.columns.value, strict=True))
        }
        self._of_record: dict[tuple[str, str], set[int]] | None = None
        self._erased = set[int]()
        self._before: dict[int, tuple[str, int, bool] | None] = {}

    def table(self) -> pa.Table:
        """Return all entries as they are now."""
        edited = self.columns.table()
        if self._rest is None:
            return edited
        table = pa.concat_tables([self._rest, edited])
        ids = table.column("id").to_numpy()
        if (np.diff(ids) <= 0).any():
            table = table.take(pa.array(np.argsort(ids)))
        return table.combine_chunks()

    def apply(self, changes: Iterable[Change]) -> Changed:
        """Make changes, in order, and return what they did."""
        for change in changes:
            before = set(self._records().get((change.origin, change.id), ())) if change.id else set[int]()
            if change.withdrawn and change.id:
                gone = before
            else:
                gone = before - {self._put(change, listed) for listed in change.codes}
            for at in gone:
                self._withdraw(at, change)
        counts = Counter(self._outcome(at, before) for at, before in self._before.items())
        self._before.clear()
        self._erase()
        return Changed(*(counts[name] for name in ("added", "updated", "unchanged", "withdrawn")))

    def withdraw(self, places: Iterable[int], time: str) -> int:
        """Take entries back, whatever their sources say until the next purge, and return how many were active."""
        count = 0
        for at in places:
            kept = [record for record in from_json(self.columns.sources[at]) if record.key != REMOVED]
            removed = SourceRecord(*REMOVED, time, withdrawn=True)
            self.columns.sources[at] = to_json([*(replace(record, withdrawn=True) for record in kept), removed])
            count += not self.columns.withdrawn[at]
            self.columns.withdrawn[at] = True
        return count

    def purge(self) -> list[int]:
        """Drop what is withdrawn, entries and source records, and return the ids of the entries that are gone."""
        for at, text in enumerate(self.columns.sources):
            if not self.columns.withdrawn[at] and '"withdrawn":true' in text:
                kept = [record for record in from_json(text) if not record.withdrawn]
                self.columns.sources[at] = to_json(kept)
        self._erased |= {at for at, gone in enumerate(self.columns.withdrawn) if gone}
        gone = [self.columns.id[at] for at in sorted(self._erased)]
        self._erase()
        return gone

    def place(self, code: Code) -> int | None:
        """Return where an entry stands; None where there is none of this code."""
        return self._at.get((code.type, code.value))

    def _put(self, change: Change, listed: Listed) -> int:
        """Put one code's record in place, and return where it stands; -1 where nothing had to be taken back."""
        record, columns = change.record(listed.votes), self.columns
        key = (listed.code.type, listed.code.value)
        quality = UNKNOWN if listed.quality is None else listed.quality
        at = self._at.get(key)
        if at is None:
            if change.withdrawn:
                return -1
            return self._append(listed.code, quality, record)
        if change.withdrawn:
            self._withdraw(at, change)
            return at
        self._touch(at)
        self._erased.discard(at)
        known = from_json(columns.sources[at])
        if change.origin != REMOVED[0] and any(one.key == REMOVED for one in known):
            return at
        records = {one.key: one for one in known if one.key != REMOVED} | {record.key: record}
        text = to_json([*records.values()])
        better = quality if quality != UNKNOWN else columns.quality[at]
        columns.sources[at], columns.quality[at], columns.withdrawn[at] = text, better, False
        if self._of_record is not None:
            self._of_record[record.key].add(at)
        return at

    def _append(self, code: Code, quality: int, record: SourceRecord) -> int:
        columns, at = self.columns, len(self.columns)
        self._touch(at)
        for column, value in zip(
            (columns.id, columns.type, columns.value, columns.quality, columns.withdrawn, columns.since),
            (self.next_id, code.type, code.value, quality, False, self._checks),
            strict=True,
        ):
            column.append(value)  # type: ignore[attr-defined]
        columns.sources.append(to_json([record]))
        self.next_id += 1
        self._at[code.type, code.value] = at
        if self._of_record is not None:
            self._of_record[record.key].add(at)
        return at

    def _withdraw(self, at: int, change: Change) -> None:
        key, records = (change.origin, change.id), from_json(self.columns.sources[at])
        mine = [record for record in records if record.key == key and (change.erase or not record.withdrawn)]
        if not mine:
            return
        self._touch(at)
        others = [record for record in records if record not in mine]
        if not change.erase:
            others += [replace(record, withdrawn=True, time=change.time or record.time) for record in mine]
        left = any(not record.withdrawn for record in others)
        if not others:
            self._erased.add(at)
        self.columns.sources[at], self.columns.withdrawn[at] = to_json(others), not left

    def _records(self) -> dict[tuple[str, str], set[int]]:
        if self._of_record is None:
            self._of_record = defaultdict(set)
            for at, text in enumerate(self.columns.sources):
                for record in from_json(text):
                    self._of_record[record.key].add(at)
        return self._of_record

    def _touch(self, at: int) -> None:
        """Keep what an entry was before the changes."""
        if at not in self._before:
            new = at == len(self.columns)
            self._before[at] = None if new else self._state(at)

    def _state(self, at: int) -> tuple[str, int, bool]:
        return self.columns.sources[at], self.columns.quality[at], self.columns.withdrawn[at]

    def _outcome(self, at: int, before: tuple[str, int, bool] | None) -> str:
        """Return what the changes did to an entry, and let one that is listed again be met from now on."""
        was = before is not None and not before[2]
        now = not self.columns.withdrawn[at] and at not in self._erased
        if now and not was:
            self.columns.since[at] = self._checks
            return "added"
        if before is None and at in self._erased:
            return "unchanged"
        if before is None or (was and not now):
            return "withdrawn"
        return "unchanged" if before == self._state(at) else "updated"

    def _erase(self) -> None:
        if not self._erased:
            return
        left = [at for at in range(len(self.columns)) if at not in self._erased]
        self.columns = Columns(*([getattr(self.columns, name)[at] for at in left] for name in SCHEMA.names))
        self._at = {key: at for at, key in enumerate(zip(self.columns.type, self.columns.value, strict=True))}
        self._of_record = None
        self._erased.clear()


def _concerned(table: pa.Table, changes: Sequence[Change]) -> NDArray[np.bool_] | None:
    """Return which entries changes may touch (n,); None where it takes as long to look as to unpack all."""
    import pyarrow.compute as pc

    codes = {listed.code.value for change in changes for listed in change.codes}
    records = {change.id for change in changes if change.id}
    if len(codes) > _FEW or len(records) > _FEW:
        return None
    chosen = pc.is_in(table.column("value"), value_set=pa.array(sorted(codes), pa.large_binary()))
    for record in records:
        named = pc.match_substring(table.column("sources"), dumps(record, ensure_ascii=False))
        chosen = pc.or_(chosen, named)
    return np.asarray(chosen.to_numpy(), bool)
