"""What of a folder of rows is there already: one line a part, written behind it, so that a broken run can go on."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsearch.errors import FingerprintMismatch, InputError, RejectCode
from simsearch.extract.extractor import Extractor
from simsearch.extract.rows_file import sync
from simsearch.images.rejected import Rejected
from simsearch.images.source import Source

NAME = "unfinished.jsonl"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """A part.

    Attributes:
        rows: In its file; a part without any has none.
        rejected: Inputs without a row.
        digest: Of the paths of its inputs, in order.
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
        """The digest of what was added."""
        return self._whole.hexdigest()


class Journal:
    """The journal of a folder; a part that it does not name was not finished."""

    def __init__(self, folder: Path, extractor: Extractor, form: str) -> None:
        self._folder = folder
        self._head = {"format": _FORMAT, "model": extractor.name, "fingerprint": extractor.fingerprint, "form": form}
        self._entries: list[Entry] = []

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

    def begin(self) -> Sequence[Entry]:
        """Make the folder, or find what a broken run left in it, and return the parts that are there.

        Raises:
            InputError: the folder holds files that are not such a run's, or one of another form.
            FingerprintMismatch: the run was of another model.
        """
        path = self._folder / NAME
        if self._folder.exists() and (not self._folder.is_dir() or any(self._folder.iterdir())) and not path.exists():
            raise InputError(f"{self._folder} is not an empty folder; give a new one, since rows are never mixed")
        self._folder.mkdir(parents=True, exist_ok=True)
        for torn in self._folder.glob(".*.partial"):
            torn.unlink()
        lines = _whole_lines(path)
        if lines:
            self._compare(json.loads(lines[0]))
            self._entries = [_entry(json.loads(line)) for line in lines[1:]]
        path.write_text("".join(f"{line}\n" for line in lines or [json.dumps(self._head)]), encoding="utf-8")
        sync(path)
        return tuple(self._entries)

    def add(self, rows: int, rejected: Sequence[Rejected], digest: str) -> None:
        """Note a part whose file is there."""
        entry = Entry(rows, tuple(rejected), digest)
        told = [[base64.b64encode(one.source.path).decode(), str(one.code), one.message] for one in rejected]
        with (self._folder / NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"rows": rows, "rejected": told, "digest": digest}) + "\n")
        sync(self._folder / NAME)
        self._entries.append(entry)

    def rejected(self) -> list[Rejected]:
        """All inputs without a row, in order."""
        return [one for entry in self._entries for one in entry.rejected]

    def end(self) -> None:
        """Remove the journal: the folder is complete."""
        (self._folder / NAME).unlink()

    def _compare(self, head: dict[str, Any]) -> None:
        if head["fingerprint"] != self._head["fingerprint"]:
            raise FingerprintMismatch(
                f"{self._folder} was begun with {head['model']} ({head['fingerprint'][:16]}); go on with that model, "
                "or give a new folder"
            )
        if head != self._head:
            raise InputError(f"{self._folder} was begun as {head['form']}; go on with that, or give a new folder")


def _whole_lines(path: Path) -> list[str]:
    """The lines of a journal; one that was broken off while it was written is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1].splitlines()


def _entry(line: dict[str, Any]) -> Entry:
    rejected = [
        Rejected(_source(base64.b64decode(path)), RejectCode(code), message) for path, code, message in line["rejected"]
    ]
    return Entry(line["rows"], tuple(rejected), line["digest"])


def _source(path: bytes) -> Source:
    """An input of which only the path is known."""
    root, name = os.path.split(path)
    return Source(root, name, path, 0, 0, 0)
