"""A file of decisions on pairs, as the page of a report writes it; docs/duplicates.md tells its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsearch.errors import InputError, shown
from simsearch.images.paths import raw
from simsearch.library.duplicates.contents import Contents
from simsearch.library.duplicates.encoding import encodings
from simsearch.library.duplicates.find import Files
from simsearch.library.duplicates.keep import KeepRule
from simsearch.library.duplicates.report import Duplicate, Picture
from simsearch.library.verdicts.verdict import Decision, Verdict, content_of_hex, standing, verdict

SCHEMA = 1
KIND = "duplicates"
_MOST_BYTES = 256 << 20
_WORDS: Mapping[str, Decision] = {"remove": "confirm", "keep": "confirm", "not-duplicates": "reject"}


@dataclass(frozen=True, slots=True)
class PairDecision:
    """What was decided of two contents.

    Attributes:
        kept: SHA-256 of the one that stays.
        other: SHA-256 of the other one; the same for two files with the same bytes.
        word: "remove": the other one goes. "keep": they are copies of one picture and both stay. "not-duplicates".
        path: Which file of the other content is meant; None for all.
        distance: As it was shown.
        channel: Of the distance.
    """

    kept: bytes
    other: bytes
    word: str
    path: bytes | None = None
    distance: float | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions of a file.

    Attributes:
        by: Who decided; None where the file does not say.
        pairs: In order.
    """

    by: str | None
    pairs: tuple[PairDecision, ...]

    def verdicts(self, by: str, log: Sequence[Verdict]) -> list[Verdict]:
        """Return what is new in them to a log of verdicts."""
        known, new = dict(standing(log)), []
        for one in self.pairs:
            told = verdict(one.kept, one.other, _WORDS[one.word], by=by, distance=one.distance, channel=one.channel)
            before = known.get(told.pair)
            if before is None or before.decision != told.decision:
                new.append(told)
                known[told.pair] = told
        return new


def read_decisions(path: Path) -> Decisions:
    """Return the decisions in a JSON file.

    Raises:
        InputError: It cannot be read, is too large, or holds what is no decision; the entry is named.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InputError(f"{shown(str(path))} has more than {_MOST_BYTES:,} bytes: it is no file of decisions")
        values: Any = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{shown(str(path))} cannot be read as JSON: {str(error)[:200]}") from error
    good = isinstance(values, dict) and (values.get("schema"), values.get("kind")) == (SCHEMA, KIND)
    if not good or not isinstance(values.get("decisions"), list):
        raise InputError(
            f'{shown(str(path))} is no file of decisions: it must be an object with "schema": {SCHEMA}, '
            f'"kind": "{KIND}" and a list "decisions"'
        )
    by = values.get("by")
    if by is not None and not isinstance(by, str):
        raise InputError(f"{shown(str(path))}: by {shown(by)} must be a name")
    pairs = [_pair(one, f"{shown(str(path))}, decision {i}") for i, one in enumerate(values["decisions"], 1)]
    return Decisions(by, tuple(pairs))


def _pair(values: Any, where: str) -> PairDecision:
    if not isinstance(values, dict):
        raise InputError(f"{where} is no object")
    contents = [content_of_hex(values[key]) if isinstance(values.get(key), str) else None for key in ("kept", "other")]
    if contents[0] is None or contents[1] is None:
        raise InputError(f"{where}: kept and other must be SHA-256, 64 hexadecimal digits each")
    if values.get("verdict") not in _WORDS:
        raise InputError(f"{where}: verdict {shown(values.get('verdict'))} is not known; give {', '.join(_WORDS)}")
    distance, channel = values.get("distance"), values.get("channel")
    if distance is not None and (isinstance(distance, bool) or not isinstance(distance, (int, float))):
        raise InputError(f"{where}: distance {shown(distance)} must be a number")
    if channel is not None and not isinstance(channel, str):
        raise InputError(f"{where}: channel {shown(channel)} must be a name")
    return PairDecision(contents[0], contents[1], values["verdict"], _path(values, where), distance, channel)


def _path(values: Mapping[str, Any], where: str) -> bytes | None:
    import base64

    encoded, text = values.get("other_path_b64"), values.get("other_path")
    try:
        if encoded is not None:
            return base64.b64decode(encoded, validate=True)
        return None if text is None else raw(text)
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: other_path is no path: {error}") from error


def chosen_pairs(decisions: Decisions, contents: Contents, keep: KeepRule) -> Iterator[tuple[Picture, Duplicate]]:
    """Yield the files that are to go by decisions, each with the one that is kept for it, as the library has them now.

    Contents of which the library has no file any more yield nothing.
    """
    removals = [one for one in decisions.pairs if one.word == "remove"]
    wanted = sorted({content for one in removals for content in (one.kept, one.other)})
    numbers = dict(zip(wanted, contents.items_of(wanted), strict=True))
    files, gone, held = Files((contents,)), set[bytes](), dict[bytes, list[Picture]]()
    for content, items in numbers.items():
        there = [picture for number in items if (picture := files.picture(number)) is not None]
        held[content] = keep.ranked(there, encodings)
    for one in removals:
        chosen = [picture for picture in held[one.other] if one.path in (None, picture.raw)]
        staying = [picture for picture in held[one.kept] if picture.raw not in gone]
        if one.kept == one.other:
            staying = [picture for picture in staying if one.path is None or picture.raw != one.path]
            chosen = chosen if one.path is not None else staying[1:]
        for picture in chosen if staying else ():
            if picture.raw not in gone and picture.raw != staying[0].raw:
                gone.add(picture.raw)
                same = staying[0].file_id is not None and staying[0].file_id == picture.file_id
                exact = one.kept == one.other
                yield (
                    staying[0],
                    Duplicate(
                        picture, 0.0 if one.distance is None else one.distance, exact, same_file=same, confirmed=True
                    ),
                )
