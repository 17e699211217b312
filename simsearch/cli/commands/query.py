"""`simsearch query`: what resembles an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.answers import image_answers, isolated, row_answers
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.inputs import require_inputs
from simsearch.cli.options import named

if TYPE_CHECKING:
    from simsearch.images.source import Found
    from simsearch.library import Match, Matches, QueryMatches
    from simsearch.library.read.evidence import Evidence

app = typer.Typer(rich_markup_mode=None)
COPIES_SHOWN = 3


@options.command(
    app,
    "query cat.jpg --library photos.library -k 3",
    "query new-photos/ --library photos.library --max-distance 0.2 --json",
    "query --rows rows/part-00000.parquet --library photos.library",
    "query cat.jpg --library small.library --asymmetric",
    "query cat.jpg --library photos.library --channel pdq",
    "query screenshot.png --library photos.library --views crops,letterbox",
    "query cat.jpg --server http://127.0.0.1:8000 --token reading.txt",
    "query cat.jpg --library 2025.library --library 2026.library",
)
def query(
    paths: options.Paths = None,
    *,
    library: Annotated[
        list[Path] | None,
        typer.Option(
            "--library", metavar="DIR", parser=named, help="Folder of the library; several are searched as one."
        ),
    ] = None,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="Ask a service (`simsearch serve`) instead, or too, as http://HOST:PORT.",
        ),
    ] = None,
    token: Annotated[
        Path | None,
        typer.Option("--token", metavar="FILE", parser=named, help="Holds the token that the service wants."),
    ] = None,
    channel: options.Channel = None,
    k: Annotated[
        int, typer.Option("-k", min=0, metavar="N", help="Matches for each query; 0 for all within --max-distance.")
    ] = 10,
    metric: options.QueryMetric = None,
    max_distance: Annotated[
        float | None, typer.Option("--max-distance", min=0, metavar="D", help="Leave out what is farther.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Look at every row, also where optimize built an index.")
    ] = False,
    order: Annotated[
        options.OrderName | None,
        typer.Option(
            "--order",
            help="What the nearest of an index's candidates are chosen by; by default what its recall was measured by.",
        ),
    ] = None,
    asymmetric: Annotated[
        bool,
        typer.Option(
            "--asymmetric", help="Compare bits with how surely the query has each: ranks better, for --bits libraries."
        ),
    ] = False,
    group_copies: Annotated[
        bool,
        typer.Option(
            "--group-copies/--no-group-copies",
            help="Show exact copies (the same bytes) below the first of them, so that -k counts different images.",
        ),
    ] = True,
    exclude_self: Annotated[
        bool,
        typer.Option(
            "--exclude-self",
            help="Leave out the item of the query's own path; copies of it under other paths are matches and stay.",
        ),
    ] = False,
    min_quality: Annotated[
        int,
        typer.Option(
            "--min-quality",
            min=0,
            max=100,
            metavar="Q",
            help="Leave out items whose quality, 0 (blank) to 100, is known to be lower.",
        ),
    ] = 0,
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="KINDS",
            parser=options.view_kinds_named,
            help="Search other views of each image too: flips (mirrored), turns, crops (parts), letterbox (without "
            "bars); by commas.",
        ),
    ] = None,
    fused: Annotated[
        bool | None,
        typer.Option(
            "--fused/--no-fused",
            help="Ask all channels together, and say how many chance matches to expect; by default where the library "
            "has keypoints (`index --model mini --model points`) and nothing is asked of one channel alone.",
        ),
    ] = None,
    closer: Annotated[
        bool,
        typer.Option(
            "--closer",
            help="Look at the first matches once more, by more keypoints of both files: shows hard crops and overlays.",
        ),
    ] = False,
    max_expected: Annotated[
        float | None,
        typer.Option(
            "--max-expected",
            min=0,
            metavar="E",
            help="Decide: a match is one where at most E images of this library would be as near by chance.",
        ),
    ] = None,
    max_fpr: Annotated[
        float | None,
        typer.Option(
            "--max-fpr",
            min=0,
            max=1,
            metavar="P",
            help="Decide: at most this share of queries of strangers may have a match at all.",
        ),
    ] = None,
    for_query: Annotated[
        bool,
        typer.Option(
            "--for-query",
            help="Decide by what is expected for this query alone: more is found, where the rates are the library's.",
        ),
    ] = False,
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise",
            help="Decide by the distance less the query's mean to the nearest of the model's background rows.",
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0.001, metavar="S", help="Seconds that one of several libraries or services is waited for."
        ),
    ] = 30.0,
    from_list: options.FromList = None,
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE.parquet", parser=named, help="Search rows that `simsearch embed` wrote."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", help="What made the library's rows, where that is your own module:Class."
        ),
    ] = None,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Find what resembles images, nearest first.

    A distance says how much two images differ, 0 being equal; it is not yet a verdict on whether one is a copy of the
    other. Beside it stands how many images of this library would be as near by chance, where the rates of strangers are
    known: those of mini and the hashes come with the package, `simsearch calibrate` counts your own. In a library with
    keypoints all channels are asked together. Several libraries, in folders or behind services, answer as one; a match
    names the one that holds it by its number. Exits with 1 when an image could not be used, or one of several libraries
    did not answer.
    """
    from simsearch.cli.elsewhere import Places, answers_of_server, answers_of_shards
    from simsearch.extract.embeddings.parquet import rows_info
    from simsearch.extract.load import load_extractor
    from simsearch.library import Library

    of_library = exclude_self or closer or k == 0 or (not library and (model is not None or device != "auto"))
    several = len(library or []) + len(server or []) > 1
    _require_place(library, server, token, of_library=of_library)
    require_inputs(paths, from_list, rows)
    if metric == "asymmetric":  # as Python takes it; the flag says the same
        asymmetric, metric = True, None
    if asymmetric and (metric or rows):
        raise typer.BadParameter("--asymmetric is a distance of its own, from images: leave out --metric and --rows")
    name = "asymmetric" if asymmetric else metric
    if rows is not None:
        _require_for_rows(paths or from_list, exclude_self=exclude_self, views=views)
    if exact and order is not None:
        raise typer.BadParameter("--exact looks at every row, and asks no index: leave --order out")
    if k == 0 and (max_distance is None or asymmetric):
        raise typer.BadParameter("-k 0 lists all within --max-distance D, by a distance other than --asymmetric")
    how: dict[str, Any] = {"k": k or None, "metric": name, "max_distance": max_distance, "exact": exact}
    how |= {"group_copies": group_copies, "min_quality": min_quality, "order": order and str(order)}
    only_images: dict[str, Any] = {"exclude_self": exclude_self, "views": views or ()}
    of_one = [name, max_distance, order, channel, rows]
    own = {name: True for name, asked in (("for_query", for_query), ("normalise", normalise)) if asked}
    alone = exact or bool(own) or k == 0 or any(value is not None for value in of_one)
    _require_fusable(fused=fused, alone=alone, several=several)
    limits = {"max_expected": max_expected, "max_fpr": max_fpr}
    _require_decided(own, fused or rows is not None or set(limits.values()) == {None})
    only_images |= own
    if several or library is None:
        how |= limits | {key: one for key, one in only_images.items() if one}
        how |= _closer(closer, together=False) if several else {"fused": fused}
        places = Places(library or [], server or [], token, channel, device, model, timeout, max_pixels)
        answers = answers_of_shards if several else answers_of_server
        _tell(answers(places, (paths or [], from_list), rows, how), max_distance, as_json=as_json)
        return
    extractor = None if model is None else load_extractor(model, device=device)
    with Library.open(library[0], extractor=extractor, channel=channel, device=device) as opened:
        together = opened.can_fuse if fused is None and not alone else bool(fused)
        if together:
            how = {key: how[key] for key in ("k", "group_copies", "min_quality")}
        how |= limits | _closer(closer, together=together)
        search = partial(opened.search_fused if together else opened.search, **how, **only_images)
        if rows is not None:
            opened.channel.require(rows_info(rows).fingerprint, str(rows))
            search = partial(opened.search_rows, **how)
        images = partial(image_answers, _apart(search, max_pixels), (paths or [], from_list), opened.path)
        found = row_answers(search, rows) if rows else images()
        _tell(found, max_distance, as_json=as_json)


def _require_place(
    library: list[Path] | None, server: list[str] | None, token: Path | None, *, of_library: bool
) -> None:
    """Make sure that a library is asked, and no service for what only a library in a folder has.

    Raises:
        typer.BadParameter: It is not so.
    """
    if not library and not server:
        raise typer.BadParameter("give --library DIR, or --server URL to ask a service")
    if not server and token is not None:
        raise typer.BadParameter("--token is for --server: a library in a folder wants none")
    if server and of_library:
        raise typer.BadParameter(
            "--server has the model and the device, knows no paths of yours, and counts its matches: leave out "
            "--model, --device, --exclude-self, --closer and -k 0"
        )


def _closer(closer: bool, *, together: bool) -> dict[str, bool]:
    """Return the argument of a closer look.

    Raises:
        typer.BadParameter: One channel is asked alone.
    """
    if closer and not together:
        raise typer.BadParameter(
            "--closer is for all channels together: it needs a library with keypoints (`index --model mini --model "
            "points`), and nothing that is about one channel"
        )
    return {"closer": True} if closer else {}


def _tell(found: Iterable[Matches], max_distance: float | None, *, as_json: bool) -> None:
    """Print what is found, and exit with 1 where an image could not be used."""
    some_rejected, rates = False, None
    for matches in found:
        some_rejected |= _note_missing(matches)
        rates = matches.calibration
        some_rejected |= any(answer.rejected is not None for answer in matches)
        for line in matches.to_list() if as_json else ():
            terminal.show_json(line)
        for answer in () if as_json else matches:
            _show(answer, max_distance)
    if rates is not None and not as_json:
        whose = "" if rates.origin == "package" else "this library's own, "
        terminal.hint(f"by chance: {whose}{rates.pairs:,} pairs of strangers, {rates.what}")
    if some_rejected:
        raise typer.Exit(SOME_REJECTED)


def _require_decided(own: dict[str, bool], wrong: bool) -> None:
    """Make sure that what decides by a query's own rates has something to decide by.

    Raises:
        typer.BadParameter: It has not.
    """
    if own and wrong:
        raise typer.BadParameter(
            "--for-query and --normalise are for images, by one channel, with --max-expected or --max-fpr"
        )


def _require_for_rows(images: object, *, exclude_self: bool, views: str | None) -> None:
    """Make sure that nothing is asked of rows that only images have.

    Raises:
        typer.BadParameter: Something is.
    """
    if images:
        raise typer.BadParameter("--rows takes queries from its file alone: leave out PATH and --from-list")
    if exclude_self or views:
        flag = "--exclude-self goes by paths" if exclude_self else "--views is for images"
        raise typer.BadParameter(f"{flag}, and --rows searches rows: leave one of them out")


def _require_fusable(*, fused: bool | None, alone: bool, several: bool) -> None:
    """Make sure that all channels are asked together only where nothing is asked of one alone, in one library.

    Raises:
        typer.BadParameter: They are not.
    """
    if fused and alone:
        raise typer.BadParameter(
            "--fused asks every row of every channel: leave out --channel, --metric, --max-distance, --exact, --order, "
            "--rows and -k 0"
        )
    if fused and several:
        raise typer.BadParameter("several libraries are asked by one channel: leave out --fused")


def _note_missing(matches: Matches) -> bool:
    """Note which of several libraries did not answer, and return whether there are some."""
    from simsearch.scale.sharded.matches import ShardMatches

    missing = matches.missing if isinstance(matches, ShardMatches) else ()
    for one in missing:
        terminal.note(f"shard {one.shard}, {one.name}, did not answer, so what it holds is missing: {one.problem}")
    return bool(missing)


def _apart(search: Callable[..., Matches], max_pixels: int) -> Callable[[list[Found]], Matches]:
    """Return a search in which a file that crashes a decoder costs one reject, however few there are."""
    return lambda chunk: search(chunk, settings=isolated(len(chunk), max_pixels))


def _show(answer: QueryMatches, max_distance: float | None) -> None:
    terminal.show(answer.query or "(row without a path)")
    if answer.rejected is not None:
        terminal.show(f"  rejected, {answer.rejected.code}: {answer.rejected.message}")
    elif not answer.matches:
        terminal.show("  no match")
    else:
        columns = _Columns.of(answer.matches[0])
        lines: list[tuple[object, ...]] = [columns.head] if columns.head else []
        lines += [line for i, match in enumerate(answer.matches, 1) for line in columns.lines(i, match)]
        terminal.show_columns(lines, right=range(columns.numbers))
        if answer.low_information:
            terminal.show("  shows too little to accuse anybody: blank, or a page of text")
        if answer.recall is not None:
            terminal.show(f"  through an index: {answer.recall}")
        if answer.more:
            terminal.show(f"  ... and more within {max_distance:g}: raise -k, or give -k 0 for all")


@dataclass(frozen=True)
class _Columns:
    """What is shown of the matches of a query."""

    chance: bool
    places: bool
    decided: bool

    @classmethod
    def of(cls, match: Match) -> _Columns:
        return cls(
            match.expected_false_matches is not None, match.evidence is not None, match.decision is not None
        )  # fmt: skip

    @property
    def numbers(self) -> int:
        """Columns that stand to the right."""
        return 2 + self.places + self.chance

    @property
    def head(self) -> tuple[str, ...]:
        if not self.chance:
            return ()
        return ("", "distance", *["places"] * self.places, "by chance", *[""] * self.decided, "")

    def lines(self, number: int, match: Match) -> Iterator[tuple[object, ...]]:
        """Yield the line of a match and those of its copies."""
        from simsearch.decide.calibration import in_words
        from simsearch.library.read.matches import view_remark

        cells: list[object] = [number, f"{match.distance:.4f}"]
        remark = view_remark(match) + ("" if match.shard is None else f"  (shard {match.shard})")
        if match.evidence is not None:
            cells.append("/".join(f"{one.value:.0f}" for one in match.evidence.witnesses if one.metric == "places"))
            remark += _done(match.evidence)
        if match.expected_false_matches is not None:
            cells.append(in_words(match.expected_false_matches, beyond_calibration=match.beyond_calibration))
        if match.decision is not None:
            cells.append("match" if match.decision else "no")
        yield *cells, f"{match.path}{remark}"
        empty = [""] * (len(cells) - 1)
        for copy in match.copies[:COPIES_SHOWN]:
            yield *empty, "=", f"{copy.path} (the same file)" if copy.same_file else copy.path
        if len(match.copies) > COPIES_SHOWN:
            yield *empty, "=", f"... {len(match.copies) - COPIES_SHOWN:,} more exact copies"


def _done(evidence: Evidence) -> str:
    """Return what was done to the picture as a remark behind its path."""
    done = list(evidence.overlap.edits) if evidence.overlap else []
    done += ["channels disagree"] if evidence.disagree else []
    return f"  ({', '.join(done)})" if done else ""
