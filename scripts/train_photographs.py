"""Gather photographs to train on: each once, and none that comes near those that are measured with.

`scripts/train_photographs.py FOLDER... --apart PATH... --output runs/photographs` links what is kept into a folder of
its own for each source, and writes what was left out, beside what and how near, to `left_out.csv`.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simsearch.extract.extractor import Extractor
from simsearch.extract.load import load_extractor
from simsearch.extract.pipeline import Embedded, embed_sources
from simsearch.images import find
from simsearch.search import knn


@dataclass(frozen=True, slots=True)
class Rows:
    """Photographs and their rows (n, d)."""

    files: tuple[Path, ...]
    rows: NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/train_photographs.py", description=__doc__)
    parser.add_argument("sources", type=Path, nargs="+", help="folders of photographs, one a source")
    parser.add_argument("--apart", type=Path, nargs="*", default=[], help="what is measured with: never trained on")
    parser.add_argument("--output", type=Path, default=Path("runs/photographs"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--distance", type=float, default=0.4, help="of the model's metric; nearer ones are left out")
    arguments = parser.parse_args()
    model = load_extractor(arguments.model)
    apart = [rows_of(model, path) for path in arguments.apart]
    left_out: list[tuple[str, str, float]] = []
    for source in arguments.sources:
        own = rows_of(model, source)
        kept = list(_kept(own, apart, model.metric, arguments.distance, left_out))
        folder = arguments.output / source.name
        folder.mkdir(parents=True, exist_ok=True)
        for i in kept:
            os.link(own.files[i].resolve(), folder / own.files[i].name)
        apart.append(Rows(tuple(own.files[i] for i in kept), own.rows[kept]))
        print(f"{source.name}: {len(kept)} of {len(own.files)} kept")
    with (arguments.output / "left_out.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("photograph", "near", "distance"), *left_out])


def rows_of(model: Extractor, path: Path) -> Rows:
    """Return the rows of all photographs in a folder or tar."""
    found = [one for one in embed_sources(model, find([path])) if isinstance(one, Embedded) and one.row is not None]
    rows = np.array([one.row for one in found], np.float32).reshape(len(found), model.dimension)
    return Rows(tuple(Path(os.fsdecode(one.source.path)) for one in found), rows)


def _kept(
    own: Rows, apart: list[Rows], metric: str, distance: float, left_out: list[tuple[str, str, float]]
) -> Iterator[int]:
    """Positions of photographs that lie near none set apart and near no earlier one of their own source."""
    files = [file for rows in apart for file in rows.files]
    far = knn(own.rows, [rows.rows for rows in apart], k=1, metric=metric) if files else None
    near = knn(own.rows, [own.rows], k=min(50, len(own.rows)), metric=metric)
    dropped = np.zeros(len(own.files), bool)
    for i, file in enumerate(own.files):
        if far is not None and far.distances[i, 0] < distance:
            beside, at = files[far.positions[i, 0]], float(far.distances[i, 0])
        else:
            close = (near.distances[i] < distance) & (near.positions[i] < i) & ~dropped[near.positions[i]]
            if not close.any():
                yield i
                continue
            first = int(np.flatnonzero(close)[0])
            beside, at = own.files[near.positions[i, first]], float(near.distances[i, first])
        dropped[i] = True
        left_out.append((file.name, f"{beside.parent.name}/{beside.name}", round(at, 4)))


if __name__ == "__main__":
    main()
