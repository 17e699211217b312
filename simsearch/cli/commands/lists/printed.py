"""What the commands of lists print, and their argument."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal

if TYPE_CHECKING:
    from simsearch.decide.calibration import Expected
    from simsearch.library import Library
    from simsearch.library.lists.entries import Entry, SourceRecord
    from simsearch.library.lists.image_list import ImageList

ListName = Annotated[str, typer.Argument(metavar="NAME", help="Of the list.")]
OwnModel = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME", help="What made the library's rows, where that is your own module:Class."),
]
_TYPE = 20  # letters of a type of code that are shown


def numbers(counts: Mapping[str, int]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def say(line: str, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one line, or the same as JSON."""
    if as_json:
        terminal.show_json(facts)
    else:
        terminal.show(line)


def tell_refused(refused: Mapping[str, int], examples: Mapping[str, list[str]]) -> None:
    """Print what was left out, by the reason, and where."""
    for reason, many in refused.items():
        where = f" ({', '.join(examples[reason])})" if examples.get(reason) else ""
        terminal.note(f"{many:,} left out: {reason}{where}")


def show_facts(one: ImageList, *, as_json: bool) -> None:
    """Print what a list is."""
    seen = one.sightings
    facts: dict[str, Any] = {"kind": one.kind, "entries": len(one), "withdrawn": one.withdrawn, "types": one.types()}
    facts |= {"checks": seen.checks, "set_aside": len(seen.aside), "prevalence": one.prevalence}
    if as_json:
        terminal.show_json({"list": one.name, **facts})
        return
    kinds = ", ".join(f"{short_type(kind)} {count:,}" for kind, count in one.types().items())
    terminal.show(
        f"{one.name}: {one.kind}, {len(one):,} entries ({kinds or 'none'}), {one.withdrawn:,} withdrawn, "
        f"{seen.checks:,} pictures checked, {len(seen.aside):,} set aside"
    )


def entry_facts(one: ImageList, entry: Entry) -> dict[str, Any]:
    """Return an entry for JSON."""
    seen = one.sightings
    return {**entry.to_dict(), "met": seen.counts.get(entry.id, 0), "set_aside": entry.id in seen.aside}


def entry_line(one: ImageList, entry: Entry) -> tuple[str, ...]:
    """Return an entry as cells."""
    seen, value = one.sightings, entry.code.value.hex()
    states = [*(["withdrawn"] if entry.withdrawn else []), *(["set aside"] if entry.id in seen.aside else [])]
    short = value if len(value) <= 64 else value[:61] + "..."
    met = f"met {seen.counts[entry.id]:,} times" if entry.id in seen.counts else ""
    return (
        str(entry.id),
        short_type(entry.code.type),
        short,
        whence(entry.sources),
        ", ".join(filter(None, [*states, met])),
    )


def whence(sources: Sequence[SourceRecord]) -> str:
    """Return who listed an entry, the first two."""
    told = [" ".join(filter(None, (one.origin, one.id, one.time, ",".join(one.tags)))) for one in sources]
    return "; ".join(told[:2]) + (f" and {len(told) - 2} more" if len(told) > 2 else "")


def short_type(kind: str) -> str:
    """Return a type of code in few letters."""
    return kind if len(kind) <= _TYPE else kind[:_TYPE] + "..."


def chance(worth: Expected) -> str:
    """Return how often chance alone gives such a match, by the upper end where the number was not counted."""
    from simsearch.decide.calibration import in_words

    value = worth.high if worth.beyond_calibration else worth.value
    return in_words(value, beyond_calibration=worth.beyond_calibration, asked=("check", "checks"))


def expected_facts(worth: Expected) -> dict[str, Any]:
    """Return an expected number for JSON."""
    return {
        "expected_false_matches": worth.value,
        "expected_interval": [worth.low, worth.high],
        "beyond_calibration": worth.beyond_calibration,
    }


@contextmanager
def opened(path: Path, *, model: str | None = None, device: str = "auto") -> Iterator[Library]:
    """Open a library, with its own class of an extractor where that is given."""
    from simsearch.extract.load import load_extractor
    from simsearch.library import Library

    extractor = None if model is None else load_extractor(model, device=device)
    with Library.open(path, extractor=extractor, device=device) as library:
        yield library
