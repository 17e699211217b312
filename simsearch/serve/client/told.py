"""Matches out of JSON: the inverse of `Matches.to_list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simsearch.errors import RejectCode, ServiceError
from simsearch.images.source import Rejected, Source
from simsearch.library import Match, Matches, QueryMatches
from simsearch.library.indexes.curve import Recall
from simsearch.library.read.evidence import Evidence, Testimony
from simsearch.library.read.matches import Copy
from simsearch.spatial.overlap import Overlap


@dataclass(frozen=True, slots=True)
class ToldCalibration:
    """What a service says of the rates that it judges by; the rates themselves stay there.

    Attributes:
        origin: Whose pairs were counted.
        what: Of which pictures, in words.
        images: How many the pairs are of.
        pairs: Of strangers.
        stale: Whether the library has grown twofold since.
    """

    origin: str
    what: str
    images: int
    pairs: int
    stale: bool

    def is_stale(self, items: int) -> bool:  # noqa: ARG002 - the service knew
        """Return whether the library has grown twofold since."""
        return self.stale


def matches_from(answers: Sequence[Mapping[str, Any]], *, k: int) -> Matches:
    """Return the matches of answers in the form of `query --json`.

    Args:
        answers: One or more of one search.
        k: Matches that were asked for.

    Raises:
        ServiceError: They have another form.
    """
    try:
        first = answers[0]
        told = first.get("calibration")
        queries = tuple(map(_query, answers))
        calibration: Any = None if told is None else ToldCalibration(**told)
        size, channel, metric = first["library_size"], first["channel"], first["metric"]
        return Matches(queries, k, size, channel, metric, calibration)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ServiceError(f"the service's answer has another form: {type(error).__name__}: {error}") from error


def _query(told: Mapping[str, Any]) -> QueryMatches:
    rejected, recall = told["rejected"], told["recall"]
    query = told["query"]
    source = Source(b"", b"", b"", 0, 0, 0) if query is None else Source(b"/", query.encode()[1:], b"", 0, 0, 0)
    return QueryMatches(
        query,
        tuple(map(_match, told["matches"])),
        told["certified"],
        None if rejected is None else Rejected(source, RejectCode(rejected["code"]), rejected["message"]),
        told.get("query_b64"),
        None if recall is None else Recall(**recall),
        told["more"],
        told["order"],
        told.get("views", 1),
        told["low_information"],
        told["crowding"],
    )


def _match(told: Mapping[str, Any]) -> Match:
    interval = told["expected_interval"]
    return Match(
        told["id"],
        told["path"],
        told.get("path_b64"),
        told["distance"],
        told["expected_false_matches"],
        told["decision"],
        tuple(Copy(one["id"], one["path"], one.get("path_b64"), one.get("same_file", False)) for one in told["copies"]),
        told.get("view"),
        _evidence(told) if "witnesses" in told else None,
        None if interval is None else (interval[0], interval[1]),
        told["expected_for_query"],
        told["beyond_calibration"],
        told.get("sha256"),
    )


def _evidence(told: Mapping[str, Any]) -> Evidence:
    common, overlap = told["overlap"], None
    if common is not None:
        query, item = (np.array(common[name], np.float64).reshape(-1, 2) for name in ("in_query", "in_item"))
        overlap = Overlap(query, item, common["of_query"], common["of_item"], tuple(common["edits"]))
    return Evidence(tuple(Testimony(**one) for one in told["witnesses"]), overlap, told["channels_disagree"])
