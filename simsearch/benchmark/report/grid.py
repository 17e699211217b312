"""Grids of the report: tables by columns and heat maps, whose cells are values that a template writes as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

from simsearch.benchmark.report.leaderboard import Contender, Key, contenders, label
from simsearch.benchmark.report.palette import heat
from simsearch.benchmark.report.summary import between, per_cent
from simsearch.benchmark.results import Estimate, Results


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: Its content.
        small: A second line in small letters, mostly an interval.
        unsupported: Whether it has too few sources.
        place: The number of the method whose colour it shows.
        bar: The share that is drawn above as a bar; without one the colour is a dot.
    """

    text: str
    small: str = ""
    unsupported: bool = False
    place: int | None = None
    bar: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its heading, a second line below it, whether no cell is supported, its cells."""

    heading: str
    cells: Sequence[Cell]
    below: str = ""
    unsupported: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table by its columns; `best_first` tells that the first row is the best."""

    columns: Sequence[Column]
    best_first: bool = False

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """The cells by rows, first the one that names the row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


@dataclass(frozen=True, slots=True)
class HeatCell:
    """A share and its tooltip."""

    share: float
    title: str = ""

    @property
    def step(self) -> int:
        """The step of the scale of colours: 0 is the best."""
        return heat(self.share)


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Shares by edit and method; the edits are in groups, each with a title and a cell for every method."""

    methods: Sequence[Cell]
    groups: Sequence[tuple[str, Sequence[tuple[str, Sequence[HeatCell | None]]]]]


def texts(heading: str, cells: Iterable[str]) -> Column:
    """Return a column of plain texts."""
    return Column(heading, [Cell(one) for one in cells])


def areas(heading: str, estimates: Iterable[Estimate | None]) -> Column:
    """Return a column of areas above their intervals; None leaves a cell empty."""
    return Column(heading, [Cell(f"{e.value:.3f}", f"{e.low:.3f}-{e.high:.3f}") if e else Cell("") for e in estimates])


def shares(heading: str, estimates: Sequence[Estimate | None], *, places: Sequence[int] | None = None) -> Column:
    """Return a column of shares in per cent above their intervals; the heading bears the mark that holds for all.

    Args:
        heading: Of the column.
        estimates: The shares; None leaves a cell empty.
        places: Numbers of the methods, where bars in their colours are drawn.
    """
    found = [one for one in estimates if one]
    none = bool(found) and not any(one.supported for one in found)
    cells = [
        Cell(per_cent(one), between(one), not (none or one.supported), place, one if places else None)
        if one
        else Cell("")
        for one, place in zip(estimates, places or repeat(None), strict=False)
    ]
    return Column(heading, cells, unsupported=none)


def named(one: Contender) -> Cell:
    """Return the name of a contender with the dot of its colour."""
    return Cell(one.label, place=one.place)


def names(results: Results, keys: Iterable[Key]) -> Column:
    """Return the column of the methods with these keys."""
    places = {one.key: one.place for one in contenders(results)}
    return Column("", [Cell(label(results, key), place=places.get(key, len(places))) for key in keys])
