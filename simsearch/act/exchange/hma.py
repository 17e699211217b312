"""Banks of HMA (Hasher-Matcher-Actioner) as JSON: its contents, as its API answers them.

`GET /c/bank/NAME/content/ID?include_signals=true` answers a content with its bank and its signals by their types; one
such answer is read, a list of them, and banks with their contents under `content`. Its API has no answer with all
contents of a bank, and `POST /c/bank/NAME/signal` takes the signals of one.

Reference:
    facebook/ThreatExchange, hasher-matcher-actioner, OpenMediaMatch/blueprints/curation.py and schemas/curation.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from simsearch.act.exchange.records import Read, read_json, short
from simsearch.errors import InputError, first_line
from simsearch.library.lists.entries import Change, Entry

ORIGIN = "hma"
NAMES = {"pdq": "pdq", "md5": "video_md5", "sha256": "video_sha256"}
_NAME = "SIMSEARCH"
_ON = 1  # what HMA writes for a content that is on; 0 is off, other numbers are when it is on again


def read_hma(data: bytes, *, now: float | None = None) -> Read:
    """Return what contents say; one that is switched off, or whose bank is, takes back what it listed, and is counted.

    A content's id is `BANK/id`.

    Args:
        data: Of the file.
        now: Unix time; by default that of the clock.

    Raises:
        InputError: It is no such JSON.
    """
    values = read_json(data)
    held = values.get("banks", [values]) if isinstance(values, dict) else values
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise InputError("it is no list of banks, nor of their contents")
    read = Read()
    for number, one in enumerate(held):
        if "id" in one or "signals" in one:
            _take(one, {}, f"content {number}", read, now)
            continue
        name = short(one.get("name", _NAME), "name of a bank")
        if not isinstance(one.get("content"), list):
            raise InputError(f"the bank {name} has no list of contents")
        for place, content in enumerate(one["content"]):
            _take(content, one, f"bank {name}, content {place}", read, now)
    return read


def _take(content: Any, bank: Mapping[str, Any], where: str, read: Read, now: float | None) -> None:
    try:
        if not isinstance(content, dict) or "id" not in content:
            raise InputError("a content has no id")
        own = content.get("bank", bank)
        bank = {"name": own} if isinstance(own, str) else own if isinstance(own, dict) else bank
        key = short(f"{short(bank.get('name', _NAME), 'name of a bank')}/{content['id']}", "id")
        off = "its bank is switched off" if bank.get("matching_enabled_ratio", 1) == 0 else _why_off(content, now)
        if off is not None:
            read.refuse(where, off)
            read.take(Change(ORIGIN, key, withdrawn=True))
            return
        read.take(_change(content, key, where, read))
    except InputError as error:
        read.refuse(where, first_line(error))


def _why_off(content: Mapping[str, Any], now: float | None) -> str | None:
    """Return why a content accuses nobody there; None where it does."""
    until = content.get("disable_until_ts", _ON)
    if isinstance(until, bool) or not isinstance(until, int | float):
        raise InputError("disable_until_ts is no number")
    if content.get("enabled", True) is False or until == 0:
        return "it is switched off"
    return "it is switched off for a time" if until > (time.time() if now is None else now) else None


def _change(content: Mapping[str, Any], key: str, where: str, read: Read) -> Change:
    signals = content.get("signals")
    if not isinstance(signals, dict):
        raise InputError("a content has no signals: HMA answers them to include_signals=true")
    pairs = [(str(kind), short(value, "signal")) for kind, value in signals.items()]
    listed = [read.listed(where, kind, value) for kind, value in pairs]
    notes = content.get("metadata") or {}
    own = notes.get("content_id") if isinstance(notes, dict) else None
    tags = (f"content_id:{short(own, 'content_id')}",) if own is not None else ()
    return Change(ORIGIN, key, tuple(one for one in listed if one), "", tags)


def write_hma(entries: Iterable[Entry], *, bank: str = _NAME) -> tuple[str, list[Entry]]:
    """Return active entries as contents, as HMA answers them, and those that it has no form for."""
    contents: dict[tuple[str, str], dict[str, Any]] = {}
    left = list[Entry]()
    for entry in entries:
        if entry.code.type not in NAMES:
            left.append(entry)
            continue
        for source in entry.sources:
            if source.withdrawn:
                continue
            name, _, own = source.id.rpartition("/") if source.origin == ORIGIN else (bank, "", str(entry.id))
            if (name, own) not in contents:
                ids = [tag.partition(":")[2] for tag in source.tags if tag.startswith("content_id:")]
                contents[name, own] = {
                    "id": _number(own),
                    "disable_until_ts": _ON,
                    "original_media_uri": None,
                    "bank": {"name": name, "matching_enabled_ratio": 1.0},
                    "signals": {},
                    "metadata": {"content_id": ids[0]} if ids else None,
                }
            contents[name, own]["signals"][NAMES[entry.code.type]] = entry.code.value.hex()
    return json.dumps([*contents.values()], indent=1) + "\n", left


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text
