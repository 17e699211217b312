"""Look for edited copies by local codes, and write a JSON record: is the right image among the first candidates?

A library holds the photographs of some tars, textures left out, and distractors: the photographs of a folder and, to
fill it up, further views of these (mirrored, and their quarters), which are other pictures to local codes. Queries are
photographs of the first tar, edited in every way of a configuration. Keypoints are kept in a folder between runs.
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from measure_pairs import edits_of
from simsearch.runtime.provenance import write_record
from simsearch.spatial import POINT, CodeTables
from simsearch.spatial.witness import LONGER_SIDE, VIEWS, Witness, resized, witness_of

RANKS = (1, 10, 100)
_TEXTURES = "dtd"
_PERCENTILES = (50, 90, 99)
_ABOUT = np.dtype([("group", "U10"), ("edit", "U40"), ("item", "<i4")])


def _quarter(number: int) -> Callable[[Image.Image], Image.Image]:
    def cut(image: Image.Image) -> Image.Image:
        wide, high = (side // 2 for side in image.size)
        left, top = number % 2 * wide, number // 2 * high
        return image.crop((left, top, left + wide, top + high))

    return cut


FILLERS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "whole": lambda image: image,
    "mirrored": ImageOps.mirror,
    **{f"q{number}": _quarter(number) for number in range(4)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a tar such as strangers/test.tar: queries, and their originals")
    parser.add_argument(
        "--more", type=Path, action="append", default=[], help="a tar whose photographs are beside them"
    )
    parser.add_argument("--folder", type=Path, required=True, help="of folders of distractors")
    parser.add_argument("--cache", type=Path, required=True, help="folder for keypoints")
    parser.add_argument("--config", type=Path, default=Path("configs/today.yaml"))
    parser.add_argument("--queries", type=int, default=40, help="photographs that are edited")
    parser.add_argument(
        "--setting", action="append", required=True, help="points of an image:images, such as 93:100000"
    )
    parser.add_argument(
        "--every", type=int, default=1, help="of the paper's edited copies, one in so many is asked for"
    )
    parser.add_argument("--planted", type=int, default=500_000, help="images of random codes, for the time alone")
    parser.add_argument("--output", type=Path, default=Path("results/spatial/candidates.json"))
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    settings = [setting.split(":") for setting in arguments.setting]
    measured_at = [measured(int(points), int(images), arguments) for points, images in settings]
    best = measured_at[0]
    today = best["found"]["today"]
    verdict = (
        f"Among {best['images']:,} images with {best['points']} points each, the right one is among the first 100 for "
        f"{today['100']:.1%} of today's copies, {best['found']['paper']['100']:.1%} of the paper's and "
        f"{best['found']['agency']['100']:.1%} of an agency's, and first for {today['1']:.1%} of today's; "
        f"{best['ms']['50']:.0f} ms a query on two threads, {best['bytes_an_image']:,.0f} bytes an image."
    )
    write_record(
        arguments.output,
        {
            "distractors": "photographs of a folder, among them those on which a descriptor's pairs were chosen; to "
            "fill up, their mirror images and quarters, in this order",
            "codes": "128 bits; the format has no descriptors of 256; codes of 64 bits were not measured",
            "queries": arguments.queries,
            "settings": measured_at,
            "planted": planted(arguments.planted, best["points"]),
        },
        verdict=verdict,
    )
    print(verdict)


def measured(points: int, images: int, arguments: Any) -> dict[str, Any]:
    """Return recall, time and memory of a library of so many images with so many points each."""
    blocks = list(_blocks(points, images, arguments))
    about, queries = _queries(points, arguments)
    begin = time.perf_counter()
    tables = CodeTables.build(blocks)
    built = time.perf_counter() - begin
    ranks, times = list[int](), list[float]()
    asked = [i for i, (group, _, _) in enumerate(about.tolist()) if group != "paper" or i % arguments.every == 0]
    for i in asked:
        views = {name: view[view["size"] > 0] for name, view in zip(VIEWS, queries[i], strict=True)}
        begin = time.perf_counter()
        items, _ = tables.candidates(views, max(RANKS), threads=2)
        times.append(time.perf_counter() - begin)
        place = np.flatnonzero(items == about["item"][i])
        ranks.append(int(place[0]) if len(place) else max(RANKS))
    place, group, edit = np.array(ranks), about["group"][asked], about["edit"][asked]
    return {
        "points": points,
        "images": tables.items,
        "found": {name: _found(place[group == name], edit[group == name]) for name in np.unique(group).tolist()},
        "by_edit": {
            name: round(float((place[edit == name] < max(RANKS)).mean()), 3) for name in np.unique(edit).tolist()
        },
        "ms": _milliseconds(times[1:]),
        "bytes_an_image": round(tables.nbytes / tables.items + points * POINT.itemsize),
        "seconds_to_build": round(built, 1),
    }


def _found(ranks: NDArray[np.int64], edits: NDArray[np.str_]) -> dict[str, float]:
    """Return the shares found among the first so many, as means over edits."""
    by_edit = [ranks[edits == edit] for edit in np.unique(edits)]
    return {str(rank): round(float(np.mean([(some < rank).mean() for some in by_edit])), 4) for rank in RANKS}


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    return {str(each): round(float(np.percentile(seconds, each)) * 1e3, 1) for each in _PERCENTILES}


def _blocks(points: int, images: int, arguments: Any) -> Iterator[NDArray[np.void]]:
    """Yield the keypoints of a library of so many images, those of the first tar first."""
    left = images
    for tar in (arguments.photographs, *arguments.more):
        content = [data for _, data in read(tar)]
        block = _kept(arguments.cache / f"{tar.stem}-whole-{points}.npy", content, FILLERS["whole"], points)
        yield block[:left]
        left -= min(left, len(block))
    files = [path for path in sorted(arguments.folder.glob("*/*")) if path.suffix in (".jpg", ".webp")]
    for name, view in FILLERS.items():
        if left:
            block = _kept(arguments.cache / f"folder-{name}-{points}.npy", files, view, points)
            yield block[:left]
            left -= min(left, len(block))


def read(tar: Path) -> list[tuple[str, bytes]]:
    """Return the names and contents of a tar's photographs."""
    with tarfile.open(tar) as archive:
        files = [(member.name, archive.extractfile(member)) for member in archive if member.isfile()]
        return [(name, file.read()) for name, file in files if file is not None and not name.startswith(_TEXTURES)]


def _kept(path: Path, sources: list[Any], view: Callable[[Image.Image], Image.Image], points: int) -> NDArray[np.void]:
    """Return the keypoints of pictures (n, points), memory-mapped; they are looked for where no file has them."""
    if not path.exists():
        rows = np.zeros((len(sources), points), POINT)
        for row, source in zip(rows, sources, strict=True):
            luma = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source).convert("RGB").convert("L")
            _fill(row, view(luma))
        np.save(path, rows)
    block: NDArray[np.void] = np.load(path, mmap_mode="r")
    return block


def _fill(row: NDArray[np.void], luma: Image.Image) -> None:
    found: Witness = witness_of(resized(luma, LONGER_SIDE / max(luma.size)), most_bytes=len(row) * POINT.itemsize)
    row[: len(found)] = found


def _queries(points: int, arguments: Any) -> tuple[Any, NDArray[np.void]]:
    """Return group, edit and item of each query (q,), and its keypoints in each view (q, views, points)."""
    name = f"queries-{arguments.photographs.stem}"
    about, rows = (arguments.cache / f"{name}{end}.npy" for end in ("", f"-{points}"))
    if not rows.exists():
        photographs = read(arguments.photographs)
        some = np.random.default_rng(0).permutation(len(photographs))[: arguments.queries].tolist()
        asked = [(group, edit, i) for group, edit in edits_of(arguments.config) for i in some]
        found = np.zeros((len(asked), len(VIEWS), points), POINT)
        for row, (_, edit, i) in zip(found, asked, strict=True):
            image = Image.open(io.BytesIO(photographs[i][1])).convert("RGB")
            luma = edit.apply(image, np.random.default_rng((i, len(edit.name)))).convert("L")
            for seen, view in zip(row, (luma, ImageOps.mirror(luma), ImageOps.invert(luma)), strict=True):
                _fill(seen, view)
        np.save(about, np.array([(group, edit.name, i) for group, edit, i in asked], _ABOUT))
        np.save(rows, found)
    return np.load(about), np.load(rows)


def planted(images: int, points: int) -> dict[str, Any]:
    """Return time and memory for random codes of a larger library: they are spread more evenly than real ones."""
    rng = np.random.default_rng(0)
    block = np.zeros((images, points), POINT)
    block["x"], block["y"] = rng.integers(0, 1 << 16, (2, images, points), dtype=np.uint16)
    block["size"], block["angle"] = 100, rng.integers(0, 256, (images, points), dtype=np.uint8)
    block["bits"] = rng.integers(0, 1 << 64, (images, points, 2), dtype=np.uint64)
    tables, times = CodeTables.build([block]), list[float]()
    for row in block[:: images // 30]:
        begin = time.perf_counter()
        tables.candidates(dict.fromkeys(VIEWS, row), max(RANKS), threads=2)
        times.append(time.perf_counter() - begin)
    return {
        "images": images,
        "points": points,
        "codes": "random, not of pictures: the time is a lower bound, and nothing is said of recall",
        "ms": _milliseconds(times[1:]),
        "bytes_an_image": round(tables.nbytes / images + points * POINT.itemsize),
    }


if __name__ == "__main__":
    main()
