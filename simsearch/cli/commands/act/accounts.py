"""`simsearch accounts`: what several matches of one owner are worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsearch.cli import options, terminal

if TYPE_CHECKING:
    from simsearch.decide.accounts import OwnerRates

app = typer.Typer(rich_markup_mode=None)
_WANTED = (1e-6, 1e-9, 1e-12)


@options.command(
    app,
    "accounts --rate 2e-6 --photographs 10000 --at-least 10",
    "accounts --owners false-matches.csv --photographs 10000 --at-least 10",
    "accounts --pair-rate 1e-6 --photographs 2000 --listed 40 --at-least 12",
)
def accounts(
    *,
    photographs: Annotated[int, typer.Option("--photographs", min=1, metavar="N", help="Of one owner.")],
    at_least: Annotated[int, typer.Option("--at-least", min=1, metavar="K", help="Matches of that owner.")],
    rate: Annotated[
        float | None, typer.Option("--rate", min=0, max=1, metavar="P", help="False matches a photograph.")
    ] = None,
    owners: Annotated[
        Path | None,
        typer.Option(
            "--owners",
            metavar="FILE.csv",
            parser=options.named,
            help="Owners whose matches are all false: columns matches and photographs. Rate and dependence are fitted.",
        ),
    ] = None,
    dispersion: Annotated[
        float,
        typer.Option(
            "--dispersion",
            min=0,
            metavar="A",
            help="How unequal owners are: variance = mean + A mean^2; 0 for Poisson.",
        ),
    ] = 0.0,
    pair_rate: Annotated[
        float | None,
        typer.Option("--pair-rate", min=0, max=1, metavar="F", help="False matches a pair, with --listed."),
    ] = None,
    listed: Annotated[
        int | None,
        typer.Option("--listed", min=1, metavar="M", help="Entries of a list, of which K different ones were found."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Print how likely an innocent owner has at least K matches, and how many it takes.

    Chance matches of one owner come in clusters: where one of their photographs is mistaken, the next is, too. Beside
    independent matches stand those as unequal as --dispersion says, or as the owners of a file are.
    """
    from simsearch.decide.accounts import OwnerRates, share_of_list
    from simsearch.decide.intervals import Interval

    given = [value is not None for value in (rate, owners, pair_rate)]
    if sum(given) != 1:
        raise typer.BadParameter("give one of --rate, --owners and --pair-rate")
    if (pair_rate is None) != (listed is None):
        raise typer.BadParameter("--pair-rate and --listed belong together")
    if owners is not None:
        fitted = _fitted(owners)
    else:
        fitted = OwnerRates(rate or 0.0, dispersion, Interval(dispersion, dispersion), 0, 0)
    if pair_rate is not None and listed is not None:
        kinds = {name: share_of_list(at_least, listed, photographs, pair_rate, a) for name, a in _kinds(dispersion)}
        expected, smallest = listed * pair_rate * photographs, dict[str, dict[str, int]]()
    else:
        expected = fitted.rate * photographs
        kinds, smallest = _of_owners(fitted, expected, at_least)
    if as_json:
        facts = {"expected": expected, "at_least": at_least, "photographs": photographs, "probability": kinds}
        terminal.show_json({**facts, "smallest": smallest, "dispersion": fitted.dispersion, "owners": fitted.owners})
        return
    what = f"{at_least} of {listed} listed entries" if listed else f"{at_least} matches"
    terminal.show(f"an innocent owner of {photographs:,} photographs, {expected:.3g} false matches expected:")
    terminal.show_columns([(name, f"at least {what}", f"{value:.2g}") for name, value in kinds.items()], right=(2,))
    if smallest:
        head = ("", *(f"{wanted:g}" for wanted in _WANTED))
        terminal.show("matches that it takes, by the probability of an innocent owner:")
        lines = [(name, *(str(k) for k in counts.values())) for name, counts in smallest.items()]
        terminal.show_columns([head, *lines], right=range(1, len(head)))
    if fitted.owners:
        low, high = fitted.interval
        terminal.show(
            f"fitted on {fitted.owners:,} owners with {fitted.matches:,} matches: dispersion {fitted.dispersion:.3g}, "
            f"95 % {low:.3g} to {high:.3g}"
        )
    terminal.show("assumed: matches by chance alone, of photographs like those that the rate was counted on")


def _kinds(dispersion: float) -> list[tuple[str, float]]:
    return [("independent", 0.0), *([("clustered", dispersion)] if dispersion else [])]


def _of_owners(fitted: OwnerRates, expected: float, k: int) -> tuple[dict[str, float], dict[str, dict[str, int]]]:
    """Return the probabilities, and the smallest numbers of matches, of each kind of dependence."""
    from simsearch.decide.accounts import at_least, smallest_k

    kinds = _kinds(fitted.dispersion)
    if fitted.owners:
        kinds.append(("clustered, upper end", fitted.interval.high))
    found = {name: at_least(k, expected, a) for name, a in kinds}
    smallest = {
        name: {f"{wanted:g}": smallest_k(wanted, expected, a) for wanted in _WANTED} for name, a in kinds
    }  # fmt: skip
    return found, smallest


def _fitted(path: Path) -> OwnerRates:
    from simsearch.decide.accounts import OwnerRates
    from simsearch.errors import InputError
    from simsearch.runtime.user_files import read_csv

    rows = read_csv(path, ("matches", "photographs"))
    try:
        return OwnerRates.of([float(row["matches"]) for row in rows], [float(row["photographs"]) for row in rows])
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: matches and photographs must be numbers") from error
