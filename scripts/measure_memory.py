"""Measure how much memory it takes to embed many images, from a tenth of them on, and write a JSON record.

The same files again and again, as a stream: what grows with their number would show.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track

from proof.limits import jpegs
from simsearch import load_extractor
from simsearch.extract.pipeline import embed_sources
from simsearch.images.find import find
from simsearch.images.source import Rejected
from simsearch.runtime.provenance import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--output", type=Path, default=Path("results/memory.json"))
    arguments = parser.parse_args()
    extractor, count = load_extractor(arguments.model, device="cpu"), arguments.images
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for i, content in enumerate(jpegs(64, (500, 375))):
            Path(folder, f"{i:03}.jpg").write_bytes(content)
        found = list(find([folder]))
        results = embed_sources(extractor, itertools.islice(itertools.cycle(found), count))
        for done, result in enumerate(track(results, "embedding", total=count, console=Console(stderr=True)), start=1):
            if isinstance(result, Rejected):
                raise SystemExit(f"an image was rejected: {result.message}")
            if done in (count // 10, count):
                peaks[str(done)] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    first, last = peaks.values()
    values = {"model": extractor.name, "images": count, "peak_bytes": peaks, "growth_bytes": last - first}
    verdict = (
        f"{last / 2**20:,.0f} MiB at most after {count:,} images, {(last - first) / 2**20:.1f} more than after a tenth"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


if __name__ == "__main__":
    main()
