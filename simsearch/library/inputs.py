"""The arguments of `add` as inputs: files under paths, and pictures from memory between them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from simsearch.errors import ImageRejected, InputError, shown
from simsearch.extract.image_input import FORMS, are_several, is_image, is_path, pictures
from simsearch.images.find import Skip, find
from simsearch.images.input_lists import ListEntry
from simsearch.images.preprocess import Preprocessing
from simsearch.images.source import Found, Limits, Rejected, Source, source_of
from simsearch.library.select_items import PathLike


def own_files(library: Path) -> tuple[bytes, ...]:
    """Return the prefixes of a library's own files; it may lie in a folder that is indexed or queried."""
    return tuple(os.fsencode(path) + b"/" for path in (library.absolute(), library.resolve()))


def outside(library: Path, sources: Iterable[Found]) -> Iterator[Found]:
    """Yield the sources that are no files of the library itself."""
    library_files = own_files(library)
    for found in sources:
        if not source_of(found).file.startswith(library_files):
            yield found


def sources_of(
    given: Any,
    *,
    there: Callable[[Sequence[PathLike]], Sequence[PathLike]],
    skipped: Skip,
    preprocessings: Callable[[], Sequence[Preprocessing]],
    limits: Limits | None = None,
    from_list: PathLike | Sequence[ListEntry] | None = None,
) -> tuple[Iterator[Found], list[PathLike]]:
    """Return the inputs of one image or path or several.

    All of a list is checked before anything is yielded; of an iterator only the leading paths: the rest is consumed
    lazily, so that pictures need not all be in memory.

    Args:
        given: One or several.
        there: Returns those of some paths that are to be searched.
        skipped: Called with files that are no images.
        preprocessings: Returns how each extractor sees pictures; called when there is one from memory.
        limits: What decoding a PIL image may cost that is still on disk.
        from_list: A list of more paths.

    Returns:
        The inputs, in order, to be taken once; and the paths among what was given, as far as these were taken.

    Raises:
        InputError: A path does not exist, or a value is no image.
    """
    one = is_image(given) and not are_several(given)
    if not one and (isinstance(given, dict) or not isinstance(given, Iterable)):
        raise _no_image(given)
    values, roots = [given] if one else given, list[PathLike]()

    def run(on_disk: bool, some: Iterable[Any]) -> Iterator[Found]:
        if on_disk:
            paths = list(some)
            roots.extend(paths)
            return find(there(paths), skipped=skipped)
        for value in some if isinstance(some, list) else ():
            if not is_image(value):
                raise _no_image(value)
        return (given_source(value, preprocessings(), limits) for value in some)

    runs, listed = itertools.groupby(values, key=is_path), isinstance(values, Collection)
    now = runs if listed else itertools.islice(runs, 1)
    begun = [run(on_disk, list(some) if listed else some) for on_disk, some in now]
    later = (run(on_disk, some) for on_disk, some in runs)
    behind = find([], from_list=from_list, skipped=skipped)
    return itertools.chain.from_iterable(itertools.chain(begun, later, [behind])), roots


def _no_image(value: Any) -> InputError:
    return InputError(f"{shown(value)} is no image: give {FORMS}")


def given_source(value: Any, preprocessings: Sequence[Preprocessing], limits: Limits | None) -> Found:
    """Return a picture from memory as an input, rejected where it cannot be used."""
    try:
        return Source.of(pictures(value, preprocessings, limits))
    except ImageRejected as error:
        return Rejected(Source.of(b""), error.code, error.message)
