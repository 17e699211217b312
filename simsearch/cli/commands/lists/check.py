"""`simsearch check`: whether anything of some pictures is listed, for people and for scripts."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import options, terminal
from simsearch.cli.commands.lists.printed import OwnModel, chance, opened, short_type, whence
from simsearch.cli.exit_codes import LISTED, SOME_REJECTED
from simsearch.cli.inputs import counted, read_inputs, require_inputs
from simsearch.cli.options import named
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.images.sidecars import Skipped
    from simsearch.images.source import Found
    from simsearch.library import AddSettings, Library
    from simsearch.library.lists.comparison import Thresholds
    from simsearch.library.lists.found import Checked, ListMatch, PictureCheck
    from simsearch.library.lists.image_list import ImageList

app = typer.Typer(rich_markup_mode=None)
AT_ONCE = 512
_WHY = {
    "low_information": "shows too little to accuse",
    "set_aside": "set aside by the flood guard",
    "too_many_expected": "chance may explain it",
}


@options.command(
    app,
    "check upload.jpg --list blocked --library photos.library",
    "check uploads/ --list hashes.txt",
    "check uploads/ --list blocked --list press --library photos.library --max-expected 0.001 --json",
)
def check(
    paths: options.Paths = None,
    *,
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="NAME",
            help="A list of the library, or a file of an exchange as a block list; several times.  [default: all]",
        ),
    ] = None,
    allow: Annotated[
        list[Path] | None,
        typer.Option("--allow", metavar="FILE", parser=named, help="A file of an exchange as an allow list."),
    ] = None,
    library: Annotated[
        Path | None, typer.Option("--library", metavar="DIR", parser=named, help="Folder of the library.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Type of lines of a file that have none, as pdq.")
    ] = None,
    max_bits: Annotated[
        int, typer.Option("--max-bits", min=0, max=256, metavar="N", help="Bits within which PDQ hashes match.")
    ] = 31,
    max_distance: Annotated[
        float | None,
        typer.Option("--max-distance", min=0, metavar="D", help="Distance within which rows of a channel match."),
    ] = None,
    max_expected: Annotated[
        float | None,
        typer.Option(
            "--max-expected",
            min=0,
            metavar="E",
            help="Decide by expected false matches in one list, PDQ too.  [default: 0.01 for rows of a channel]",
        ),
    ] = None,
    max_fpr: Annotated[
        float | None,
        typer.Option(
            "--max-fpr", min=0, max=1, metavar="P", help="Decide: at most this share of strangers may match a list."
        ),
    ] = None,
    count: Annotated[bool, typer.Option("--count/--no-count", help="Count what is met, for the flood guard.")] = True,
    from_list: options.FromList = None,
    model: OwnModel = None,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Tell whether pictures are listed: exits with 10 when one is, with 0 when none is.

    Equal digests of a file's bytes are the same file. PDQ hashes within 31 bits, and rows that are nearer than chance
    explains, are matches; beside each stands how many entries of the list would be as near by chance. What is as near
    to an entry of an allow list is never told. A blank picture is accused by its digest alone. Exits with 1 when
    nothing is listed but an image, or entries of a list, could not be compared.
    """
    from simsearch.library.calibration.known import most_of
    from simsearch.library.lists.comparison import Thresholds

    require_inputs(paths, from_list)
    thresholds = Thresholds(max_bits, max_distance, most_of(max_expected, max_fpr))
    with ExitStack() as stack:
        given = None if library is None else stack.enter_context(opened(library, model=model, device=device))
        against = _Against(given, _lists(given, lists or [], allow or [], kind), thresholds, max_pixels, count)
        listed = rejected = False
        for number, answers in enumerate(against.answers(paths or [], from_list)):
            _tell(answers, as_json=as_json, first=number == 0)
            listed |= answers.listed
            rejected |= bool(answers.not_compared) or any(one.rejected is not None for one in answers)
    if listed or rejected:
        raise typer.Exit(LISTED if listed else SOME_REJECTED)


def _lists(library: Library | None, names: Sequence[str], allow: Sequence[Path], kind: str | None) -> list[ImageList]:
    """Return the lists of the names, of the library or of files."""
    from simsearch.act import list_of_file
    from simsearch.errors import InputError

    known = () if library is None else library.lists()
    if not names and not allow and library is None:
        raise typer.BadParameter("no list to check against: give --list NAME --library DIR, or --list FILE")
    held = list[Any]()
    for name in names or known:
        if library is not None and name in known:
            held.append(library.list(name))
        elif Path(name).is_file():
            held.append(_of_file(list_of_file(name, default=kind)))
        else:
            has = (
                f"{library.path} has {', '.join(known) or 'none'}" if library else "without --library it must be a file"
            )
            raise InputError(f"there is no list {name}: {has}")
    held += [_of_file(list_of_file(path, kind="allow", default=kind)) for path in allow]
    if not held and library is not None:
        where = f"--library {library.path}"
        raise InputError(f"{library.path} has no lists: `simsearch list create NAME --kind block {where}`")
    return held


def _of_file(read: Any) -> ImageList:
    one, said = read
    for reason, many in said.refused.items():
        terminal.note(f"{one.name}: {many:,} refused, {reason} ({', '.join(said.examples[reason])})")
    return one  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Against:
    """What pictures are checked against."""

    library: Library | None
    lists: Sequence[ImageList]
    thresholds: Thresholds
    max_pixels: int
    count: bool

    def answers(self, paths: list[Path], from_list: Path | None) -> Iterator[Checked]:
        """Yield the answers, in the order of the inputs, in batches; files that are no pictures come last."""
        from simsearch.images import find
        from simsearch.library.lists.open_lists import Models, check_lists

        others, listed, done = list[Path](), read_inputs(paths, from_list), 0
        models = Models() if self.library is None else self.library.list_models()
        how: dict[str, Any] = {"settings": self._settings, "count": self.count}

        def skip(other: Skipped) -> None:
            others.append(Path(os.fsdecode(other.path)))

        sources = self._outside(find(paths, from_list=listed, skipped=skip))
        with shown("check", streams=True) as advance, counted(paths, listed) as total:
            while chunk := list(itertools.islice(sources, AT_ONCE)):
                yield check_lists(chunk, self.lists, models, self.thresholds, **how)
                done += len(chunk)
                advance(done, total())
        if files := [path for path in others if path.is_file()]:
            yield check_lists(self._outside(find(files)), self.lists, models, self.thresholds, looks=False, **how)
            terminal.hint(f"{len(files):,} other file(s) are no pictures and were compared by their digests alone")

    @property
    def _settings(self) -> AddSettings:
        from simsearch.images.source import Limits
        from simsearch.library import AddSettings

        return AddSettings(limits=Limits(max_pixels=self.max_pixels))

    def _outside(self, found: Iterator[Found]) -> Iterator[Found]:
        from simsearch.library.inputs import outside

        return found if self.library is None else outside(self.library.path, found)


def _tell(answers: Checked, *, as_json: bool, first: bool) -> None:
    for note in answers.not_compared + answers.notes if first else answers.notes:
        terminal.note(note)
    for answer in answers:
        if as_json:
            terminal.show_json(answer.to_dict())
        else:
            _show(answer)
    for name, entry in answers.set_aside:
        terminal.note(
            f"{name}: entry {entry} was met more often than can be expected and is set aside: it accuses nobody until "
            f"somebody has looked and typed `simsearch list release {name} {entry}`"
        )


def _show(answer: PictureCheck) -> None:
    told = "listed" if answer.listed else "not listed"
    allowed = ", an allow list excuses it" if answer.allowed and not answer.listed else ""
    terminal.show(f"{answer.query or '(a picture from memory)'}: {told}{allowed}")
    if answer.rejected is not None:
        terminal.show(f"  its looks were not compared, {answer.rejected.code}: {answer.rejected.message}")
    if answer.matches:
        terminal.show_columns([_line(match) for match in answer.matches], right=(1,))
    if answer.more:
        terminal.show(f"  ... and {answer.more:,} more entries")


def _line(match: ListMatch) -> tuple[str, ...]:
    from simsearch.library.lists.codes import DIGESTS

    if match.type in DIGESTS:
        near, worth = "the same file", ""
    else:
        near = f"{match.distance:.4f}" if match.bits is None else f"{match.bits} bits"
        worth = "by chance " + chance(match.expected) if match.expected else "rates not known"
    entry = f"{match.list} entry {match.entry}"
    return short_type(match.type), near, worth, entry, whence(match.sources), _WHY.get(match.why_not or "", "")
