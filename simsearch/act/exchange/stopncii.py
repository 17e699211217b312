"""StopNCII's hashes as JSON: what people withdrew must be deleted, which an import does at once.

Written from what `FetchHashes` answers; nothing is sent or fetched here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from simsearch.act.exchange.records import MOST_RECORDS, Read, read_json, seconds_of, short, time_of
from simsearch.errors import InputError, first_line, shown
from simsearch.library.lists.entries import Change, Entry, Vote

ORIGIN = "stopncii"
NAMES = {"pdq": "ImagePDQ", "md5": "VideoMD5"}
GONE = frozenset(("Withdrawn", "Deleted"))
_VOTES = {"Blocked": True, "NotBlocked": False}
_CASE, _SAID = "case:", "said:"


def read_stopncii(data: bytes) -> Read:
    """Return what hash records say; each takes the place of an earlier one of its hash.

    Raises:
        InputError: It is no such JSON.
    """
    values = read_json(data)
    held = values.get("hashRecords") if isinstance(values, dict) else values
    if not isinstance(held, list) or len(held) > MOST_RECORDS:
        raise InputError("it has no list of hashRecords")
    read = Read()
    for number, record in enumerate(held):
        where = f"record {number}"
        try:
            _take(record, where, read)
        except InputError as error:
            read.refuse(where, first_line(error))
    return read


def _take(record: Any, where: str, read: Read) -> None:
    if not isinstance(record, dict):
        raise InputError("a record is no object")
    kind, value = short(record.get("signalType"), "signalType"), short(record.get("hashValue"), "hashValue")
    cases = record.get("caseNumbers") or {}
    if not isinstance(cases, dict):
        raise InputError(f"caseNumbers is {shown(cases)} and must be an object")
    states = {short(case, "case"): short(state, "case status") for case, state in cases.items()}
    status = short(record.get("hashStatus", "Unknown"), "hashStatus")
    own, time = value.strip().lower(), time_of(record.get("lastModtimestamp"))
    if status in GONE or (states and GONE.issuperset(states.values())):
        read.take(Change(ORIGIN, own, (), time, withdrawn=True, erase=True))
        return
    votes, tags = list[Vote](), [f"{_CASE}{case}={state}" for case, state in states.items()]
    for said in record.get("CSPFeedbacks") or []:
        if not isinstance(said, dict):
            raise InputError("a feedback is no object")
        by, what = short(said.get("source", ""), "source"), short(said.get("feedbackValue", ""), "feedbackValue")
        if what in _VOTES:
            votes.append(Vote(_VOTES[what], by))
        else:
            tags.append(f"{_SAID}{by}={what}")
    listed = read.listed(where, kind, value, votes=tuple(votes))
    if listed is not None:
        read.take(Change(ORIGIN, own, (listed,), time, tuple(tags)))


def write_stopncii(entries: Iterable[Entry]) -> tuple[str, list[Entry]]:
    """Return entries as JSON, and those that it has no form for."""
    found, left = list[dict[str, Any]](), list[Entry]()
    for entry in entries:
        if entry.code.type not in NAMES:
            left.append(entry)
            continue
        source = next((one for one in entry.sources if one.origin == ORIGIN), entry.sources[0])
        cases = dict(tag.removeprefix(_CASE).rpartition("=")[::2] for tag in source.tags if tag.startswith(_CASE))
        said = [(vote.by, "Blocked" if vote.up else "NotBlocked") for vote in source.votes]
        for tag in source.tags:
            if tag.startswith(_SAID):
                by, _, what = tag.removeprefix(_SAID).rpartition("=")
                said.append((by, what))
        feedbacks = [{"source": by, "feedbackValue": what, "tags": []} for by, what in said]
        found.append(
            {
                "lastModtimestamp": seconds_of(source.time),
                "signalType": NAMES[entry.code.type],
                "hashValue": entry.code.value.hex(),
                "hashStatus": "Withdrawn" if entry.withdrawn else "Active",
                "caseNumbers": cases,
                "CSPFeedbacks": feedbacks,
            }
        )
    newest = max((one["lastModtimestamp"] for one in found), default=0)
    page = {"count": len(found), "nextPageToken": None, "nextSetTimestamp": newest, "hasMoreRecords": False}
    return json.dumps({**page, "hashRecords": found}, indent=1) + "\n", left
