"""Lists behind a service, and checks against them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

from simsearch.decide.calibration import Expected
from simsearch.errors import RejectCode, ServiceError
from simsearch.images.source import Rejected, Source
from simsearch.library import Checked, Entry, ListMatch, PictureCheck
from simsearch.library.lists.codes import code
from simsearch.library.lists.editor import Changed
from simsearch.library.lists.entries import SourceRecord, Vote
from simsearch.serve.client.connection import JSON, Connection

_AT_ONCE = 1000


class ServedList:
    """A block or allow list behind a service; what changes it needs the token for writing.

    Attributes:
        name: Of the list.
    """

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._path = f"/v1/lists/{quote(name, safe='')}"

    def __repr__(self) -> str:
        return f"ServedList({self.name!r})"

    def __len__(self) -> int:
        """Return the number of active entries, as it is now."""
        return int(self.facts()["entries"])

    @property
    def kind(self) -> Literal["block", "allow"]:
        """Whether it accuses or excuses."""
        return "block" if self.facts()["kind"] == "block" else "allow"

    def facts(self) -> dict[str, Any]:
        """Return kind, entries, withdrawn ones, prevalence, entries by type, checks, and entries that are set aside.

        Raises:
            InputError: There is no such list.
        """
        return self._connection.json("GET", self._path, again=True)

    def types(self) -> dict[str, int]:
        """Return the number of active entries of each type."""
        return dict(self.facts()["types"])

    def entries(self, *, withdrawn: bool = False, set_aside: bool = False) -> Iterator[Entry]:
        """Yield the active entries, or all, in the order of their ids.

        Args:
            withdrawn: Those too that were taken back.
            set_aside: Only those that the flood guard set aside.
        """
        after, flags = -1, f"withdrawn={str(withdrawn).lower()}&set_aside={str(set_aside).lower()}"
        while True:
            path = f"{self._path}/entries?after={after}&limit={_AT_ONCE}&{flags}"
            some = self._connection.json("GET", path, again=True)["entries"]
            yield from map(_entry, some)
            if len(some) < _AT_ONCE:
                return
            after = some[-1]["id"]

    def add(self, codes: Iterable[str], *, tags: Sequence[str] = ()) -> Changed:
        """List codes without pictures, each written as `TYPE:VALUE`, and return what that did.

        Raises:
            InputError: One is no code.
        """
        body = json.dumps({"codes": list(codes), "tags": list(tags)}).encode()
        return changed_of(self._connection.json("POST", f"{self._path}/entries", body, media=JSON))

    def remove(self, entries: Iterable[int], *, purge: bool = False) -> int:
        """Take entries back by their ids, and return how many were active.

        Raises:
            InputError: There is no entry of an id; those before it were taken back.
        """
        more = "?purge=true" if purge else ""
        paths = [f"{self._path}/entries/{int(entry)}{more}" for entry in entries]
        return sum(int(self._connection.json("DELETE", path)["removed"]) for path in paths)

    def release(self, entries: Iterable[int]) -> None:
        """Let entries go that the flood guard set aside: it never does so again.

        Raises:
            InputError: There is no such entry.
        """
        for entry in entries:
            self._connection.json("POST", f"{self._path}/entries/{int(entry)}/release")

    def purge(self) -> int:
        """Erase what was withdrawn, and return how many entries that were."""
        return int(self._connection.json("POST", f"{self._path}/purge")["gone"])


def changed_of(told: Mapping[str, Any]) -> Changed:
    """Return what changes did."""
    return Changed(*(int(told[name]) for name in ("added", "updated", "unchanged", "withdrawn")))


def checked_of(answers: Sequence[Mapping[str, Any]]) -> Checked:
    """Return the answers of checks of one kind as one.

    Raises:
        ServiceError: They have another form.
    """
    try:
        return joined([_checked(told) for told in answers])
    except (LookupError, TypeError, ValueError) as error:
        raise ServiceError(f"the service's answer has another form: {type(error).__name__}: {error}") from error


def joined(answers: Sequence[Checked]) -> Checked:
    """Return the answers of several checks against the same lists as one."""

    def once(name: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(value for one in answers for value in getattr(one, name)))

    lists = {name: entries for one in answers for name, entries in one.lists.items()}
    pictures = tuple(picture for one in answers for picture in one)
    return Checked(pictures, lists, once("not_compared"), once("notes"), once("set_aside"))


def _checked(told: Mapping[str, Any]) -> Checked:
    aside = tuple((str(name), int(entry)) for name, entry in told["set_aside"])
    pictures = tuple(map(_picture, told["answers"]))
    return Checked(pictures, dict(told["lists"]), tuple(told["not_compared"]), tuple(told["notes"]), aside)


def _picture(told: Mapping[str, Any]) -> PictureCheck:
    bad = told["rejected"]
    rejected = None if bad is None else Rejected(Source.of(b""), RejectCode(bad["code"]), bad["message"])
    matches = tuple(map(_match, told["matches"]))
    return PictureCheck(None, None, matches, told["more"], told["allowed"], told["low_information"], rejected)


def _match(told: Mapping[str, Any]) -> ListMatch:
    value, interval = told["expected_false_matches"], told["expected_interval"]
    beyond = told["beyond_calibration"]
    expected = None if value is None else Expected(value, interval[0], interval[1], beyond_calibration=beyond)
    return ListMatch(
        told["list"],
        told["entry"],
        told["type"],
        told["distance"],
        told["bits"],
        expected,
        tuple(map(_source, told["sources"])),
        told["decision"],
        told["why_not"],
    )


def _entry(told: Mapping[str, Any]) -> Entry:
    sources = tuple(map(_source, told["sources"]))
    withdrawn = told["state"] == "withdrawn"
    return Entry(told["id"], code(told["type"], told["value"]), told["quality"], sources, withdrawn)


def _source(told: Mapping[str, Any]) -> SourceRecord:
    votes = tuple(Vote(vote["up"], vote["by"], vote["reason"]) for vote in told["votes"])
    withdrawn = told.get("withdrawn", False)
    return SourceRecord(told["origin"], told["id"], told["time"], tuple(told["tags"]), votes, withdrawn)
