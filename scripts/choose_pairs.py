"""Choose which pairs of places a keypoint's descriptor compares, and print their numbers.

Of 3,000 drawn pairs those 128 stay that tell strangers apart best: as vectors of -1 and 1, descriptors of a keypoint
seen twice agree in the sum of 1 - 2 x (the share of flips), and those of strangers spread around 0 by the root of the
sum of all squared second moments, which biased and correlated bits make large. Pairs are exchanged while that ratio
grows. Each keypoint is seen a second time with noise, and a pixel, some degrees and some percent away.

Reference: Rublee et al., "ORB: An Efficient Alternative to SIFT or SURF", 2011, where pairs are chosen one by one.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from PIL import Image

from simsearch.spatial import keypoint_kernels as kernels
from simsearch.spatial.witness import FACTOR, LONGER_SIDE, resized

PHOTOGRAPHS = 1500
SHARES = (29, 20, 14, 10, 7, 5)  # keypoints of each level
PIXELS, TURN, SCALES = 1, 0.1, (-0.17, 0.12)  # by which a keypoint is seen elsewhere; radians, and logarithms
NOISE = 6.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path, help="a folder of folders of photographs, none of them to measure on")
    arguments = parser.parse_args()
    pairs = kernels.drawn_pairs()
    rng = np.random.default_rng(kernels.SEED)
    _skip_drawing(rng, pairs)
    files = sorted(path for path in arguments.photographs.glob("*/*") if path.suffix in (".webp", ".jpg"))
    some = [files[i] for i in rng.permutation(len(files))[:PHOTOGRAPHS]]
    seen = [twice for path in some for twice in _seen_twice(path, pairs, rng)]
    bits, again = (np.array([twice[i] for twice in seen]) for i in range(2))
    chosen = exchanged(bits, (bits ^ again).mean(axis=0))
    print(*sorted(chosen.tolist()))
    kept = set(chosen.tolist()) == set(kernels.CHOSEN)
    print(f"{len(bits):,} keypoints; these are {'' if kept else 'not '}the pairs of keypoint_kernels.py")


def _skip_drawing(rng: np.random.Generator, pairs: NDArray[np.float64]) -> None:
    """Leave the generator where it was when the last of the pairs had been drawn."""
    while not np.array_equal(rng.normal(0, kernels.RADIUS / 2.2, 4).round(1), pairs[-1]):
        pass


def _seen_twice(path: Path, pairs: NDArray[np.float64], rng: np.random.Generator) -> list[Any]:
    """Return bits of a quarter of a photograph's keypoints (3000,), and the same a little changed."""
    image, found = Image.open(path).convert("L"), list[Any]()
    whole = resized(image, LONGER_SIDE / max(image.size))
    for level, most in enumerate(SHARES):
        small = np.asarray(resized(whole, FACTOR**level))
        if min(small.shape) <= 2 * kernels.BORDER:
            break
        points, codes = np.zeros((most, 3)), np.zeros((most, 2), np.uint64)
        count = kernels.keypoints(small, most, kernels.PATTERN, points, codes)
        noisy = np.clip(small + rng.normal(0, NOISE, small.shape), 0, 255).astype(np.uint8)
        first, second = _sums(small), _sums(noisy)
        for i in rng.permutation(count)[: max(1, count // 4)]:
            x, y, angle = int(points[i, 0]), int(points[i, 1]), points[i, 2]
            bits = _compared(first, y, x, (angle, 1.0), pairs)
            right, down = rng.integers(-PIXELS, PIXELS + 1, 2)
            changed = angle + rng.normal(0, TURN), math.exp(rng.uniform(*SCALES))
            found.append((bits, _compared(second, y + down, x + right, changed, pairs)))
    return found


def _sums(luma: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the sums of 5 x 5 pixels around each (h, w)."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(luma, 2), (5, 5))
    sums: NDArray[np.int32] = windows.sum(axis=(2, 3), dtype=np.int32)
    return sums


@njit
def _compared(
    sums: NDArray[np.int32], y: int, x: int, change: tuple[float, float], pairs: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the comparisons (n,) at a place, turned and scaled, as the kernel of keypoints makes them."""
    cosine, sine = change[1] * math.cos(change[0]), change[1] * math.sin(change[0])
    bits = np.empty(len(pairs), np.uint8)
    for i in range(len(pairs)):
        a, b, u, v = pairs[i]
        one = sums[y + round(sine * a + cosine * b), x + round(cosine * a - sine * b)]
        bits[i] = one < sums[y + round(sine * u + cosine * v), x + round(cosine * u - sine * v)]
    return bits


def exchanged(bits: NDArray[np.uint8], flips: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which 128 of the bits (n, b) tell strangers apart best, given the share of flips of each (b,)."""
    signs = (2.0 * bits - 1).astype(np.float32)
    moments, worth = (signs.T @ signs / len(signs)) ** 2, 1 - 2 * flips
    chosen = np.argsort(abs(bits.mean(axis=0) - 0.5))[: kernels.BITS]
    spread, agreed = moments[np.ix_(chosen, chosen)].sum(), worth[chosen].sum()
    beside, changed = moments[:, chosen].sum(axis=1), True
    while changed:
        changed = False
        for place, old in enumerate(chosen.tolist()):
            without, others = spread - 2 * beside[old] + moments[old, old], beside - moments[:, old]
            spreads, agreements = without + 2 * others + moments.diagonal(), agreed - worth[old] + worth
            ratios = agreements / np.sqrt(spreads)
            ratios[np.delete(chosen, place)] = -1
            new = int(ratios.argmax())
            if ratios[new] > ratios[old] + 1e-9:
                chosen[place], spread, agreed, changed = new, spreads[new], agreements[new], True
                beside = others + moments[:, new]
    return chosen


if __name__ == "__main__":
    main()
