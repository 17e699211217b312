"""Look a second time at edited copies and at strangers, and write a JSON record: what is found, and what by mistake.

Photographs come from a tar whose names begin with their sources; textures are left out. Each is edited in every way of
`configs/today.yaml`, as a query in three views. A query's strangers are random photographs of other sources; the
nearest pairs of strangers by `mini`, whatever their sources, are looked at beside them.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure_pairs import edits_of, read
from simsearch import load_extractor
from simsearch.runtime.provenance import write_record
from simsearch.search.self_join import row_pairs
from simsearch.spatial import look, query_witnesses, witness

PLACES = range(3, 11)
ROOMS = (2048, 8192)
_COLUMNS = ("left", "right", "distances")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a tar such as strangers/test.tar")
    parser.add_argument("--config", type=Path, default=Path("configs/today.yaml"))
    parser.add_argument("--count", type=int, default=40, help="photographs that are edited")
    parser.add_argument("--strangers", type=int, default=8, help="of each query")
    parser.add_argument("--nearest", type=int, default=3000, help="pairs of strangers by mini")
    parser.add_argument("--output", type=Path, default=Path("results/spatial/second_look.json"))
    arguments = parser.parse_args()
    everyone = list(read(arguments.photographs))
    order = np.random.default_rng(0).permutation(len(everyone)).tolist()
    edited, others = ([everyone[i] for i in some] for some in (order[: arguments.count], order[arguments.count :]))
    edits: dict[str, list[Any]] = {}
    for group, edit in edits_of(arguments.config):
        edits.setdefault(group, []).append(edit)
    near = nearest_pairs(others, arguments.nearest)
    what: dict[str, Any] = {"edited": edited, "others": others, "edits": edits, "near": near}
    rooms = {str(room): measured(room, **what, count=arguments.strangers) for room in ROOMS}
    small = rooms[str(ROOMS[0])]
    found, false = small["found"]["today"]["4"], small["strangers"]["4"]
    verdict = (
        f"With {ROOMS[0]:,} bytes an image, 4 places that agree find {found:.1%} of today's copies and "
        f"{small['found']['paper']['4']:.1%} of the paper's; of {false['pairs']:,} pairs of strangers "
        f"{false['mistaken']} agree so."
    )
    write_record(
        arguments.output,
        {"photographs": len(edited), "others": len(others), "rooms": rooms},
        verdict=verdict,
    )
    print(verdict)


def nearest_pairs(photographs: list[tuple[str, Image.Image]], count: int) -> list[tuple[int, int]]:
    """Return the nearest pairs of different photographs by mini."""
    rows = load_extractor("mini", device="cpu").embed([image for _, image in photographs])
    pieces = list(row_pairs([rows], max_distance=0.5, metric="js", device="cpu"))
    left, right, distances = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in _COLUMNS)
    return [(int(left[i]), int(right[i])) for i in np.argsort(distances)[:count]]


def measured(
    room: int,
    *,
    edited: list[tuple[str, Image.Image]],
    others: list[tuple[str, Image.Image]],
    edits: dict[str, list[Any]],
    near: list[tuple[int, int]],
    count: int,
) -> dict[str, Any]:
    """Return the share found of each group and edit, and of strangers, by the places that must agree."""
    own = [witness(image, most_bytes=room) for _, image in edited]
    items = [witness(image, most_bytes=room) for _, image in others]
    rng, strangers, found = np.random.default_rng(1), list[int](), dict[str, dict[str, list[int]]]()
    for group, some in edits.items():
        found[group] = {edit.name: [] for edit in some}
        for edit in some:
            for i, (name, image) in enumerate(edited):
                copy = edit.apply(image, np.random.default_rng((i, len(edit.name))))
                views = query_witnesses(copy, most_bytes=room)
                source = name.split("_")[0]
                others_at = [j for j in rng.integers(0, len(items), 3 * count) if others[j][0].split("_")[0] != source]
                found[group][edit.name].append(look(views, own[i]).agreeing)
                strangers += [look(views, items[j]).agreeing for j in others_at[:count]]
    close = [look(query_witnesses(others[a][1], most_bytes=room), items[b]).agreeing for a, b in near]
    return {
        "found": {
            group: {str(n): round(float(np.mean([np.mean(np.array(v) >= n) for v in by.values()])), 4) for n in PLACES}
            for group, by in found.items()
        },
        "by_edit": {
            group: {name: round(float(np.mean(np.array(v) >= 4)), 3) for name, v in by.items()}
            for group, by in found.items()
        },
        "strangers": {str(n): _mistaken(strangers, n) for n in PLACES},
        "nearest_by_mini": {str(n): _mistaken(close, n) for n in PLACES},
    }


def _mistaken(places: list[int], least: int) -> dict[str, Any]:
    return {"pairs": len(places), "mistaken": int(np.sum(np.array(places) >= least))}


if __name__ == "__main__":
    main()
