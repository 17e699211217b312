"""Queries by images and by files of rows, in batches, whatever answers them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.cli import terminal
from simsearch.cli.inputs import OtherFiles, about_others, counted, read_inputs
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.images.sidecars import Skipped
    from simsearch.images.source import Found
    from simsearch.library import AddSettings, Matches, QueryMatches

QUERIES_AT_ONCE = 512


def image_answers(
    search: Callable[[list[Found]], Matches], inputs: tuple[list[Path], Path | None], library: Path | None
) -> Iterator[Matches]:
    """Yield the matches of images in the order of the inputs, in batches, so that the first come soon.

    Args:
        search: Gives the matches of some of them.
        inputs: Paths, and a list of more.
        library: A folder whose own files are left out.
    """
    from simsearch.images import find
    from simsearch.library.inputs import outside, own_files

    paths, from_list = inputs
    listed, others = read_inputs(paths, from_list), OtherFiles()
    own = () if library is None else own_files(library)

    def skip(other: Skipped) -> None:
        if not other.path.startswith(own):
            others.skip(other)

    sources = find(paths, from_list=listed, skipped=skip)
    if library is not None:
        sources = outside(library, sources)
    done = 0
    with shown("query", streams=True) as advance, counted(paths, listed) as total:
        chunk = list(itertools.islice(sources, QUERIES_AT_ONCE))
        while chunk:
            matches = search(chunk)
            done += len(chunk)
            advance(done, total())
            chunk = list(itertools.islice(sources, QUERIES_AT_ONCE))
            if chunk:
                yield matches
    if done:  # the last line is a result, not the progress
        yield matches
    if others.kinds:
        terminal.note(about_others(others.kinds))


def row_answers(search: Callable[[Any], Matches], path: Path) -> Iterator[Matches]:
    """Yield the matches of a file of rows, in batches, each under its image's path.

    Args:
        search: Gives the matches of some rows.
        path: The file.
    """
    from simsearch.extract.embeddings.parquet import read_rows

    for batch in read_rows(path):
        matches = search(batch.rows)
        named = [
            answer if name is None else _named(answer, name) for answer, name in zip(matches, batch.paths, strict=True)
        ]
        yield replace(matches, queries=tuple(named))


def isolated(images: int, max_pixels: int) -> AddSettings:
    """Return settings by which a file that crashes a decoder costs one reject, however few images there are."""
    from simsearch.images.source import Limits
    from simsearch.library import AddSettings
    from simsearch.runtime.cpu import default_workers

    return AddSettings(workers=min(images, default_workers()), limits=Limits(max_pixels=max_pixels))


def _named(answer: QueryMatches, path: bytes) -> QueryMatches:
    fields = terminal.path_fields("query", path)
    return replace(answer, query=fields["query"], query_b64=fields.get("query_b64"))
