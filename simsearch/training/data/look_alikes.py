"""Pictures in an order in which those that look alike stand together, so that a batch holds strangers hard to tell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.training.data.images import Pictures

_SIDE = 8


def compositions(pictures: Pictures) -> NDArray[np.float32]:
    """Return where each picture is light and dark: (n, 64), unit vectors of mean 0; of flat ones zeros."""
    out = np.empty((len(pictures), _SIDE * _SIDE), np.float32)
    for i in range(len(pictures)):
        small = pictures.image(i).convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
        out[i] = np.asarray(small, np.float32).reshape(-1)
    out -= out.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(out, axis=1, keepdims=True)
    units: NDArray[np.float32] = np.divide(out, lengths, out=np.zeros_like(out), where=lengths > 0)
    return units


def order_by_likeness(rows: NDArray[np.float32], size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return an order (n,) of rows (n, d) in which each `size` that follow each other are alike; the rest comes last.

    The rows are halved again and again, each time across the line through two of them that are drawn; so the groups
    are others each time, and stand in an order by chance.

    Reference: Dasgupta & Freund, "Random projection trees and low dimensional manifolds", 2008.
    """
    order = rng.permutation(len(rows))
    whole = len(rows) // size * size
    waiting, groups = [order[:whole]] if whole else [], list[NDArray[np.int64]]()
    while waiting:
        some = waiting.pop()
        if len(some) == size:
            groups.append(some)
            continue
        first, second = rows[rng.choice(some, 2, replace=False)]
        ordered = some[np.argsort(rows[some] @ (first - second), kind="stable")]
        middle = len(some) // size // 2 * size
        waiting += [ordered[:middle], ordered[middle:]]
    rng.shuffle(groups)
    return np.concatenate([*groups, order[whole:]]).astype(np.int64)
