"""NCMEC's hash sharing, version 2: entries of members in XML, deleted ones as tombstones, votes on each fingerprint.

Written from what `GET /v2/entries` answers; nothing is sent or fetched here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from simsearch.act.exchange.records import Read, short
from simsearch.act.exchange.xml_records import Element, records
from simsearch.errors import InputError, first_line
from simsearch.library.lists.entries import Change, Entry, SourceRecord, Vote

ORIGIN = "ncmec"
NAMESPACE = "https://hashsharing.ncmec.org/hashsharing/v2"
NAMES = {"md5": "MD5", "sha1": "SHA1", "pdq": "PDQ"}
_DELETED = "deleted"
_KINDS = ("image", "video")


def read_ncmec(data: bytes) -> Read:
    """Return what entries say. A record's id is that of its member and its own, `member-id`.

    Raises:
        InputError: It is no such XML, or goes beyond the limits.
    """
    read = Read()
    for element in records(data, 3):
        kind = element.tag.lower().removeprefix(_DELETED)
        if kind not in _KINDS:
            continue
        try:
            change = _change(element, read)
        except InputError as error:
            read.refuse(f"entry {element.said('id')[:60]}", first_line(error))
            continue
        read.take(change)
    return read


def _change(element: Element, read: Read) -> Change:
    member, own = element.child("member"), element.said("id")
    if member is None or "id" not in member.attributes or not own:
        raise InputError("an entry has no id, or no member with an id")
    name = short(f"{member.attributes['id']}-{own}", "id")
    time, tag = short(element.said("timestamp"), "timestamp"), short(element.said("classification"), "classification")
    if element.tag.lower().startswith(_DELETED):
        return Change(ORIGIN, name, (), time, withdrawn=True)
    votes, codes = _votes(element), []
    prints = element.child("fingerprints")
    for each in prints.children if prints else ():
        if not each.text.strip():
            continue
        listed = read.listed(f"entry {name}", each.tag, each.text, votes=tuple(votes.get(each.tag, ())))
        if listed is not None:
            codes.append(listed)
    return Change(ORIGIN, name, tuple(codes), time, (tag,) if tag else ())


def _votes(element: Element) -> dict[str, list[Vote]]:
    """Return the votes on each fingerprint; reasons stand before their members, or around them."""
    found: dict[str, list[Vote]] = {}
    feedback = element.child("feedback")
    for each in feedback.children if feedback else ():
        votes = found.setdefault(each.attributes.get("type", ""), [])
        if each.tag == "affirmativeFeedback":
            votes += [Vote(True, by) for by in _members(each.child("members"))]
        reasons, reason = each.child("reasons"), ""
        for one in reasons.children if reasons and each.tag == "negativeFeedback" else ():
            if one.tag == "reason":
                reason = one.attributes.get("name", one.attributes.get("guid", ""))
                votes += [Vote(False, by, reason) for by in _members(one.child("members"))]
            elif one.tag == "members":
                votes += [Vote(False, by, reason) for by in _members(one)]
    return found


def _members(element: Element | None) -> Iterator[str]:
    for member in element.children if element else ():
        yield short(f"{member.attributes.get('id', '')} {member.text.strip()}".strip(), "member")


def write_ncmec(entries: Iterable[Entry], *, member: str = "0") -> tuple[str, list[Entry]]:
    """Return entries as XML, and those that it has no form for.

    Args:
        entries: Of a list.
        member: The id under which entries stand that do not come from there.
    """
    groups: dict[tuple[str, str], list[tuple[Entry, SourceRecord]]] = {}
    left = list[Entry]()
    for entry in entries:
        if entry.code.type not in NAMES:
            left.append(entry)
            continue
        for source in entry.sources:
            owner, _, own = (
                source.id.partition("-") if source.origin == ORIGIN else (member, "", f"simsearch{entry.id}")
            )
            groups.setdefault((owner, own), []).append((entry, source))
    newest = max((source.time for group in groups.values() for _, source in group), default="")
    lines = ["<?xml version='1.0' encoding='UTF-8'?>", f'<queryResult xmlns="{NAMESPACE}">']
    lines.append(f'<images count="{len(groups)}" maxTimestamp={quoteattr(newest or "1970-01-01T00:00:00Z")}>')
    lines += [line for (owner, own), group in groups.items() for line in _image(owner, own, group)]
    return "\n".join([*lines, "</images>", "</queryResult>", ""]), left


def _image(owner: str, own: str, group: list[tuple[Entry, SourceRecord]]) -> Iterator[str]:
    live = [(entry, source) for entry, source in group if not source.withdrawn]
    some = (live or group)[0][1]
    tag = "image" if live else "deletedImage"
    yield f"<{tag}><member id={quoteattr(owner)}/><timestamp>{escape(some.time)}</timestamp><id>{escape(own)}</id>"
    if live:
        if some.tags:
            yield f"<classification>{escape(some.tags[0])}</classification>"
        prints = "".join(f"<{(n := NAMES[e.code.type])}>{e.code.value.hex()}</{n}>" for e, _ in live)
        yield f"<fingerprints>{prints}</fingerprints>"
        of_types = {entry.code.type: (entry, source) for entry, source in live}
        yield "<feedback>" + "".join(_said(entry, source) for entry, source in of_types.values()) + "</feedback>"
    yield f"</{tag}>"


def _said(entry: Entry, source: SourceRecord) -> str:
    kind, said = quoteattr(NAMES[entry.code.type]), ""
    up = [vote for vote in source.votes if vote.up]
    if up:
        said += f"<affirmativeFeedback type={kind}><members>{''.join(map(_member, up))}</members></affirmativeFeedback>"
    down: dict[str, list[Vote]] = {}
    for vote in source.votes:
        if not vote.up:
            down.setdefault(vote.reason, []).append(vote)
    if down:
        reasons = "".join(
            f"<reason name={quoteattr(reason)}/><members>{''.join(map(_member, votes))}</members>"
            for reason, votes in down.items()
        )
        said += f"<negativeFeedback type={kind}><reasons>{reasons}</reasons></negativeFeedback>"
    return said


def _member(vote: Vote) -> str:
    number, _, name = vote.by.partition(" ")
    return f"<member id={quoteattr(number)}>{escape(name)}</member>"
