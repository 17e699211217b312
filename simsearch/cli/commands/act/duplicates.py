"""`simsearch duplicates`: pictures that are several times in a folder or library, and what is done with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.commands.act.show_duplicates import (
    along_of,
    show_acted,
    show_groups,
    show_plan,
    write_csv,
    write_report,
)
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.options import named
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.act.duplicates.perform import ActReport
    from simsearch.act.duplicates.plan import Plan
    from simsearch.library import Library
    from simsearch.library.duplicates.report import Duplicates

app = typer.Typer(rich_markup_mode=None)


class Grouping(StrEnum):
    """How pairs become groups; a test holds them equal to those of the library."""

    PAIRS = "pairs"
    COMPLETE = "complete"
    COMPONENTS = "components"


@dataclass(frozen=True, kw_only=True)
class DuplicateFlags:
    """The flags of `duplicates`."""

    paths: options.Paths = None
    library: Annotated[
        Path | None,
        typer.Option(
            "--library",
            metavar="DIR",
            parser=named,
            help="A library, as it is; for PATH one is made in your cache and brought up to date.",
        ),
    ] = None
    against: Annotated[
        Path | None,
        typer.Option(
            "--against",
            metavar="DIR",
            parser=named,
            help="Another library of the same model: pairs between the two alone; its files always stay.",
        ),
    ] = None
    model: options.Model = None
    channel: options.Channel = None
    metric: options.Metric = None
    max_distance: Annotated[
        float | None, typer.Option("--max-distance", min=0, metavar="D", help="How far apart a pair may be.")
    ] = None
    max_false_pairs: Annotated[
        float | None,
        typer.Option(
            "--max-false-pairs",
            min=0,
            metavar="E",
            help="Or how many pairs of strangers to expect in all.  [default: 0.1, or as few as can be told]",
        ),
    ] = None
    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="KINDS",
            parser=options.view_kinds_named,
            help="Find mirrored (flips), turned (turns) and framed (letterbox) copies too; each file is read again.",
        ),
    ] = None
    grouping: Annotated[
        Grouping,
        typer.Option(
            "--groups",
            help="pairs: each is near the kept one; complete: all are near each other; components: linked in any way, "
            "which chains.",
        ),
    ] = Grouping.PAIRS
    keep: Annotated[
        str,
        typer.Option(
            "--keep",
            metavar="RULE",
            help="best (most pixels, no transcode, oldest), largest, oldest, newest, quality, path:PATTERN, "
            "format:NAME+NAME; several by commas.",
        ),
    ] = "best"
    exact: Annotated[bool, typer.Option("--exact", help="Compare all pairs, also where optimize built an index.")] = (
        False
    )
    confirmed: Annotated[bool, typer.Option("--confirmed", help="Only pairs that somebody confirmed, all of them.")] = (
        False
    )
    apply: Annotated[
        Path | None,
        typer.Option(
            "--apply",
            metavar="FILE.json",
            parser=named,
            help="Keep the decisions of a file, and act on those that say so.",
        ),
    ] = None
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Who decided, with --apply.  [default: as the file says]")
    ] = None
    move_to: Annotated[
        Path | None, typer.Option("--move-to", metavar="DIR", parser=named, help="Move the others into a folder.")
    ] = None
    trash: Annotated[bool, typer.Option("--trash", help="Put the others in the desktop's trash.")] = False
    link: Annotated[
        bool, typer.Option("--link", help="Put hard links to the kept file in place of its exact copies.")
    ] = False
    unite: Annotated[
        str,
        typer.Option(
            "--unite",
            metavar="WORDS",
            help="What a kept file gets of one that goes, where it has none: sidecars, tags, times by commas; or none.",
        ),
    ] = "sidecars,tags"
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal", metavar="FILE", parser=named, help="Of what is done.  [default: below ~/.local/state]"
        ),
    ] = None
    undo: Annotated[
        Path | None, typer.Option("--undo", metavar="JOURNAL", parser=named, help="Undo what a journal tells.")
    ] = None
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="JOURNAL", parser=named, help="Go on with what was broken off."),
    ] = None
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE.csv", parser=named, help="Write all groups to a CSV.")
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE.html",
            parser=named,
            help="Write a page on which pairs are looked at and decided; --apply obeys what it saves.",
        ),
    ] = None
    report_pairs: Annotated[
        int | None,
        typer.Option("--report-pairs", min=1, metavar="N", help="Pairs of the page at most.  [default: 500]"),
    ] = None
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Groups that are printed; 0 for all.")] = 50
    device: options.Device = "auto"
    as_json: options.AsJson = False

    def check(self) -> None:
        """Refuse flags that contradict each other.

        Raises:
            typer.BadParameter: Two of them do, or nothing is named.
        """
        ways = [self.undo is not None, self.resume is not None, bool(self.paths), self.library is not None]
        if sum(ways) != 1:
            raise typer.BadParameter("give one of PATH, --library DIR, --undo JOURNAL and --resume JOURNAL")
        if sum([self.move_to is not None, self.trash, self.link]) > 1:
            raise typer.BadParameter("--move-to, --trash and --link are three ways to act: give one of them")
        if (self.undo or self.resume) and (self.apply or self.action or self.csv or self.report):
            raise typer.BadParameter("--undo and --resume go by their journal alone: leave other actions out")
        if self.journal is not None and self.action is None:
            raise typer.BadParameter("--journal is of what is done: give --move-to, --trash or --link")
        if self.apply is not None and (self.against or self.confirmed):
            raise typer.BadParameter("--apply goes by its file alone: leave --against and --confirmed out")
        if self.model is not None and self.library is not None:
            raise typer.BadParameter("a library has its own model: leave --model out")
        if self.report is not None and (self.apply or self.action):
            raise typer.BadParameter("--report is to decide before anything is done: leave --apply and actions out")
        if self.report_pairs is not None and self.report is None:
            raise typer.BadParameter("--report-pairs goes with --report")
        if self.by is not None and self.apply is None:
            raise typer.BadParameter("--by goes with --apply")
        self._check_words()

    def _check_words(self) -> None:
        """Refuse words that are none before anything is read."""
        from simsearch.act.duplicates.unite import ways_named
        from simsearch.errors import InputError
        from simsearch.library.duplicates.keep import keep_rule

        try:
            keep_rule(self.keep)
            ways_named(self.united)
        except InputError as error:
            raise typer.BadParameter(str(error)) from error

    @property
    def united(self) -> list[str]:
        """The words of --unite."""
        return [word.strip() for word in self.unite.split(",")]

    @property
    def action(self) -> Any:
        """What is done with the files that go; None for nothing."""
        return "move" if self.move_to is not None else "trash" if self.trash else "link" if self.link else None


@options.command(
    app,
    "duplicates photos/",
    "duplicates photos/ --views flips,turns --csv duplicates.csv",
    "duplicates photos/ --report duplicates.html",
    "duplicates photos/ --trash",
    "duplicates --undo ~/.local/state/simsearch/journals/duplicates-20260101T120000-1234.jsonl",
    "duplicates --library train.library --against test.library --max-false-pairs 1",
    "duplicates photos/ --apply decisions.json --move-to duplicates/",
    flags=DuplicateFlags,
)
def duplicates(flags: DuplicateFlags) -> None:
    """Find pictures that are several times in a folder or library.

    Exact copies by their bytes, others by their rows, within a distance or an expected number of false pairs. Nothing
    is done unless an action is named; then each step is in a journal first, both files are read again before one goes,
    and --undo brings all of it back. Sidecars (xmp, json, aae, txt) and live videos go along, and are copied beside a
    kept file that has none. Pairs that people decided are not shown
    again. Exits with 1 when an action left something alone.
    """
    flags.check()
    if flags.undo is not None or flags.resume is not None:
        _go_by_journal(flags)
        return
    with _opened(flags) as library:
        if flags.apply is not None:
            plan = _applied(library, flags)
        else:
            report = _found(library, flags)
            if flags.csv is not None:
                write_csv(flags.csv, report)
            if flags.report is not None:
                write_report(flags.report, report, flags.paths or [library.path], most=flags.report_pairs)
            show_groups(report, limit=flags.limit, as_json=flags.as_json)
            if flags.action is None:
                return
            plan = _plan(report.pairs(), flags)
        where = library.path
    if flags.action is None:
        show_plan(plan, as_json=flags.as_json)
        return
    _act(plan, flags, where)


@contextmanager
def _opened(flags: DuplicateFlags) -> Iterator[Library]:
    """Give the library; that of a folder is brought up to date first."""
    from simsearch.library import Library

    with ExitStack() as held:
        if flags.library is not None:
            yield held.enter_context(Library.open(flags.library, channel=flags.channel, device=flags.device))
            return
        from simsearch.act.duplicates.folder import refreshed
        from simsearch.cli.inputs import counted, read_inputs

        paths = flags.paths or []
        read_inputs(paths, None)
        with shown("index") as advance, counted(paths, ()) as total:
            library, report = refreshed(
                paths,
                model=flags.model or "mini",
                device=flags.device,
                progress=lambda progress: advance(progress.done, total()),
            )
        held.enter_context(library)
        if report.rejected:
            terminal.hint(f"{report.rejected:,} files could not be used: `simsearch index` names them")
        terminal.hint(f"the library of this folder is {library.path}")
        yield library


def _found(library: Library, flags: DuplicateFlags) -> Duplicates:
    from simsearch.library import Library

    with ExitStack() as held, shown("duplicates") as advance:
        other = None
        if flags.against is not None:
            other = held.enter_context(Library.open(flags.against, device=flags.device))
        return library.duplicates(
            against=other,
            metric=flags.metric,
            max_distance=flags.max_distance,
            max_false_pairs=flags.max_false_pairs,
            views=flags.views or (),
            grouping=str(flags.grouping),
            keep=flags.keep,
            exact=flags.exact,
            confirmed=flags.confirmed,
            progress=advance,
        )


def _applied(library: Library, flags: DuplicateFlags) -> Plan:
    """Return the plan of a file's decisions, which are kept in the library's log first."""
    import getpass

    from simsearch.act.duplicates.decisions import chosen_pairs, read_decisions
    from simsearch.library.duplicates.contents import Contents
    from simsearch.library.duplicates.keep import keep_rule

    assert flags.apply is not None  # whoever calls looked
    keep, decisions = keep_rule(flags.keep), read_decisions(flags.apply)
    new = decisions.verdicts(flags.by or decisions.by or getpass.getuser(), library.verdicts())
    library.keep_verdicts(new)
    terminal.hint(f"{len(decisions.pairs):,} decisions, {len(new):,} of them new to the log")
    return _plan(chosen_pairs(decisions, Contents.of(library.snapshot), keep), flags)


def _plan(pairs: Any, flags: DuplicateFlags) -> Plan:
    from simsearch.act.duplicates.plan import plan_of

    return plan_of(pairs, flags.action or "trash", destination=flags.move_to, unite=flags.united)


def _act(plan: Plan, flags: DuplicateFlags, library: Path) -> None:
    from simsearch.act.duplicates.perform import new_journal, perform

    if not plan.units:
        terminal.hint("nothing to do")
        return
    journal = flags.journal or new_journal()
    terminal.hint(f"the journal is {journal}; undo it by: simsearch duplicates --undo {journal}")
    if along := along_of(plan.units):
        terminal.hint(f"with {len(plan.units):,} files go {along}")
    with shown("duplicates") as advance:
        done = 0

        def step(what: str) -> None:
            nonlocal done
            done += what == "done"
            advance(done, len(plan.units))

        report = perform(plan, journal, facts={"library": str(library)}, on_step=step)
    _end(report, {"move": "moved", "trash": "put in the trash", "link": "made links"}[plan.action], flags)


def _go_by_journal(flags: DuplicateFlags) -> None:
    from simsearch.act.duplicates.perform import resume
    from simsearch.act.duplicates.undo import undo

    if flags.undo is not None:
        _end(undo(flags.undo), "brought back", flags)
    elif flags.resume is not None:
        _end(resume(flags.resume), "done", flags)


def _end(report: ActReport, verb: str, flags: DuplicateFlags) -> None:
    show_acted(report, verb, as_json=flags.as_json)
    if report.left:
        raise typer.Exit(SOME_REJECTED)
