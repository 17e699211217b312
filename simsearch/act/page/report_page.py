"""From a report of duplicates to the page on which they are decided."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from simsearch.act.page.pair import PagePair, PageSide
from simsearch.act.page.previews import Preview, Previews
from simsearch.act.page.write_page import MOST, PageWritten, write_page

if TYPE_CHECKING:
    from simsearch.decide.calibration import Expected
    from simsearch.library.duplicates.report import Duplicates, Picture

Advance = Callable[[int, int], None]
_KINDS = ("file", "link", "member", "none")
_FIXED = {"link": "it is a link", "member": "it lies inside a tar", "none": "it has no file"}
_NOT_BY_RULE = "the other files of its group are near it"
_MOSTLY = 0.5  # pairs to expect from which on their number is told


def write_report_page(
    duplicates: Duplicates,
    path: Path,
    *,
    title: str | None = None,
    most: int = MOST,
    advance: Advance | None = None,
    previews: Previews | None = None,
) -> PageWritten:
    """Write the page of a report of duplicates, and return what was written.

    Args:
        duplicates: The report.
        path: Of the file, which is replaced as a whole.
        title: Of the page; by default it names the library.
        most: Pairs that are shown at most; those with the most bytes to free come first.
        advance: Called with the number of pairs written, and of all that will be.
        previews: Makes the small pictures.

    Raises:
        InputError: `most` is below 1, or the path is no place for a page.
        StorageFull: The disk is full; what stood there is unchanged.
    """
    total = sum(len(group.others) for group in duplicates)
    title = title or f"Duplicates in {Path(duplicates.library).name}"
    against = "" if duplicates.against is None else f" against {Path(duplicates.against).name}"
    return write_page(
        _counted(pairs_of(duplicates, previews), min(total, most), advance),
        path,
        title=title + against,
        library=duplicates.library,
        channel=duplicates.channel,
        metric=duplicates.metric,
        keep=duplicates.keep,
        notes=list(_notes(duplicates)),
        total=total,
        most=most,
    )


def pairs_of(duplicates: Duplicates, previews: Previews | None = None) -> Iterator[PagePair]:
    """Yield the pairs of a report, group by group, each with its previews, which are made as it is asked for.

    Args:
        duplicates: The report.
        previews: Makes the small pictures.
    """
    previews = previews or Previews()
    for number, group in enumerate(duplicates, 1):
        kept = _side(group.kept, previews.of(group.kept.raw))
        for one in group.others:
            other = _side(one.picture, previews.of(one.picture.raw))
            yield PagePair(
                kept,
                other,
                one.distance,
                None if one.expected is None else worth_of_pair(one.expected),
                one.exact,
                one.view,
                number,
                one.chained,
                reason(duplicates.keep, (group.kept, kept.format), (one.picture, other.format)),
                one.same_file,
            )


def worth_of_pair(expected: Expected) -> str:
    """Return how many pairs of strangers of the whole library are as near, in words.

    Example:
        >>> from simsearch.decide.calibration import Expected
        >>> worth_of_pair(Expected(0.02, 0.01, 0.03, beyond_calibration=False))
        'in 1 of 50 such libraries a pair of strangers is as near'
    """
    if expected.value > _MOSTLY:
        return f"about {float(f'{expected.value:.2g}'):,.15g} pairs of strangers are as near"
    if expected.value <= 0:
        return "no pair of strangers is as near"
    most = "at most " if expected.beyond_calibration else ""
    return f"in {most}1 of {float(f'{1 / expected.value:.2g}'):,.15g} such libraries a pair of strangers is as near"


def reason(rule: str, kept: tuple[Picture, str], other: tuple[Picture, str]) -> str:
    """Return why a keep rule chose one file before another, in words.

    Args:
        rule: As it was given.
        kept: The `Picture` that stays, and its format.
        other: The same of the other one.
    """
    a, b = kept[0], other[0]
    if a.kind != b.kind:
        ahead = _KINDS.index(a.kind) < _KINDS.index(b.kind)
        return f"a {a.kind} goes before a {b.kind}" if ahead else _NOT_BY_RULE
    for part in rule.split(","):
        better, words = _judged(part.strip(), kept, other)
        if better:
            return words if better > 0 else _NOT_BY_RULE
    if a.mtime_ns != b.mtime_ns:
        return "they are equal by the rule, and it is older" if a.mtime_ns < b.mtime_ns else _NOT_BY_RULE
    return "they are equal by the rule, and its path comes first"


def _judged(part: str, kept: tuple[Picture, str], other: tuple[Picture, str]) -> tuple[int, str]:
    """Return whether one part of a rule is for the kept file (1), against it (-1) or for neither, and the words."""
    (a, one), (b, two) = kept, other
    name, _, value = part.partition(":")
    order = [text.strip().upper().replace("JPG", "JPEG") for text in value.split("+")]
    ranks = [order.index(text) if text in order else len(order) for text in (one, two)]
    matches = [fnmatch.fnmatchcase(picture.raw, os.fsencode(value)) for picture in (a, b)]
    told: dict[str, tuple[int, str]] = {
        "best": (a.pixels - b.pixels, "it has more pixels"),
        "largest": (a.size - b.size, "it has more bytes"),
        "oldest": (b.mtime_ns - a.mtime_ns, "it is older"),
        "newest": (a.mtime_ns - b.mtime_ns, "it is newer"),
        "quality": (a.quality - b.quality or a.pixels - b.pixels, "its quality is higher, or it has more pixels"),
        "path": (matches[0] - matches[1], f"its path is like {value}"),
        "format": (ranks[1] - ranks[0], f"{one} goes before {two or 'what is not known'}"),
    }
    apart, words = told.get(name, (0, ""))
    if name == "best" and not apart and a.sha256 != b.sha256:
        return 1, "it has as many pixels, and was not compressed harder"
    return (apart > 0) - (apart < 0), words


def _side(picture: Picture, preview: Preview) -> PageSide:
    fixed = _FIXED.get(picture.kind, "") if picture.own else "it is of the library that this one is held against"
    width, height = (picture.width, picture.height) if picture.width and picture.height else preview.size
    return PageSide(
        picture.path,
        picture.path_b64,
        picture.sha256,
        width,
        height,
        picture.size,
        preview.format,
        picture.quality,
        picture.mtime_ns,
        preview.jpeg,
        fixed,
    )


def _notes(duplicates: Duplicates) -> Iterator[str]:
    """Yield sentences on how the pairs were found, and what was left out."""
    yield (
        f"{duplicates.compared:,} contents were compared by {duplicates.metric} of {duplicates.channel}, up to a "
        f"distance of {duplicates.max_distance:.4g}; groups by {duplicates.grouping}."
    )
    if duplicates.expected is not None:
        yield f"Within that limit {worth_of_pair(duplicates.expected)}."
    if duplicates.recall is not None:
        yield f"An index was asked, which finds not quite all: {duplicates.recall}."
    left = {
        "pairs were decided earlier, and are not shown": duplicates.decided,
        "contents show too little to be compared; only their exact copies are shown": duplicates.weak,
        "files are no longer where they were": duplicates.gone,
        "files changed since they were indexed, and are not compared": duplicates.changed,
        "files could not be read for their views": duplicates.unread,
    }
    yield from (f"{count:,} {words}." for words, count in left.items() if count)


def _counted(pairs: Iterator[PagePair], total: int, advance: Advance | None) -> Iterator[PagePair]:
    for done, pair in enumerate(pairs, 1):
        yield pair
        if advance is not None:
            advance(min(done, total), total)
