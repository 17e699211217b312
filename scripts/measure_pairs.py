"""Compare queries with a library by every witness, and keep what each says of each pair: the sample of `measure_fused`.

The library is the photographs of a tar whose names begin with their sources, textures left out. Queries are some of
them, edited in some ways of a configuration. Kept for each query: its photograph, its edit, the distances (n,) of its
row by a model and the places (n,) on which its keypoints agree; where only some pairs are asked for, -1 elsewhere.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from simsearch import load_extractor
from simsearch.distance import by_name as metric_by_name
from simsearch.images.perturb import PAPER, by_name
from simsearch.spatial import query_witnesses, witness
from simsearch.spatial.second_look import places_agreeing

_TEXTURES = "dtd"
_ROWS_AT_ONCE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a tar such as strangers/calibration.tar")
    parser.add_argument("--config", type=Path, default=Path("configs/today.yaml"))
    parser.add_argument("--model", default="mini")
    parser.add_argument("--bytes", type=int, default=2048, help="of keypoints of a photograph")
    parser.add_argument("--count", type=int, default=0, help="photographs that are edited; 0 for all")
    parser.add_argument("--edits", type=int, default=0, help="edits of each, drawn, one of them none; 0 for all")
    parser.add_argument("--edited", action="store_true", help="edits alone, no photograph as it is")
    parser.add_argument("--seed", type=int, default=1, help="of the drawn edits and pairs")
    parser.add_argument("--pairs", type=int, default=0, help="strangers that each query is compared with; 0 for all")
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th of them, from the I-th on")
    parser.add_argument("--output", type=Path, required=True, help="an .npz file")
    arguments = parser.parse_args()
    photographs = list(read(arguments.photographs))
    shard, shards = map(int, arguments.shard.split("/"))
    chosen = np.random.default_rng(0).permutation(len(photographs))[: arguments.count or None][shard::shards]
    rng = np.random.default_rng(arguments.seed + shard)
    edits = edits_of(arguments.config)
    extractor = load_extractor(arguments.model, device="cpu")
    rows = extractor.embed([image for _, image in photographs])
    points = [witness(image, most_bytes=arguments.bytes) for _, image in photographs]
    distance, began = metric_by_name(extractor.metric), time.monotonic()
    own, names, near, agree, copies, copy_rows = [], [], [], [], list[Image.Image](), list[Any]()
    for done, i in enumerate(chosen.tolist()):
        for group, edit in drawn(edits, arguments.edits, rng)[arguments.edited and arguments.edits > 0 :]:
            image = photographs[i][1]
            copy = image if edit is None else edit.apply(image, np.random.default_rng((i, len(edit.name))))
            own.append(i)
            names.append(f"{group}/{'none' if edit is None else edit.name}")
            some = np.arange(len(points))
            if arguments.pairs:
                some = np.unique(np.append(rng.choice(len(points), arguments.pairs, replace=False), i))
            places = np.full(len(points), -1, np.int16)
            views = query_witnesses(copy, most_bytes=arguments.bytes)
            places[some] = places_agreeing(views, [points[j] for j in some.tolist()])
            agree.append(places)
            copies.append(copy)
            if len(copies) == _ROWS_AT_ONCE:
                copy_rows.append(extractor.embed(copies))
                copies = []
        if done % 20 == 0:
            print(f"{done}/{len(chosen)} {time.monotonic() - began:.0f} s", flush=True)
    copy_rows.append(extractor.embed(copies))
    for row in np.concatenate(copy_rows):
        near.append(distance(row[None], rows)[0].astype(np.float32))
    np.savez_compressed(
        arguments.output,
        names=[name for name, _ in photographs],
        own=own,
        edits=names,
        distances=np.stack(near),
        places=np.stack(agree),
        model=extractor.name,
        fingerprint=extractor.fingerprint,
        metric=extractor.metric,
        bytes=arguments.bytes,
    )


def read(path: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield names and pictures of a tar, without textures."""
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.isfile() else None
            if file is not None and not member.name.startswith(_TEXTURES):
                yield member.name, Image.open(io.BytesIO(file.read())).convert("RGB")


def edits_of(config: Path) -> list[tuple[str, Any]]:
    """Return all edits of a configuration, with their groups."""
    groups = yaml.safe_load(config.read_text())["needle"]["groups"]
    return [
        (group, edit)
        for group, names in groups.items()
        for name in names
        for edit in (PAPER if name == "paper" else [by_name(name)])
    ]


def drawn(edits: list[tuple[str, Any]], count: int, rng: np.random.Generator) -> list[tuple[str, Any]]:
    """Return all edits, or some and none."""
    if not count:
        return edits
    return [("none", None), *(edits[int(i)] for i in rng.choice(len(edits), count - 1, replace=False))]


if __name__ == "__main__":
    main()
