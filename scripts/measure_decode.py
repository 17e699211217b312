"""Measure safe decoding and resizing against a plain Pillow decode and resize (performance goal G17), as JSON.

Two sizes of JPEG made from the given photographs: 12 megapixels (enlarged, with grain, quality 90) and ImageNet's size
(longest side 500). Both ways take turns at every file and are timed in CPU seconds; the rows of both are compared by
the metric of the model.
"""

from __future__ import annotations

import argparse
import io
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from goals import goal, judge
from simsearch import distance, load_extractor
from simsearch.extract.extractor import Extractor
from simsearch.images.decode import decode
from simsearch.images.find import find
from simsearch.images.preprocess import KERNELS, Preprocessing
from simsearch.images.source import Source, load_bytes
from simsearch.runtime.provenance import write_record

GOALS = goal("G17").targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="a folder or tar of photographs")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--large", type=int, default=40, help="images of 12 megapixels")
    parser.add_argument("--small", type=int, default=500, help="images of ImageNet's size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("results/decode.json"))
    arguments = parser.parse_args()
    extractor = load_extractor(arguments.model, device="cpu")
    sources = [source for source in find([arguments.images]) if isinstance(source, Source)]
    photographs = [decode(load_bytes(source, 1 << 28)).image for source in sources[: arguments.small]]
    rng = np.random.default_rng(0)
    sets = {
        "12 megapixels": [_large(image, rng) for image in photographs[: arguments.large]],
        "ImageNet size": [_jpeg(_fitted(image, 500)) for image in photographs],
    }
    values = {name: _compare(files, extractor, arguments.rounds) for name, files in sets.items()}
    parts = [f"{name}: {values[name]['ratio']['median']:.2f}x (goal {goal})" for name, goal in GOALS.items()]
    close = [f"{values[name]['share_within_0.02']:.3f}" for name in GOALS]
    verdict = f"{'; '.join(parts)}; share of rows within 0.02: {', '.join(close)} (goal 0.99)"
    goals = [
        judge("G17", size["ratio"]["median"], part=name, note=_note(size)).to_dict() for name, size in values.items()
    ]
    write_record(arguments.output, {"goals": goals, "sizes": values, "model": extractor.name}, verdict=verdict)
    print(verdict)


def _note(size: dict[str, Any]) -> str:
    return f"{100 * size['share_within_0.02']:.1f} % of rows within js 0.02"


def _compare(files: list[bytes], extractor: Extractor, rounds: int) -> dict[str, Any]:
    preprocessing = extractor.preprocessing
    ways: dict[str, Callable[[bytes, Preprocessing], NDArray[np.uint8]]] = {"ours": _ours, "pillow": _pillow}
    times: dict[str, list[float]] = {name: [] for name in ways}
    pixels = {name: np.stack([way(data, preprocessing) for data in files]) for name, way in ways.items()}  # warms up
    for _ in range(rounds):
        taken = dict.fromkeys(ways, 0.0)
        for data, (name, way) in itertools.product(files, ways.items()):  # file by file: what else runs slows both
            began = time.process_time()
            way(data, preprocessing)
            taken[name] += time.process_time() - began
        for name, seconds in taken.items():
            times[name].append(seconds / len(files))
    ratios = [slow / fast for slow, fast in zip(times["pillow"], times["ours"], strict=True)]
    rows = {name: _rows(extractor, value) for name, value in pixels.items()}
    pairs = zip(rows["ours"], rows["pillow"], strict=True)
    metric = distance.by_name(extractor.metric)
    distances = np.array([metric(a[None], b[None]).item() for a, b in pairs])
    return {
        "images": len(files),
        "ratio": {"median": round(statistics.median(ratios), 3), "all": [round(ratio, 3) for ratio in ratios]},
        "milliseconds": {name: round(1000 * statistics.median(value), 3) for name, value in times.items()},
        "share_within_0.02": round(float(np.mean(distances <= 0.02)), 4),
        "distance": {"median": round(float(np.median(distances)), 5), "worst": round(float(distances.max()), 5)},
    }


def _ours(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    return preprocessing.apply(decode(data, at_least=preprocessing.at_least).image)


def _pillow(data: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    side = preprocessing.size
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((side, side), KERNELS[preprocessing.kernel]))


def _rows(extractor: Extractor, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.concatenate([extractor.embed_pixels(part) for part in np.array_split(pixels, 1 + len(pixels) // 64)])


def _large(image: Image.Image, rng: np.random.Generator) -> bytes:
    wide = image.width >= image.height
    big = np.asarray(image.resize((4000, 3000) if wide else (3000, 4000), Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(-6, 7, (*big.shape[:2], 1), dtype=np.int16)
    return _jpeg(Image.fromarray((big + grain).clip(0, 255).astype(np.uint8)))


def _fitted(image: Image.Image, longest: int) -> Image.Image:
    scale = longest / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
