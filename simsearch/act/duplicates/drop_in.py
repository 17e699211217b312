"""Two functions with the answers of imagededup's, so that a script need not change more than its import.

Distances stand where imagededup has scores: lower is more similar.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from simsearch.act.duplicates.folder import refreshed
from simsearch.images.paths import Links
from simsearch.library import Library
from simsearch.library.duplicates.search import DuplicateSearch
from simsearch.library.format.manifest import Manifest
from simsearch.library.settings import AddSettings
from simsearch.library.verdicts.log import read
from simsearch.library.verdicts.verdict import pair_of, standing


def find_duplicates(
    image_dir: str | os.PathLike[str],
    *,
    max_distance: float | None = None,
    max_false_pairs: float | None = None,
    scores: bool = False,
    recursive: bool = False,
    outfile: str | os.PathLike[str] | None = None,
    model: str = "mini",
    device: str = "auto",
) -> dict[str, list[Any]]:
    """Return, for each image of a folder by its name, the names of its duplicates; nothing is written to the folder.

    Pairs that somebody rejected in the folder's library are left out. Without a distance or a number of false pairs a
    tenth of one is expected in the whole folder, or less.

    Args:
        image_dir: The folder.
        max_distance: Of a pair.
        max_false_pairs: Pairs of strangers to expect, in all.
        scores: Return (name, distance) in place of names.
        recursive: Take images of folders inside, too, by their paths below `image_dir`.
        outfile: A JSON file to write the answer to.
        model: Of the rows.
        device: Of embedding and search.

    Raises:
        InputError: The folder does not exist, or no rates of the model are known and no distance is given.
    """
    library, _ = refreshed([image_dir], model=model, device=device)
    with library:
        names = _names(library, image_dir, recursive=recursive)
        limits = {"max_distance": max_distance, "max_false_pairs": max_false_pairs}
        found: dict[str, dict[str, float]] = {name: {} for name in sorted(names.values())}
        for a, b, distance in _all_pairs(library, limits):
            if a in names and b in names:
                found[names[a]][names[b]] = found[names[b]][names[a]] = distance
    answer: dict[str, list[Any]] = {
        name: [
            (other, distance) if scores else other
            for other, distance in sorted(near.items(), key=lambda one: one[::-1])
        ]
        for name, near in found.items()
    }
    _write(outfile, answer)
    return answer


def find_duplicates_to_remove(
    image_dir: str | os.PathLike[str],
    *,
    max_distance: float | None = None,
    max_false_pairs: float | None = None,
    keep: str = "best",
    recursive: bool = False,
    outfile: str | os.PathLike[str] | None = None,
    model: str = "mini",
    device: str = "auto",
) -> list[str]:
    """Return the names of the images that could go: of each there is a better one that stays and is near it.

    Args:
        image_dir: The folder, to which nothing is written.
        max_distance: Of a pair.
        max_false_pairs: Pairs of strangers to expect, in all.
        keep: Which image of a group stays, as of `Library.duplicates`.
        recursive: Take images of folders inside, too, by their paths below `image_dir`.
        outfile: A JSON file to write the answer to.
        model: Of the rows.
        device: Of embedding and search.

    Raises:
        InputError: As `find_duplicates`, or there is no such keep rule.
    """
    library, _ = refreshed([image_dir], model=model, device=device)
    with library:
        report = library.duplicates(max_distance=max_distance, max_false_pairs=max_false_pairs, keep=keep)
    base = os.path.realpath(os.fsencode(image_dir)).rstrip(b"/") + b"/"
    names = sorted(
        os.fsdecode(one.picture.raw[len(base) :])
        for _, one in report.pairs()
        if not one.same_file and one.picture.kind == "file"
    )
    answer = names if recursive else [name for name in names if "/" not in name]
    _write(outfile, answer)
    return answer


def _names(library: Library, folder: str | os.PathLike[str], *, recursive: bool) -> dict[int, str]:
    """Return the name of each item below the folder, by the item's number through all segments."""
    base = Links().real(os.fsencode(folder)).rstrip(b"/") + b"/"
    starts = [0]
    for segment in library.snapshot.segments:
        starts.append(starts[-1] + len(segment))
    found = {}
    for place, path in library.snapshot.paths():
        if path is not None and path.startswith(base) and (recursive or b"/" not in path[len(base) :]):
            found[starts[place.segment] + place.position] = os.fsdecode(path[len(base) :])
    return found


def _all_pairs(library: Library, limits: dict[str, float | None]) -> list[tuple[int, int, float]]:
    """Return every pair of items within the limit, exact copies at the distance 0."""
    search = DuplicateSearch(
        library, library.channel, None, grouping="pairs", keep="best", views=(), settings=AddSettings()
    )
    pairs = search.pairs(None, limits, resident=None)
    [contents] = pairs.contents
    decided = standing(read(Manifest(library.path)))
    copies = {int(items[0]): items.tolist() for items in contents.groups()}

    def rejected(a: int, b: int) -> bool:
        one, other = contents.content(a), contents.content(b)
        known = None if one is None or other is None else decided.get(pair_of(one, other))
        return known is not None and known.decision == "reject"

    found = [
        (a, b, 0.0)
        for first, items in copies.items()
        if not rejected(first, first)
        for i, a in enumerate(items)
        for b in items[i + 1 :]
    ]
    near = pairs.near
    for left, right, distance in zip(near.left.tolist(), near.right.tolist(), near.distances.tolist(), strict=True):
        if not rejected(left, right):
            found += [(a, b, distance) for a in copies.get(left, [left]) for b in copies.get(right, [right])]
    return found


def _write(outfile: str | os.PathLike[str] | None, answer: Any) -> None:
    if outfile is not None:
        Path(outfile).write_text(json.dumps(answer, indent=1), encoding="utf-8")
