"""The pieces of the report that several sections are made of: shares with intervals, bars, tables, inlined figures."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from simsearch.benchmark.report import palette
from simsearch.benchmark.report.leaderboard import Contender
from simsearch.benchmark.report.markup import Child, Markup, tag, text
from simsearch.benchmark.report.summary import between, per_cent
from simsearch.benchmark.results import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_JPEG = b"\xff\xd8\xff"
_PIXELS_A_POINT = 1.3  # so that letters are as large in every figure
_OWN_COLOURS = {
    palette.INK: "--ink",
    palette.LINE: "--line",
    palette.FAINT: "--faint",
    palette.GROUND: "--ground",
    **{colour: f"--c{number}" for number, colour in enumerate(palette.COLOURS)},
}


def section(anchor: str, heading: str, *children: Child) -> Markup:
    """A section of the page that the navigation can jump to."""
    return tag("section", tag("h2", heading), *children, id=anchor)


def table(columns: Sequence[Sequence[Child]], *, best: bool = False) -> Markup:
    """A table that scrolls sideways where it must; the first column stays, `best` marks the first row.

    Args:
        columns: Each its heading and then its cells.
        best: Whether the first row is the best.
    """
    header, *rows = zip(*columns, strict=True)
    head = tag("tr", *(tag("th", cell, scope="col") for cell in header))
    body = [
        tag("tr", tag("th", row[0], scope="row", class_="name"), *(tag("td", cell) for cell in row[1:]), class_=mark)
        for number, row in enumerate(rows)
        for mark in ["best" if best and number == 0 else None]
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *body)), class_="scroll")


def share(estimate: Estimate, *, marked: bool = True) -> Markup:
    """A share in per cent above its interval, marked where the sources do not support it."""
    parts = [text(per_cent(estimate)), tag("small", between(estimate))]
    if marked and not estimate.supported:
        parts.append(unsupported())
    return text(parts)


def shares(heading: Child, estimates: Sequence[Estimate]) -> list[Child]:
    """A column of shares below its heading; the mark stands in the heading where it holds for all of them."""
    none = bool(estimates) and not any(one.supported for one in estimates)
    head = text([text(heading), tag("br"), unsupported()]) if none else heading
    return [head, *(share(one, marked=not none) for one in estimates)]


def area(estimate: Estimate) -> Markup:
    """An area above its interval."""
    return text([f"{estimate.value:.3f}", tag("small", f"{estimate.low:.3f}-{estimate.high:.3f}")])


def unsupported() -> Markup:
    """The mark of a number that too few sources stand behind."""
    return tag("span", "not supported", class_="badge", title="Too few independent strangers for so small a rate.")


def bar(estimate: Estimate, place: int | None = None) -> Markup:
    """A bar as long as a share, with its interval as a thin line, in the colour of a method."""
    colour = f"--bar:var(--c{place % len(palette.COLOURS)})" if place is not None else None
    width = f"width:{100 * estimate.value:.1f}%"
    line = f"left:{100 * estimate.low:.1f}%;width:{100 * (estimate.high - estimate.low):.1f}%"
    return tag("span", tag("i", style=width), tag("u", style=line), class_="bar", style=colour)


def name(one: Contender) -> Markup:
    """The name of a method with the dot of its colour."""
    return text([dot(one.place), one.label])


def dot(place: int) -> Markup:
    """A dot in the colour of the method with that number."""
    return tag("span", class_="dot", style=f"background:var(--c{place % len(palette.COLOURS)})")


def inline(figure: Figure, caption: Child, label: str) -> Markup:
    """A figure as SVG in the page, in the page's own colours, so that it follows light and dark."""
    buffer = BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    drawn = buffer.getvalue().decode()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    width = float(re.findall(r' width="([\d.]+)pt"', drawn)[0])
    drawn = re.sub(r' width="[\d.]+pt"', "", re.sub(r' height="[\d.]+pt"', "", drawn, count=1), count=1)
    for colour, own in _OWN_COLOURS.items():
        drawn = drawn.replace(colour, f"var({own})")
    head = tag("svg", role="img", aria_label=label, style=f"max-width:{_PIXELS_A_POINT * width:.0f}px").removesuffix(
        "></svg>"
    )
    drawn = drawn.replace("<svg", head, 1)
    return tag("figure", tag("div", Markup(drawn), class_="scroll"), tag("figcaption", caption))


def picture(folder: Path, file: str | None, alt: str) -> Markup:
    """A thumbnail as part of the page; a blank where there is none, or where it is no JPEG below the folder."""
    data = _jpeg(folder, file) if file else b""
    if not data:
        return tag("span", "no thumbnail", class_="blank")
    return tag("img", src=f"data:image/jpeg;base64,{base64.b64encode(data).decode()}", alt=alt, loading="lazy")


def _jpeg(folder: Path, file: str) -> bytes:
    path = (folder / file).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        return b""
    data = path.read_bytes()
    return data if data.startswith(_JPEG) else b""
