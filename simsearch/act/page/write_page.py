"""The page of a duplicates report: pairs to look at and to decide, in one file that loads nothing.

It is written as a stream, one pair after another, so that a page of many previews needs no more memory than one of few.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simsearch.act.page.inline import environment, inline, write_whole
from simsearch.act.page.pair import PagePair, safe
from simsearch.errors import InputError

MOST = 500
"""Pairs of a page: their previews make it some 45 MB."""
_SCRIPTS = ("viewer.js", "pairs.js", "decisions.js", "list.js", "review.js")


@dataclass(frozen=True, slots=True)
class PageWritten:
    """A page that was written.

    Attributes:
        path: Its file.
        pairs: How many it shows.
        left_out: How many it does not.
        bytes: Its size.
    """

    path: Path
    pairs: int
    left_out: int
    bytes: int


@dataclass(slots=True)
class _Told:
    """What is known once all pairs are written.

    Attributes:
        pairs: How many there were.
        digest: Over all of them: decisions on one report are none on another.
    """

    pairs: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def take(self, pair: PagePair) -> None:
        self.pairs += 1
        sides = [(side.path, side.path_b64, side.sha256) for side in (pair.kept, pair.other)]
        self.digest.update(repr((sides, pair.distance)).encode(errors="backslashreplace"))

    @property
    def id(self) -> str:
        """Names the report in a browser's storage."""
        return str(self.digest.hexdigest()[:32])


def write_page(
    pairs: Iterable[PagePair],
    path: Path,
    *,
    title: str,
    library: str,
    channel: str | None = None,
    metric: str = "",
    keep: str = "",
    notes: Sequence[str] = (),
    total: int | None = None,
    most: int = MOST,
) -> PageWritten:
    """Write the page on which people decide pairs, and return what was written.

    A kept picture stands in the file once for all pairs in a row that have it, so pairs come group by group.

    Args:
        pairs: To show; taken one by one, and no more than `most` of them.
        path: Of the file, which is replaced as a whole.
        title: Of the page.
        library: The folder that the pictures are of, or whatever says whose they are.
        channel: By whose rows the distances are.
        metric: Name of the distance.
        keep: The keep rule.
        notes: Sentences on what was left out, and on limits.
        total: Pairs that there are in all, if that is known.
        most: Pairs that are shown at most.

    Raises:
        InputError: `most` is below 1, or the path is no place for a page.
        StorageFull: The disk is full; what stood there is unchanged.
    """
    if most < 1:
        raise InputError(f"most is {most}: a page shows at least one pair")
    told, within = _Told(), inline("page.css", *_SCRIPTS)
    page = environment().get_template("page.html")
    facts = {"library": safe(library), "channel": channel, "metric": metric, "keep": safe(keep)}
    pieces = page.generate(
        title=safe(title),
        facts=facts,
        facts_json=_json({**facts, "schema": 1}),
        notes=[safe(note) for note in notes],
        rows=_rows(itertools.islice(pairs, most), told),
        told=told,
        left_out=lambda: max(0, (total or 0) - told.pairs),
        json=_json,
        inline=within,
    )
    size = write_whole(path, pieces)
    return PageWritten(path, told.pairs, max(0, (total or 0) - told.pairs), size)


def _rows(pairs: Iterable[PagePair], told: _Told) -> Iterator[tuple[PagePair, bool]]:
    """Yield each pair, and whether its kept picture is another than that of the pair before."""
    before = None
    for pair in pairs:
        told.take(pair)
        held = pair.group, pair.kept.path, pair.kept.path_b64
        yield pair, held != before
        before = held


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
