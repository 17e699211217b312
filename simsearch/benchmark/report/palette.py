"""The colours and lines of a benchmark's methods and shares, the same in plots and report.

Colours are Okabe and Ito's, distinct with every kind of colour blindness, and a few between; the kind of a method is
shown by its dashes and its number by a marker, so that nothing depends on colour alone. Shares go from near the ground
(good) to strong (bad), in one hue. Where an SVG stands in a page, a colour becomes the page's own of that name.

Reference:
    Okabe & Ito, "Color universal design", 2008.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

INK, LINE, FAINT, GROUND = "#1f2430", "#dfe3ea", "#69707d", "#ffffff"
INK_DARK, LINE_DARK, FAINT_DARK, GROUND_DARK = "#e8eaf0", "#343a46", "#9aa2b1", "#14171d"
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#b8578c", "#c98a00", "#3fa0d8"),
    *("#7058a3", "#757575", "#8c564b", "#5d8a1f", "#a8323e", "#2f4b9b"),
)
COLOURS_DARK = (
    *("#4ba8e8", "#ff8a4c", "#2fd0a0", "#e59bc4", "#f0b840", "#8fd0ff"),
    *("#b3a1ea", "#b5b5b5", "#cfa396", "#a5d45c", "#f0818c", "#8ea6f2"),
)
HEAT = ("#eef3f6", "#fff1c9", "#fedd8e", "#fdb45c", "#ec7f2c", "#c24c0a", "#7f2d04")
HEAT_DARK = ("#1d242c", "#352f1d", "#54421b", "#835716", "#cd7f28", "#e88d36", "#ffc583")
HEAT_INK = (INK, INK, INK, INK, INK, "#ffffff", "#ffffff")
HEAT_INK_DARK = (INK_DARK, INK_DARK, INK_DARK, "#ffffff", INK, INK, INK)
SHARE_STEPS = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
AREA_STEPS = (0.65, 0.8, 0.9, 0.95, 0.98, 0.995)

_DASHES = {"network": "solid", "user": "solid", "hash": "dashed", "keypoints": "dashdot"}
_MARKERS = "osD^vPXhp*"


@dataclass(frozen=True, slots=True)
class Style:
    """The style of one method."""

    colour: str
    dash: str
    marker: str


def style(place: int, kind: str) -> Style:
    """Return the colour, dashes and marker of the method with that number.

    Example:
        >>> style(0, "network")
        Style(colour='#0072b2', dash='solid', marker='o')
    """
    return Style(COLOURS[place % len(COLOURS)], _DASHES[kind], _MARKERS[place % len(_MARKERS)])


def heat(value: float, steps: tuple[float, ...] = SHARE_STEPS) -> int:
    """Return the step of `HEAT` for a share or an area: 0 is the best.

    Example:
        >>> heat(1.0), heat(0.99), heat(0.6), heat(0.1)
        (0, 0, 4, 6)
    """
    return len(steps) - bisect_left(steps, value + 1e-9)
