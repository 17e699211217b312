"""Measure the pipeline from files to rows over its slowest stage alone (performance goal G18), and write a JSON record.

Decoding gets one process and the network one thread, so that each stage has a core of its own, alone and together.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from goals import judge
from simsearch import load_extractor
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import embed_sources
from simsearch.images.find import find
from simsearch.images.source import Rejected, Source
from simsearch.images.workers.pool import prepare
from simsearch.runtime.provenance import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="a folder or tar of photographs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--count", type=int, default=3000, help="images a run; the folder is repeated")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path, default=Path("results/pipeline.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    extractor = load_extractor(arguments.model, device=arguments.device)
    found = [source for source in find([arguments.images]) if isinstance(source, Source)]
    sources = list(itertools.islice(itertools.cycle(found), arguments.count))
    stages = {
        "decode": lambda: _decode(sources, extractor),
        "network": lambda: _network(len(sources), extractor, arguments.batch_size),
        "pipeline": lambda: _pipeline(sources, extractor, arguments.batch_size),
    }
    rates: dict[str, list[float]] = {name: [] for name in stages}
    for stage in stages.values():
        _rate(stage, len(sources))  # warm up
    for _ in range(arguments.rounds):
        for name, stage in stages.items():
            rates[name].append(_rate(stage, len(sources)))
    shares = [p / min(d, n) for d, n, p in zip(*rates.values(), strict=True)]
    share = statistics.median(shares)
    medians = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    values = {
        "goals": [judge("G18", share, part="GPU" if torch.cuda.is_available() else "CPU").to_dict()],
        "share_of_slowest_stage": {"median": round(share, 3), "all": [round(s, 3) for s in shares]},
        "images_per_second": {"median": medians, "all": {k: [round(r, 1) for r in v] for k, v in rates.items()}},
        "settings": {"images": len(sources), "distinct": len(found), "batch_size": arguments.batch_size, "workers": 1},
        "model": extractor.name,
        "runtime": extractor.runtime(),
    }
    verdict = f"pipeline at {share:.2f} of its slowest stage alone; goal 0.90 {'met' if share >= 0.9 else 'missed'}"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict, medians)


def _rate(stage: Callable[[], int], count: int) -> float:
    began = time.perf_counter()
    if stage() != count:
        raise SystemExit("a stage lost images: the figures would mean nothing")
    return count / (time.perf_counter() - began)


def _decode(sources: list[Source], extractor: Extractor) -> int:
    results = prepare(sources, extractor.preprocessing, workers=1)
    return sum(not isinstance(result, Rejected) for result in results)


def _network(count: int, extractor: Extractor, batch_size: int) -> int:
    side = extractor.preprocessing.size
    pixels = np.random.default_rng(0).integers(0, 256, (batch_size, side, side, 3), dtype=np.uint8)
    done = 0
    while done < count:
        done += len(extractor.embed_pixels(pixels[: count - done]))
    return done


def _pipeline(sources: list[Source], extractor: Extractor, batch_size: int) -> int:
    results = embed_sources(extractor, sources, batch_size=batch_size, workers=1)
    return sum(not isinstance(result, Rejected) for result in results)


if __name__ == "__main__":
    main()
