"""A list: its entries, how often they were met, and its own rates of strangers; in a library's folder or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simsearch.decide.calibration import Calibration
from simsearch.errors import InputError, LibraryDamaged, shown
from simsearch.library.format.channel import DTYPES
from simsearch.library.format.layout import LISTS
from simsearch.library.lists import store
from simsearch.library.lists.codes import PDQ, Code, is_blank, is_channel_type, parsed
from simsearch.library.lists.columns import SCHEMA, Columns, rows_of
from simsearch.library.lists.editor import Changed, Editor
from simsearch.library.lists.entries import Change, Entry, Listed
from simsearch.library.lists.flood import PREVALENCE, Sightings
from simsearch.library.lists.store import ChannelFacts, Header, Kind

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Coded:
    """The active entries of one type.

    Attributes:
        ids: (n,) ascending.
        values: (n, d) in the dtype of the rows; of digests (n, bytes) uint8.
        since: (n,) pictures that had been checked when each was listed.
    """

    ids: NDArray[np.int64]
    values: NDArray[Any]
    since: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)


class ImageList:
    """A block list or an allow list, of codes without pictures.

    Make one with `Library.create_list`, open one with `Library.list`, or hold one in memory with `ImageList.of`. What
    changes it is on disk when it returns, and is made on the newest state, whatever other processes did meanwhile.

    Attributes:
        name: Of the list.
        library: Folder of the library; None for a list in memory.
    """

    def __init__(self, name: str, header: Header, table: pa.Table, *, library: Path | None = None) -> None:
        self.name = name
        self.library = library
        self._header = header
        self._table = table
        self._sightings = Sightings() if library is None else _sightings(library, name)
        self._coded: dict[str, Coded] = {}
        self._types: dict[str, int] | None = None
        self._digests: dict[str, dict[bytes, int]] = {}

    @classmethod
    def of(cls, name: str, changes: Iterable[Change], *, kind: Kind = "block") -> ImageList:
        """Return a list in memory, of what some records say."""
        made = cls(name, Header(kind, PREVALENCE), SCHEMA.empty_table())
        made.apply(changes)
        return made

    @classmethod
    def create(cls, library: Path, name: str, kind: str, *, prevalence: float = PREVALENCE) -> ImageList:
        """Return a new list without entries.

        Raises:
            InputError: There is one of that name, or it is no name, kind or share.
        """
        store.require_name(name)
        if kind not in {"block", "allow"}:
            raise InputError(f"kind {shown(kind)} must be block or allow")
        if not 0 <= prevalence <= 1:
            raise InputError(f"prevalence {prevalence} must be a share from 0 to 1")
        with store.locked(library) as home:
            if name in store.names(library):
                raise InputError(f"there is a list {name} already: add to it, or take another name")
            for suffix in (store.SEEN, store.RATES):
                (home / f"{name}{suffix}").unlink(missing_ok=True)
            header = Header("block" if kind == "block" else "allow", float(prevalence))
            store.write_entries(home, name, header, SCHEMA.empty_table())
        return cls.open(library, name)

    @classmethod
    def open(cls, library: Path, name: str) -> ImageList:
        """Return the list of that name.

        Raises:
            InputError: There is none.
            LibraryDamaged: A file of it is not what was written.
        """
        header, table = store.read_entries(library, name)
        return cls(name, header, table, library=library)

    def __repr__(self) -> str:
        return f"ImageList({self.name!r}, {self.kind}, {len(self):,} entries)"

    def __len__(self) -> int:
        """Return the number of active entries."""
        return len(self._table) - int(np.count_nonzero(self._withdrawn))

    @property
    def kind(self) -> Kind:
        """Whether it accuses or excuses."""
        return self._header.kind

    @property
    def prevalence(self) -> float:
        """Share of checked pictures in which one entry may truly be met."""
        return self._header.prevalence

    @property
    def channels(self) -> Mapping[str, ChannelFacts]:
        """Facts of the channels whose rows it holds, by fingerprint."""
        return self._header.channels

    @property
    def sightings(self) -> Sightings:
        """How often its entries were met."""
        return self._sightings

    @property
    def withdrawn(self) -> int:
        """Entries that were taken back, and are there until the next purge."""
        return int(np.count_nonzero(self._withdrawn))

    @property
    def _withdrawn(self) -> NDArray[np.bool_]:
        return np.asarray(self._table.column("withdrawn").to_numpy(), bool)

    def types(self) -> dict[str, int]:
        """Return the number of active entries of each type."""
        if self._types is None:
            kinds = self._table.column("type").filter(pa.array(~self._withdrawn)).value_counts().to_pylist()
            self._types = {one["values"]: one["counts"] for one in sorted(kinds, key=lambda one: str(one["values"]))}
        return self._types

    def entries(self, *, withdrawn: bool = False, ids: Iterable[int] | None = None, after: int = -1) -> Iterator[Entry]:
        """Yield the active entries, or all, in the order of their ids.

        Args:
            withdrawn: Those too that were taken back.
            ids: Only these.
            after: Only those of a higher id.

        Raises:
            InputError: There is no entry of one of the ids.
        """
        if ids is not None:
            places = self._places_of(ids)
            table = self._table.take(pa.array(places))
        else:
            table = self._table
        table = table.slice(int(np.searchsorted(table.column("id").to_numpy(), after, side="right")))
        for start in range(0, len(table), _AT_ONCE):
            some = Columns.of(table.slice(start, _AT_ONCE))
            yield from (some.entry(at) for at in range(len(some)) if withdrawn or not some.withdrawn[at])

    def coded(self, kind: str) -> Coded:
        """Return the active entries of a type; those that are set aside are among them."""
        if kind not in self._coded:
            places, values = rows_of(self._table, kind)
            dtype = self._dtype(kind)
            since = self._table.column("since").to_numpy()[places]
            ids = self._table.column("id").to_numpy()[places]
            self._coded[kind] = Coded(ids, values.view(dtype) if len(values) else np.empty((0, 1), dtype), since)
        return self._coded[kind]

    def same(self, code: Code) -> int | None:
        """Return the id of the active entry of a digest; None where there is none."""
        if code.type not in self._digests:
            held = self.coded(code.type)
            self._digests[code.type] = dict(zip(map(bytes, held.values), held.ids.tolist(), strict=True))
        return self._digests[code.type].get(code.value)

    def add(self, codes: Iterable[str], *, tags: Sequence[str] = ()) -> Changed:
        """List codes without pictures, each written as `TYPE:VALUE`, and return what that did.

        Raises:
            InputError: One is no code, or is the PDQ hash of a blank picture, which all blank ones are near.

        Example:
            >>> one = ImageList.of("hashes", ())
            >>> one.add(["md5:d41d8cd98f00b204e9800998ecf8427e"]).added, len(one)
            (1, 1)
        """
        given = [parsed(text) for text in codes]
        for code in given:
            if code.type == PDQ and is_blank(code.value):
                raise InputError(f"{code} is the PDQ hash of a blank picture, which all blank ones are near")
        return self.apply(Change("local", "", (Listed(code),), now(), tuple(tags)) for code in given)

    def apply(self, changes: Iterable[Change], channels: Mapping[str, ChannelFacts] | None = None) -> Changed:
        """Take over what source records say, and return what that did.

        Args:
            changes: The records.
            channels: Facts of channels that the list does not describe yet.

        Raises:
            InputError: A code is of a channel that is not described.
            StorageFull: The disk is full; the list is as before.
        """
        given = list(changes)
        with self._editing(given) as editor:
            known = {**(channels or {}), **self._header.channels}
            self._require_described(given, known)
            changed = editor.apply(given)
            if changed.anything:
                self._write(editor, known)
        return changed

    def remove(self, entries: Iterable[int | Code], *, purge: bool = False) -> int:
        """Take entries back, and return how many were active.

        They stay as tombstones, so that no import lists them again, until a purge.

        Args:
            entries: Ids or codes.
            purge: Erase them at once, and all that was withdrawn before.

        Raises:
            InputError: There is no such entry; nothing was changed.
        """
        wanted = list(entries)
        with self._editing() as editor:
            ids = {entry: at for at, entry in enumerate(editor.columns.id)}
            places = [editor.place(one) if isinstance(one, Code) else ids.get(one) for one in wanted]
            for one, at in zip(wanted, places, strict=True):
                if at is None:
                    raise InputError(f"the list {self.name} has no entry {one}; `simsearch list show` names them")
            count = editor.withdraw([at for at in places if at is not None], now())
            gone = editor.purge() if purge else []
            self._write(editor)
        self._forget(gone)
        return count

    def purge(self) -> int:
        """Erase what was withdrawn, so that nothing of it is on the disk, and return how many entries that were."""
        with self._editing() as editor:
            gone = editor.purge()
            self._write(editor)
        self._forget(gone)
        return len(gone)

    def release(self, entries: Iterable[int]) -> None:
        """Let entries go that the flood guard set aside: it never does so again.

        Raises:
            InputError: There is no such entry.
        """
        ids = list(entries)
        self._places_of(ids)
        self._note(lambda seen: seen.releasing(ids))

    def note_checks(self, checks: int, met: Mapping[int, int], aside: Any) -> Sightings:
        """Count pictures that were checked, and set floods aside.

        Args:
            checks: Pictures.
            met: In how many of them each entry was met.
            aside: Given the counts, returns the ids of the entries that are floods.
        """

        def after(seen: Sightings) -> Sightings:
            counted = seen.with_checks(checks, met)
            return counted.setting_aside(aside(counted))

        self._note(after)
        return self._sightings

    def read_sightings(self) -> None:
        """Take over how often entries were met, by whatever process."""
        if self.library is not None:
            self._sightings = _sightings(self.library, self.name)

    def rates(self, fingerprint: str) -> Calibration | None:
        """Return the list's own rates of strangers by rows of a model; None where they were not counted."""
        if self.library is None:
            return None
        values = store.read_json(self.library, f"{self.name}{store.RATES}") or {}
        found = values.get("calibrations", {}).get(fingerprint)
        return None if found is None else Calibration.from_dict(found)

    def keep_rates(self, calibration: Calibration) -> None:
        """Keep rates of strangers, in place of older ones of the same model."""
        if self.library is None:
            raise InputError("a list in memory keeps no rates: import it into a library first")
        with store.locked(self.library) as home:
            values = store.read_json(self.library, f"{self.name}{store.RATES}") or {}
            kept = {**values.get("calibrations", {}), calibration.fingerprint: calibration.to_dict()}
            store.write_json(home, f"{self.name}{store.RATES}", {"calibrations": kept})

    def _dtype(self, kind: str) -> np.dtype[Any]:
        facts = self._header.channels.get(kind.partition(":")[2]) if is_channel_type(kind) else None
        return np.dtype(np.uint8) if facts is None else np.dtype(DTYPES[facts.dtype]).newbyteorder("<")

    def _places_of(self, ids: Iterable[int]) -> NDArray[np.int64]:
        there, wanted = self._table.column("id").to_numpy(), np.array(sorted(set(ids)), np.int64)
        if len(missing := wanted[~np.isin(wanted, there)]):
            raise InputError(f"the list {self.name} has no entry {missing[0]}; `simsearch list show` names them")
        return np.asarray(np.searchsorted(there, wanted), np.int64)

    def _require_described(self, changes: Sequence[Change], known: Mapping[str, ChannelFacts]) -> None:
        for change in changes:
            for listed in change.codes:
                if not is_channel_type(listed.code.type):
                    continue
                key, size = listed.code.type.partition(":")[2], len(listed.code.value)
                if key not in known:
                    raise InputError(f"rows of the model {key[:16]} belong to no channel of this library")
                if size != known[key].row_bytes:
                    raise InputError(f"a row of {known[key].model} has {known[key].row_bytes} bytes and not {size}")

    @contextmanager
    def _editing(self, only: Sequence[Change] | None = None) -> Iterator[Editor]:
        """Yield the newest entries for some changes, or any, under the lock."""
        if self.library is None:
            yield self._editor(only)
            return
        with store.locked(self.library):
            self._take(*store.read_entries(self.library, self.name))
            self._sightings = _sightings(self.library, self.name)
            yield self._editor(only)

    def _editor(self, only: Sequence[Change] | None) -> Editor:
        return Editor(self._table, next_id=self._header.next_id, checks=self._sightings.checks, only=only)

    def _write(self, editor: Editor, channels: Mapping[str, ChannelFacts] | None = None) -> None:
        header, table = replace(self._header, next_id=editor.next_id), editor.table()
        if channels is not None:
            kinds = table.column("type").unique().to_pylist()
            used = {kind.partition(":")[2] for kind in kinds if is_channel_type(kind)}
            header = replace(header, channels={key: one for key, one in channels.items() if key in used})
        if self.library is not None:
            store.write_entries(self.library / LISTS, self.name, header, table)
        self._take(header, table)

    def _take(self, header: Header, table: pa.Table) -> None:
        self._header, self._table, self._types = header, table, None
        self._coded.clear()
        self._digests.clear()

    def _forget(self, gone: Sequence[int]) -> None:
        if gone:
            self._note(lambda seen: seen.without(gone))

    def _note(self, change: Any) -> None:
        if self.library is None:
            self._sightings = change(self._sightings)
            return
        with store.locked(self.library) as home:
            self._sightings = change(_sightings(self.library, self.name))
            store.write_json(home, f"{self.name}{store.SEEN}", self._sightings.to_dict())


def now() -> str:
    """Return the time, as entries have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sightings(library: Path, name: str) -> Sightings:
    values = store.read_json(library, f"{name}{store.SEEN}")
    try:
        return Sightings() if values is None else Sightings.from_dict(values)
    except LibraryDamaged as error:
        raise LibraryDamaged(f"{library / LISTS / name}{store.SEEN}: {error}; remove the file") from error
