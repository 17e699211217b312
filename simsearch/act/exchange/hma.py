"""Banks of HMA (Hasher-Matcher-Actioner) as JSON.

A bank is what `GET /c/bank/NAME` answers, with its contents under `content`, each as HMA answers when it is added: its
id and its signals by their types. A list of contents alone is read as one bank.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from simsearch.act.exchange.records import Read, read_json, short
from simsearch.errors import InputError, first_line
from simsearch.library.lists.entries import Change, Entry

ORIGIN = "hma"
NAMES = {"pdq": "pdq", "md5": "video_md5", "sha256": "video_sha256"}
_NAME = "SIMSEARCH"


def read_hma(data: bytes) -> Read:
    """Return what banks say; a bank that is switched off is refused. A content's id is `BANK/id`.

    Raises:
        InputError: It is no such JSON.
    """
    values = read_json(data)
    held = values.get("banks", [values]) if isinstance(values, dict) else values
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise InputError("it is no list of banks, nor of a bank's contents")
    banks = [{"name": _NAME, "content": held}] if held and "signals" in held[0] else held
    if not all("content" in bank for bank in banks):
        raise InputError("a bank has no content")
    read = Read()
    for bank in banks:
        name, contents = short(bank.get("name", _NAME), "name of a bank"), bank["content"]
        if not isinstance(contents, list):
            raise InputError(f"the bank {name} has no list of contents")
        off = bank.get("matching_enabled_ratio", 1) == 0
        for number, content in enumerate(contents):
            where = f"bank {name}, content {number}"
            if off:
                read.refuse(where, "its bank is switched off")
                continue
            try:
                read.take(_change(content, name, where, read))
            except InputError as error:
                read.refuse(where, first_line(error))
    return read


def _change(content: Any, bank: str, where: str, read: Read) -> Change:
    signals = content.get("signals") if isinstance(content, dict) else None
    if not isinstance(signals, dict) or "id" not in content:
        raise InputError("a content has no id, or no signals")
    pairs = [(str(kind), short(value, "signal")) for kind, value in signals.items()]
    listed = [read.listed(where, kind, value) for kind, value in pairs]
    notes = content.get("metadata") or {}
    own = notes.get("content_id") if isinstance(notes, dict) else None
    tags = (f"content_id:{short(own, 'content_id')}",) if own is not None else ()
    return Change(ORIGIN, short(f"{bank}/{content['id']}", "id"), tuple(one for one in listed if one), "", tags)


def write_hma(entries: Iterable[Entry], *, bank: str = _NAME) -> tuple[str, list[Entry]]:
    """Return active entries as banks, and those that it has no form for."""
    banks: dict[str, dict[str, dict[str, Any]]] = {}
    left = list[Entry]()
    for entry in entries:
        if entry.code.type not in NAMES:
            left.append(entry)
            continue
        for source in entry.sources:
            if source.withdrawn:
                continue
            name, _, own = source.id.rpartition("/") if source.origin == ORIGIN else (bank, "", str(entry.id))
            content = banks.setdefault(name, {}).setdefault(own, {"id": _number(own), "signals": {}})
            content["signals"][NAMES[entry.code.type]] = entry.code.value.hex()
            ids = [tag.partition(":")[2] for tag in source.tags if tag.startswith("content_id:")]
            content |= {"metadata": {"content_id": ids[0]}} if ids else {}
    on = {"matching_enabled_ratio": 1.0}
    found = [{"name": name, **on, "content": [*contents.values()]} for name, contents in banks.items()]
    return json.dumps(found, indent=1) + "\n", left


def _number(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text
