"""One HTML page of a benchmark's results: self-contained, it loads nothing and needs no script.

Its values are prepared here; `templates/` holds the page and its style sheet. Jinja2 escapes every value; only
templates and the figures that Matplotlib draws are taken as HTML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from simsearch.benchmark.report import palette, plots
from simsearch.benchmark.report.gallery import gallery
from simsearch.benchmark.report.html_tables import (
    heat_map,
    heat_scale,
    methods_table,
    needle_section,
    perception_tables,
    ranking_table,
    templates_table,
    transfer_table,
)
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import contenders
from simsearch.benchmark.report.summary import answer, hardest, per_cent
from simsearch.benchmark.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "report.html"
_PIXELS_A_POINT = 1.3  # so that letters are as large in every figure
_VARIABLES = {
    palette.INK: "--ink",
    palette.LINE: "--line",
    palette.FAINT: "--faint",
    palette.GROUND: "--ground",
    **{colour: f"--c{number}" for number, colour in enumerate(palette.COLOURS)},
}
"""The style sheet's names of the colours that figures are drawn in."""


def write_report(results: Results, folder: Path) -> Path:
    """Write `report.html` into the folder that holds the results and their thumbnails, and return its path.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(report(results, folder), encoding="utf-8")
    return path


def report(results: Results, folder: Path) -> str:
    """Return the page's HTML.

    Args:
        results: Of a benchmark.
        folder: Of their thumbnails.

    Raises:
        DependencyMissing: Matplotlib is not installed.
    """
    said, found, cards = answer(results), contenders(results), gallery(results, folder)
    sections = {
        "needle": needle_section(results, results.needle) if results.needle else None,
        "methods": methods_table(results, said.rate, found) if found else None,
        "edits": heat_map(found) if found else None,
        "curves": found,
        "weak": found,
        "false-matches": cards["false_match"] + cards["closest_stranger"],
        "missed": cards["missed_copy"],
        "chains": _svg("chains", plots.chains, results),
        "transfer": transfer_table(results) if results.transfer else None,
        "sweeps": _svg("sweeps", plots.sweeps, results),
        "perception": perception_tables(results) if results.perception else None,
        "ranking": ranking_table(results) if results.copy_detection else None,
        "templates": templates_table(results) if results.templates else None,
        "measured": True,
    }
    figures = {
        "needle": _svg("needle", plots.FIGURES["needle_recall"], results),
        "right": _svg("right", plots.roc_right_image, results),
        "any": _svg("any", plots.roc, results),
        "transfer": _svg("transfer", plots.transfer, results),
    }
    template = _environment().get_template(FILE)
    return template.render(
        results=results,
        said=said,
        found=found,
        sections={anchor: values for anchor, values in sections.items() if values},
        figures=figures,
        cards=cards,
        facts={"seconds": results.seconds, **results.provenance},
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("simsearch.benchmark.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "palette": palette,
        "heat_scale": heat_scale,
        "edit_title": edit_title,
        "hardest": hardest,
        "per_cent": per_cent,
    }
    environment.filters["json"] = partial(json.dumps, indent=1, ensure_ascii=False)
    return environment


@dataclass(frozen=True, slots=True)
class _Svg:
    """A drawing after `<svg`, in the page's own colours, and its largest width in pixels."""

    rest: Markup
    width: int


def _svg(salt: str, draw: Callable[[Results], Figure | None], results: Results) -> _Svg | None:
    """Return a figure that follows light and dark; `salt` makes its ids unique."""
    with plots.drawing(salt):
        if (figure := draw(results)) is None:
            return None
        buffer = StringIO()
        figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    drawn = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue().partition("<svg")[2], flags=re.DOTALL)
    width = float(re.findall(r' width="([\d.]+)pt"', drawn)[0])
    drawn = re.sub(r' (width|height)="[\d.]+pt"', "", drawn, count=2)
    for colour, variable in _VARIABLES.items():
        drawn = drawn.replace(colour, f"var({variable})")
    return _Svg(Markup(drawn), round(_PIXELS_A_POINT * width))
