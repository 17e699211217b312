"""Find duplicates of one folder by simsearch, imagededup and perception: pairs found, pairs wrong, seconds.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install imagededup perception
    python scripts/measure_duplicates_peers.py --python /tmp/peers/bin/python    writes results/act/peers.json

The folder holds photographs of BSDS500, some of each edited as people do, and strangers of which no two are copies.
Every pair of files of one photograph is a copy. Peers run in an environment of their own, by their own defaults and by
narrower and wider thresholds; imagededup's network is left out where its weights cannot be fetched.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsearch.images.perturb import by_name
from simsearch.runtime.provenance import write_record

EDITS = (
    *("jpg_compression_30", "thumbnail_96", "crop_anywhere_5", "crop_anywhere_20", "brightness_enhancement_1.2"),
    *("text_length_10", "meme_10", "black_and_white", "screenshot_phone_50", "flip_horizontal"),
)
KEPT_COPIES = (  # one picture in two files: found by eye
    frozenset({"imagenet-sample-1000_00186", "imagenette160_01174"}),
)

CHILD = """
import json, sys, time, logging
from pathlib import Path
folder, which = Path(sys.argv[1]), sys.argv[2]
began = time.perf_counter()
name, value = which.split(":")
if name.startswith("imagededup"):
    import imagededup.methods as methods
    logging.disable(logging.CRITICAL)
    found = getattr(methods, name.split()[1])().find_duplicates(image_dir=folder, max_distance_threshold=int(value))
    pairs = {tuple(sorted((a, b))) for a, others in found.items() for b in others}
else:
    from perception import hashers, tools
    hasher = getattr(hashers, name.split()[1])()
    files = sorted(str(path) for path in folder.iterdir())
    found = tools.deduplicate(files=files, hashers=[(hasher, float(value))])
    pairs = {tuple(sorted((Path(a).name, Path(b).name))) for a, b in found}
print(json.dumps({"seconds": time.perf_counter() - began, "pairs": sorted(pairs)}))
"""
PEERS = (
    *("imagededup PHash:10", "imagededup PHash:4", "imagededup DHash:10", "imagededup DHash:4"),
    *("perception PHash:0.2", "perception PHash:0.1", "perception PHash:0.05"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="of the environment with the peers")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--photographs", type=int, default=150)
    parser.add_argument("--output", type=Path, default=Path("results/act/peers.json"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "files"
        groups = files(folder, arguments.data, arguments.photographs)
        runs: dict[str, Any] = {}
        for model, limit in (("mini", None), ("mini", 0.3), ("mini", 0.4), ("pdq", None), ("dhash", None)):
            runs[f"simsearch {model}" + (f", {limit:g}" if limit else "")] = ours(folder, Path(home), model, limit)
        runs["simsearch mini, flips"] = ours(folder, Path(home), "mini", None, views="flips")
        for which in PEERS:
            command = [str(arguments.python), "-c", CHILD, str(folder), which]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(which, done.stderr.strip().splitlines()[-1], file=sys.stderr)
                continue
            runs[which] = json.loads(done.stdout.splitlines()[-1])
        counted = {name: judged(run, groups) for name, run in runs.items()}
        files_count = len(list(folder.iterdir()))
    for name, one in counted.items():
        print(f"{name:26} found {one['found']:.3f}, right {one['precision']:.3f}, {one['seconds']:.1f} s", flush=True)
    best = counted["simsearch mini"]
    verdict = (
        f"Of {files_count:,} files with {best['true']:,} edited copies, `simsearch duplicates` shows "
        f"{best['found']:.1%} beside their original with {best['precision']:.1%} of what it shows right, "
        f"in {best['seconds']:.0f} s."
    )
    write_record(arguments.output, {"files": files_count, "edits": EDITS, "runs": counted}, verdict=verdict)
    print(verdict)


def files(folder: Path, data: Path, count: int) -> dict[str, str]:
    """Write the files, and return the photograph that each is of."""
    folder.mkdir()
    of = {}
    for i, path in enumerate(sorted((data / "bsds500" / "test").glob("*.jpg"))[:count]):
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        (folder / path.name).write_bytes(path.read_bytes())
        of[path.name] = path.stem
        for j, edit in enumerate(EDITS):
            name = f"{path.stem}-{j}.jpg"
            by_name(edit).apply(image, np.random.default_rng((i, j))).convert("RGB").save(folder / name, quality=90)
            of[name] = path.stem
    with tarfile.open(data / "strangers" / "test.tar") as tar:
        tar.extractall(folder, filter="data")
    return of | {path.name: path.stem for path in folder.iterdir() if path.name not in of}


def ours(folder: Path, home: Path, model: str, limit: float | None, views: str | None = None) -> dict[str, Any]:
    """Return pairs and seconds of `simsearch duplicates`, its library new."""
    library = home / f"{model}-{limit}-{views}.library"
    began = time.perf_counter()
    cli = [sys.executable, "-m", "simsearch.cli"]
    subprocess.run([*cli, "index", str(folder), "--library", str(library), "--model", model, "--quiet"], check=True)
    command = [*cli, "duplicates", "--library", str(library), "--groups", "components", "--json", "--quiet"]
    command += ["--max-distance", str(limit)] if limit else []
    command += ["--views", views] if views else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    pairs = set[tuple[str, ...]]()
    for line in map(json.loads, done.stdout.splitlines()):
        for other in line.get("others", ()):
            if not other["chained"]:
                pairs.add(tuple(sorted(Path(one["path"]).name for one in (line["kept"], other))))
    return {"seconds": seconds, "pairs": sorted(pairs)}


def judged(run: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    """Return how many photographs' copies are found beside the original, and how many pairs are right."""
    pairs = {tuple(pair) for pair in run["pairs"]}
    right = {pair for pair in pairs if same(pair, groups)}
    originals = {(name, f"{stem}.jpg") for name, stem in groups.items() if name != f"{stem}.jpg"}
    linked = joined(right)
    found = {pair for pair in originals if linked.get(pair[0]) is not None and linked[pair[0]] == linked.get(pair[1])}
    by_edit = {
        edit: float(np.mean([pair in found for pair in originals if pair[0].endswith(f"-{j}.jpg")]))
        for j, edit in enumerate(EDITS)
    }
    return {
        "seconds": round(run["seconds"], 2),
        "pairs": len(pairs),
        "true": len(originals),
        "found": len(found) / len(originals),
        "precision": len(right) / max(1, len(pairs)),
        "wrong": len(pairs) - len(right),
        "by_edit": by_edit,
    }


def same(pair: Iterable[str], groups: dict[str, str]) -> bool:
    one, other = (groups[name] for name in pair)
    return one == other or frozenset((one, other)) in KEPT_COPIES


def joined(pairs: set[tuple[str, ...]]) -> dict[str, str]:
    """Return the first name of the group of each file that right pairs link."""
    home: dict[str, str] = {}

    def root(name: str) -> str:
        while home.setdefault(name, name) != name:
            name = home[name]
        return name

    for one, other in sorted(pairs):
        first, second = sorted((root(one), root(other)))
        home[second] = first
    return {name: root(name) for name in list(itertools.chain.from_iterable(pairs))}


if __name__ == "__main__":
    main()
