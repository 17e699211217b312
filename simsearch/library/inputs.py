"""What `add` is given, as inputs: files under paths, and pictures from memory between them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simsearch.errors import ImageRejected, InputError, shown
from simsearch.extract.image_input import FORMS, are_several, is_image, is_path, picture
from simsearch.images.find import Skip, find
from simsearch.images.input_lists import Entry
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Found, Limits, Rejected, Source, source_of
from simsearch.library.select_items import PathLike


@dataclass(frozen=True, slots=True)
class Finder:
    """How inputs are looked for.

    Attributes:
        there: Gives those of some paths that are to be looked through.
        skipped: Told of what is found and no image.
        preprocessing: Gives what turns pictures upright; asked when there is one from memory.
        limits: What decoding a PIL image may cost that is still on disk.
    """

    there: Callable[[Sequence[PathLike]], Sequence[PathLike]]
    skipped: Skip
    preprocessing: Callable[[], Preprocessing]
    limits: Limits | None = None


@dataclass(slots=True)
class Sources:
    """The inputs of one call.

    Attributes:
        stream: Of the inputs, in order; to be taken once.
        roots: The paths among what was given, as far as the stream was taken.
    """

    stream: Iterator[Found] = field(default_factory=lambda: iter(()))
    roots: list[PathLike] = field(default_factory=list)


def own_files(library: Path) -> tuple[bytes, ...]:
    """Return how paths of a library's own files begin; it may lie in a folder that is indexed or asked for."""
    return tuple(os.fsencode(path) + b"/" for path in (library.absolute(), library.resolve()))


def outside(library: Path, sources: Iterable[Found]) -> Iterator[Found]:
    """Yield the sources that are no files of the library itself."""
    own = own_files(library)
    for found in sources:
        if not source_of(found).file.startswith(own):
            yield found


def sources_of(given: Any, finder: Finder, *, from_list: PathLike | Sequence[Entry] | None = None) -> Sources:
    """Return the inputs that one image or path or several are.

    All of a list is looked at before anything is yielded. Of an iterator only the paths that it begins with are: what
    follows is taken as it is needed, so that pictures need not all be in memory.

    Args:
        given: One or several.
        finder: How they are looked for.
        from_list: A list of more paths.

    Raises:
        InputError: a path does not exist, or a value is no image.
    """
    one = is_image(given) and not are_several(given)
    if not one and (isinstance(given, dict) or not isinstance(given, Iterable)):
        raise _no_image(given)
    values = [given] if one else given
    sources = Sources()
    runs = ((on_disk, run) for on_disk, run in itertools.groupby(values, key=is_path))
    if isinstance(values, Collection):
        begun = [_run(on_disk, list(run), finder, sources) for on_disk, run in runs]
        later: Iterable[Iterator[Found]] = ()
    else:
        first = next(runs, (True, iter(())))
        begun = [_run(first[0], list(first[1]) if first[0] else first[1], finder, sources)]
        later = (_run(on_disk, list(run) if on_disk else run, finder, sources) for on_disk, run in runs)
    begun.append(find([], from_list=from_list, skipped=finder.skipped))
    sources.stream = itertools.chain.from_iterable(itertools.chain(begun[:-1], later, begun[-1:]))
    return sources


def _run(on_disk: bool, run: Iterable[Any], finder: Finder, sources: Sources) -> Iterator[Found]:
    if on_disk:
        roots = list(run)
        sources.roots += roots
        return find(finder.there(roots), skipped=finder.skipped)
    for value in run if isinstance(run, list) else ():
        _check(value)
    return (given_source(value, finder.preprocessing(), finder.limits) for value in run)


def _check(value: Any) -> None:
    if not is_image(value):
        raise _no_image(value)


def _no_image(value: Any) -> InputError:
    return InputError(f"{shown(value)} is no image: give {FORMS}")


def given_source(value: Any, preprocessing: Preprocessing, limits: Limits | None) -> Found:
    """Return a picture from memory as an input, rejected where it cannot be used."""
    try:
        return Source.of(picture(value, preprocessing, limits))
    except ImageRejected as error:
        return Rejected(Source.of(b""), error.code, error.message)
