"""Example pairs: closest strangers, false matches, missed copies, with thumbnails of both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from simsearch.benchmark.data.array_cache import digest
from simsearch.benchmark.data.edit_set import ORIGINAL, Edits, copy_of
from simsearch.benchmark.data.nearest import Distances
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.splits import Split
from simsearch.benchmark.results import Example, PaperSplit, finite

THUMBNAILS = "thumbnails"
_EACH = 6
_SIDE = 240


def examples(found: Distances, figures: PaperSplit, split: Split) -> tuple[Example, ...]:
    """Return the closest strangers, false matches of distinct pairs, and missed copies of distinct kinds of edit."""
    return (*_closest(found, figures, split), *_missed(found, figures, split))


def with_thumbnails(
    chosen: tuple[Example, ...], pictures: dict[str, Picture], edits: Edits, folder: Path
) -> tuple[Example, ...]:
    """Return the examples with thumbnails of both images, written into `thumbnails/` of that folder.

    Args:
        chosen: The examples.
        pictures: By name.
        edits: All edits of the run.
        folder: Of the results.
    """
    (folder / THUMBNAILS).mkdir(parents=True, exist_ok=True)
    ids = {name: copy for copy, name in edits.names.items()} | {
        edits.perturbation(copy).name: copy for copy in edits.names
    }
    names: dict[tuple[str, str], str] = {}
    for example in chosen:
        for name, copy in ((example.query, ids[example.edit]), (example.image, ORIGINAL)):
            if (name, copy) not in names:
                names[name, copy] = _thumbnail(pictures[name], copy, edits, folder)
    return tuple(
        replace(
            example,
            query_thumbnail=names[example.query, ids[example.edit]],
            image_thumbnail=names[example.image, ORIGINAL],
        )
        for example in chosen
    )


def _closest(found: Distances, figures: PaperSplit, split: Split) -> Iterator[Example]:
    """Yield strangers by their closest copy; within the threshold they are false matches."""
    distances, positions = found.strangers.distance, found.strangers.position
    threshold = figures.operating[0].threshold
    closest = distances.argmin(axis=1)
    order = [int(i) for i in np.argsort(distances.min(axis=1), kind="stable")]
    order = [i for i in order if positions[i, closest[i]] >= 0]
    limit = np.inf if threshold is None else threshold
    false = [i for i in order if distances[i, closest[i]] <= limit]
    for kind, chosen in (("closest_stranger", order[:_EACH]), ("false_match", false[:_EACH])):
        for i in chosen:
            yield Example(
                kind="false_match" if kind == "false_match" else "closest_stranger",
                method=figures.method,
                metric=figures.metric,
                seed=split.seed,
                query=split.control[i].name,
                edit=figures.attacks[closest[i]].name,
                image=split.database[positions[i, closest[i]]].name,
                distance=finite(distances[i, closest[i]]),
                threshold=threshold,
            )


def _missed(found: Distances, figures: PaperSplit, split: Split) -> Iterator[Example]:
    """Yield one copy of each family of edits whose own original is beyond the threshold, the rarest misses first."""
    threshold = figures.operating[0].threshold
    if threshold is None:
        return
    seen: set[str] = set()
    for e in np.argsort([-attack.recall_right_image.value for attack in figures.attacks], kind="stable"):
        attack, own = figures.attacks[e], found.copies.own[:, e]
        beyond = [int(i) for i in np.flatnonzero(own > threshold)]
        if attack.family in seen or not beyond:
            continue
        seen.add(attack.family)
        worst = max(beyond, key=lambda i: float(own[i]))
        yield Example(
            kind="missed_copy",
            method=figures.method,
            metric=figures.metric,
            seed=split.seed,
            query=split.database[worst].name,
            edit=attack.name,
            image=split.database[worst].name,
            distance=finite(own[worst]),
            threshold=threshold,
        )
        if len(seen) == _EACH:
            return


def _thumbnail(picture: Picture, copy: str, edits: Edits, folder: Path) -> str:
    """Return the path of a thumbnail, relative to the folder; named by content, so that a later run overwrites it."""
    name = f"{THUMBNAILS}/{digest(picture.sha256, edits.seed, edits.stamp, copy)[:16]}.jpg"
    path = folder / name
    if not path.exists():
        small = copy_of(picture.load(), copy, edits, picture.sha256).convert("RGB")
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        small.save(path, "JPEG", quality=85)
    return name
