"""Feedback for an exchange: what people here decided of its entries, as the file that it takes. Nothing is sent."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args
from xml.sax.saxutils import escape, quoteattr

from simsearch.act.exchange import ncmec, stopncii
from simsearch.errors import InputError, shown
from simsearch.library.lists.entries import Entry, SourceRecord
from simsearch.library.lists.image_list import ImageList
from simsearch.runtime.user_files import read_csv

Word = Literal["confirm", "reject", "pending"]
FORMATS = ("csv", ncmec.ORIGIN, stopncii.ORIGIN)
_MOST_DIGITS = 18
_STOPNCII: Mapping[Word, str] = {"confirm": "Blocked", "reject": "NotBlocked", "pending": "PendingReview"}


@dataclass(frozen=True, slots=True)
class EntryVerdict:
    """What was decided of an entry.

    Attributes:
        entry: Its id.
        word: confirm (a match showed what the entry is listed for), reject (it did not), or pending.
        reason: Why not, as the exchange names reasons: NCMEC asks for the GUID of one.
    """

    entry: int
    word: Word
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Feedback:
    """Feedback for an exchange.

    Attributes:
        text: Of the file.
        told: Verdicts in it.
        left_out: How many are not, by the reason.
    """

    text: str
    told: int
    left_out: Mapping[str, int]


def feedback(one: ImageList, verdicts: Sequence[EntryVerdict], form: str) -> Feedback:
    """Return feedback on a list's entries for the exchange that they came from.

    Args:
        one: The list.
        verdicts: One an entry; of several the last counts.
        form: csv, ncmec or stopncii.

    Raises:
        InputError: There is no such format or entry.
    """
    latest = {verdict.entry: verdict for verdict in verdicts}
    entries = list(one.entries(withdrawn=True, ids=latest))
    makers: Mapping[str, Callable[[Sequence[Entry], Mapping[int, EntryVerdict]], Feedback]] = {
        "csv": _csv,
        ncmec.ORIGIN: _ncmec,
        stopncii.ORIGIN: _stopncii,
    }
    if form not in makers:
        raise InputError(f"format {shown(form)} is not known; use {', '.join(FORMATS)}")
    return makers[form](entries, latest)


def read_verdicts(path: Path) -> list[EntryVerdict]:
    """Return the verdicts of a CSV with columns entry and verdict, and maybe reason.

    Raises:
        InputError: It cannot be read, or a verdict is none.
    """
    verdicts = list[EntryVerdict]()
    words: dict[str, Word] = {word: word for word in get_args(Word)}
    for number, row in enumerate(read_csv(path, ("entry", "verdict")), 2):
        word = words.get(row["verdict"].strip().lower())
        entry = row["entry"].strip()
        if word is None or not entry.isascii() or not entry.isdigit() or len(entry) > _MOST_DIGITS:
            raise InputError(f"{path}, line {number}: entry must be a number, and verdict one of {', '.join(words)}")
        verdicts.append(EntryVerdict(int(entry), word, (row.get("reason") or "").strip()))
    return verdicts


def _sources(entry: Entry, origin: str) -> list[SourceRecord]:
    return [source for source in entry.sources if source.origin == origin and source.id]


def _csv(entries: Sequence[Entry], verdicts: Mapping[int, EntryVerdict]) -> Feedback:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("entry", "type", "value", "origin", "id", "verdict", "reason"))
    for entry in entries:
        verdict = verdicts[entry.id]
        for source in entry.sources:
            cells = (entry.id, entry.code.type, entry.code.value.hex(), source.origin, source.id)
            writer.writerow((*cells, verdict.word, verdict.reason))
    return Feedback(file.getvalue(), len(entries), {})


def _stopncii(entries: Sequence[Entry], verdicts: Mapping[int, EntryVerdict]) -> Feedback:
    """Return what SubmitFeedback takes."""
    told, left = list[dict[str, object]](), Counter[str]()
    for entry in entries:
        if not _sources(entry, stopncii.ORIGIN):
            left["not of this exchange"] += 1
            continue
        word = _STOPNCII[verdicts[entry.id].word]
        told.append({"tags": [], "feedbackValue": word, "hashValue": entry.code.value.hex()})
    text = json.dumps({"count": len(told), "hashFeedbacks": told}, indent=1) + "\n"
    return Feedback(text, len(told), left)


def _ncmec(entries: Sequence[Entry], verdicts: Mapping[int, EntryVerdict]) -> Feedback:
    """Return votes, each with the path that it is put to; a vote against needs a reason."""
    lines, left, told = ["<?xml version='1.0' encoding='UTF-8'?>", "<feedbackSubmissions>"], Counter[str](), 0
    for entry in entries:
        verdict, sources = verdicts[entry.id], _sources(entry, ncmec.ORIGIN)
        name = ncmec.NAMES.get(entry.code.type)
        if not sources or name is None:
            left["not of this exchange"] += 1
        elif verdict.word == "pending":
            left["it takes no pending verdicts"] += 1
        elif verdict.word == "reject" and not verdict.reason:
            left["a vote against needs a reason: the GUID that the exchange gives it"] += 1
        else:
            told += 1
            vote = "<affirmative/>"
            if verdict.word == "reject":
                vote = f"<negative><reasonIds><guid>{escape(verdict.reason)}</guid></reasonIds></negative>"
            for source in sources:
                member, _, own = source.id.partition("-")
                path = quoteattr(f"entries/{member}/{own}/{name}/feedback")
                body = f"<feedbackSubmission xmlns={quoteattr(ncmec.NAMESPACE)}>{vote}</feedbackSubmission>"
                lines.append(f"<put path={path}>{body}</put>")
    return Feedback("\n".join([*lines, "</feedbackSubmissions>", ""]), told, left)
