"""The journal of a folder of rows: one line a part, written after it, so that a later run can resume."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from simsearch.errors import FingerprintMismatch, InputError, OutputLocked, RejectCode
from simsearch.extract.embeddings.parquet import read_paths, read_rejected, rows_identity
from simsearch.extract.extractor import Extractor
from simsearch.images.source import Rejected, Source
from simsearch.runtime.files import sync

NAME, WHOLE = "unfinished.jsonl", "finished.jsonl"
REJECTED = "rejected.parquet"
_FORMAT = 1
_PART = re.compile(r"part-([0-9]{5,})\.(parquet|npy|items\.parquet)")
_TORN = re.compile(r"\.(part-[0-9]{5,}|rejected)\.[a-z.]+\.[0-9]+\.partial")


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A part.

    Attributes:
        rows: In its file; a part without any has none.
        rejected: Inputs without a row.
        digest: Of the paths of its inputs, in order; empty where an earlier version did not keep it.
    """

    rows: int
    rejected: Sequence[Rejected]
    digest: str

    @property
    def inputs(self) -> int:
        """How many inputs it covers."""
        return self.rows + len(self.rejected)


class PathDigest:
    """SHA-256 of the paths of inputs, in order."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def add(self, source: Source) -> None:
        """Take the next input."""
        self._whole.update(len(source.path).to_bytes(8) + source.path)

    def hexdigest(self) -> str:
        """Return the digest of what was added."""
        return self._whole.hexdigest()


class Journal:
    """The journal of a folder, held by one process while it is entered; a part that it does not name was not finished.

    It is called `unfinished.jsonl` until the run has come to its end, and then `finished.jsonl`.

    Raises:
        OutputLocked: On entering, another process writes to the folder.
        InputError: On entering, the folder holds files that are not such a run's, or one of another form.
        FingerprintMismatch: On entering, the run was of another model.
    """

    def __init__(self, folder: Path, extractor: Extractor, form: str) -> None:
        self._folder = folder
        self._head = {"format": _FORMAT, "model": extractor.name, "fingerprint": extractor.fingerprint, "form": form}
        self._form = form
        self._descriptor = -1
        self._entries: list[PartEntry] = []

    @property
    def entries(self) -> Sequence[PartEntry]:
        """The parts that are there, in order."""
        return tuple(self._entries)

    @property
    def parts(self) -> int:
        """How many files of rows there are."""
        return sum(entry.rows > 0 for entry in self._entries)

    @property
    def rows(self) -> int:
        """Rows in all parts."""
        return sum(entry.rows for entry in self._entries)

    @property
    def inputs(self) -> int:
        """Inputs of all parts."""
        return sum(entry.inputs for entry in self._entries)

    def __enter__(self) -> Self:
        if self._folder.exists() and not self._folder.is_dir():
            raise InputError(f"{self._folder} is no folder; give a new one")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._locked()
        try:
            self._begin()
        except BaseException:
            os.close(self._descriptor)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)  # which gives the lock back

    def add(self, rows: int, rejected: Sequence[Rejected], digest: str) -> None:
        """Note a part whose file is there."""
        self._reopen()
        entry = PartEntry(rows, tuple(rejected), digest)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))
        sync(self._path)
        self._entries.append(entry)

    def rejected(self) -> list[Rejected]:
        """Return all inputs without a row, in order."""
        return [one for entry in self._entries for one in entry.rejected]

    def paths(self, number: int) -> Iterator[bytes]:
        """Yield the paths of a part's inputs: those with a row, then those without."""
        entry = self._entries[number]
        if entry.rows:
            place = sum(one.rows > 0 for one in self._entries[:number])
            yield from read_paths(self._folder / f"part-{place:05d}{_suffix(self._form)}")
        yield from (one.source.path for one in entry.rejected)

    @property
    def finished(self) -> bool:
        """Whether the run came to its end, and nothing was added since."""
        return not (self._folder / NAME).exists() and (self._folder / REJECTED).exists()

    def end(self) -> None:
        """Note that the folder is complete."""
        (self._folder / NAME).replace(self._folder / WHOLE)
        sync(self._folder)

    @property
    def _path(self) -> Path:
        return self._folder / (NAME if (self._folder / NAME).exists() else WHOLE)

    def _locked(self) -> int:
        """Return a descriptor of the journal, made if there is none, that no other process holds locked."""
        while True:
            path = self._path
            if not path.exists():
                path = self._folder / (WHOLE if self._whole_without_journal() else NAME)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                os.close(descriptor)
                raise OutputLocked(
                    f"another process is writing rows to {self._folder}; wait for it to end or stop it"
                ) from error
            there = [one for one in (self._folder / NAME, self._folder / WHOLE) if one.exists()]
            if there and os.path.samestat(os.fstat(descriptor), there[0].stat()):
                return descriptor
            os.close(descriptor)  # its holder renamed it meanwhile

    def _whole_without_journal(self) -> bool:
        """Return whether the folder is complete and of a version without a journal; any other must be new or empty."""
        names = {path.name for path in self._folder.iterdir()}
        if not names or NAME in names:  # which another process has made this moment
            return False
        if WHOLE in names or (REJECTED in names and all(_PART.fullmatch(name) for name in names - {REJECTED})):
            return True
        shares = sorted(name for name in names if name.startswith("shard-"))
        more = f"it holds {shares[0]}: give the same --device as then, or a new folder" if shares else "give a new one"
        raise InputError(f"{self._folder} is not an empty folder; {more}, since rows are never mixed")

    def _begin(self) -> None:
        path = self._path
        text = path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if whole:
            try:
                head, *lines = map(json.loads, whole.splitlines())
                self._compare(head)
                self._entries = [_entry(line) for line in lines]
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                message = error if isinstance(error, InputError) else f"{path} is damaged: {error}; give a new folder"
                raise InputError(str(message)) from error
            if whole != text:  # a line was broken off while it was written
                os.ftruncate(self._descriptor, len(whole))
        elif path.name == NAME and any(_PART.fullmatch(one.name) for one in self._folder.iterdir()):
            raise InputError(f"{path} is damaged: it is empty, and there are parts; give a new folder")
        else:
            self._entries = self._from_parts() if path.name == WHOLE else []
            lines = [json.dumps(self._head) + "\n", *map(_line, self._entries)]
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, "".join(lines).encode(), 0)
        sync(path)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what a run that was killed had not brought to its end."""
        for path in self._folder.iterdir():
            part = _PART.fullmatch(path.name)
            if _TORN.fullmatch(path.name) or (part and int(part[1]) >= self.parts):
                path.unlink()

    def _from_parts(self) -> list[PartEntry]:
        """Return the parts of a folder without a journal."""
        entries = []
        for path in sorted(self._folder.glob("part-*.parquet")):
            model, fingerprint, rows = rows_identity(path)
            form = "npy" if path.name.endswith(_suffix("npy")) else "parquet"
            self._compare({**self._head, "model": model, "fingerprint": fingerprint, "form": form})
            entries.append(PartEntry(rows, (), ""))
        rejected = tuple(
            Rejected(_source(path), RejectCode(code), message)
            for path, code, message in read_rejected(self._folder / REJECTED)
        )
        return [*entries, PartEntry(0, rejected, "")] if rejected else entries

    def _reopen(self) -> None:
        """Mark a folder that was complete as unfinished, since more is coming."""
        if not (self._folder / NAME).exists():
            (self._folder / WHOLE).replace(self._folder / NAME)
            (self._folder / REJECTED).unlink(missing_ok=True)
            sync(self._folder)

    def _compare(self, head: dict[str, Any]) -> None:
        if head["fingerprint"] != self._head["fingerprint"]:
            raise FingerprintMismatch(
                f"{self._folder} was begun with {head['model']} ({head['fingerprint'][:16]}); go on with that model, "
                "or give a new folder"
            )
        if head != self._head:
            raise InputError(f"{self._folder} was begun as {head['form']}; go on with that, or give a new folder")


def _suffix(form: str) -> str:
    return ".items.parquet" if form == "npy" else ".parquet"


def _line(entry: PartEntry) -> str:
    rejected = [[base64.b64encode(one.source.path).decode(), str(one.code), one.message] for one in entry.rejected]
    return json.dumps({"rows": entry.rows, "rejected": rejected, "digest": entry.digest}) + "\n"


def _entry(line: dict[str, Any]) -> PartEntry:
    if type(line["rows"]) is not int or line["rows"] < 0 or not isinstance(line["digest"], str):
        raise ValueError(f"no part has {str(line)[:80]}")
    rejected = [
        Rejected(_source(base64.b64decode(path)), RejectCode(code), message) for path, code, message in line["rejected"]
    ]
    return PartEntry(line["rows"], tuple(rejected), line["digest"])


def _source(path: bytes) -> Source:
    """Return an input of which only the path is known."""
    root, name = os.path.split(path)
    return Source(root, name, path, 0, 0, 0)
