"""Duplicates of a library behind a service: a search that runs there, and its answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from simsearch.decide.calibration import Expected
from simsearch.errors import ServiceError
from simsearch.library import Duplicate, Duplicates, Group, Picture
from simsearch.serve.client.connection import JSON, Connection, error_told

_AT_ONCE = 1000
_FIRST_S, _LONGEST_S = 0.05, 2.0  # between looks at how far it is
_FACTS = ("id", "path", "sha256", "width", "height", "quality")
_TOTALS = {"decided": "decided", "weak": "low_information", "gone": "gone", "changed": "changed", "unread": "unread"}


def duplicates(
    connection: Connection, asked: Mapping[str, Any], progress: Callable[[int, int], None] | None
) -> Duplicates:
    """Return the duplicates that a service finds, once it has.

    Args:
        connection: To it.
        asked: How is searched.
        progress: Called with contents compared and their number.

    Raises:
        ServiceError: It was stopped there, or the answer has another form.
        SimsearchError: What the search failed of.
    """
    number = connection.json("POST", "/v1/duplicates", json.dumps(dict(asked)).encode(), media=JSON)["search"]
    told = _waited(connection, number, progress)
    totals, pairs = told["totals"], list(_pairs(connection, number, told["total_pairs"]))
    try:
        return Duplicates(
            tuple(_groups(pairs)),
            connection.url,
            totals["channel"],
            totals["metric"],
            totals["max_distance"],
            totals["compared"],
            expected=_expected(totals, beyond=False),
            grouping=totals["grouping"],
            keep=totals["keep"],
            **{ours: totals[theirs] for ours, theirs in _TOTALS.items()},
        )
    except (LookupError, TypeError, ValueError) as error:
        raise ServiceError(f"the service's answer has another form: {type(error).__name__}: {error}") from error


def _waited(connection: Connection, number: int, progress: Callable[[int, int], None] | None) -> dict[str, Any]:
    pause = _FIRST_S
    while True:
        told = connection.json("GET", f"/v1/duplicates/{number}?limit=0", again=True)
        if told["state"] != "running":
            break
        if progress is not None and told["of"]:
            progress(told["compared"], told["of"])
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_S)
    if told["state"] == "done":
        return told
    if told["error"] is None:
        raise ServiceError(f"search {number} for duplicates was stopped at the service")
    raise error_told(told["error"], f"search {number} for duplicates failed")


def _pairs(connection: Connection, number: int, total: int) -> Iterator[dict[str, Any]]:
    for offset in range(0, total, _AT_ONCE):
        path = f"/v1/duplicates/{number}?offset={offset}&limit={_AT_ONCE}"
        yield from connection.json("GET", path, again=True)["pairs"]


def _groups(pairs: list[dict[str, Any]]) -> Iterator[Group]:
    by_group: dict[int, list[dict[str, Any]]] = {}
    for pair in pairs:
        by_group.setdefault(pair["group"], []).append(pair)
    for some in by_group.values():
        yield Group(_picture(some[0]["kept"]), tuple(_duplicate(pair["other"]) for pair in some))


def _picture(told: Mapping[str, Any]) -> Picture:
    facts = {name: told[name] for name in _FACTS}
    more = {"path_b64": told.get("path_b64"), "size": told["bytes"], "mtime_ns": told["mtime_ns"]}
    return Picture(**facts, **more, root=b"", kind="file")


def _duplicate(told: Mapping[str, Any]) -> Duplicate:
    names = ("distance", "exact", "view", "same_file", "confirmed")
    expected = _expected(told, beyond=told["beyond_calibration"])
    return Duplicate(_picture(told), expected=expected, **{name: told[name] for name in names})


def _expected(told: Mapping[str, Any], *, beyond: bool) -> Expected | None:
    value, interval = told["expected_false_pairs"], told["expected_interval"]
    return None if value is None else Expected(value, interval[0], interval[1], beyond_calibration=beyond)
