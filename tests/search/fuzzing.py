"""Random searches of every kind, each beside the answer of `simsearch.distance` over all rows, sorted.

A case is its seed: `python -m tests.search.fuzzing SEED` runs one again.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsearch import distance
from simsearch.errors import MetricError, RowError
from simsearch.search import asymmetric, direct_scores, exact, hamming, stored
from simsearch.search.approximate import approximate
from simsearch.search.exact import knn
from simsearch.search.index import build
from simsearch.search.index_spec import IndexSpec
from simsearch.search.multi_index import MultiIndex
from simsearch.search.parts import image_distances
from simsearch.search.ranges import within
from simsearch.search.self_join import code_pairs, row_pairs

Array = NDArray[Any]
NEVER = 1 << 62
KINDS = (
    "f2",
    "f2",
    "f4",
    "f4",
    "f8",
    "f8",
    "u1",
    "i1",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    ">f4",
    ">f8",
    "longdouble",
    "bfloat16",
)
WHOLE = ("u1", "i1", "u2", "i4", "u4", "i8", "u8")
FLOATS = ("js", "cosine", "l1", "l2")


@dataclass(frozen=True)
class Case:
    """What is searched; `rows` and `near` are the values of the live blocks and the queries in float64, or codes.

    Attributes:
        metric: The distance.
        queries: As they are given.
        blocks: As they are given.
        live: Masks, or None.
        k: Neighbours.
        limit: The largest distance, or None.
        all_distances: Of all queries and rows, (q, n); NaN for dead rows.
        rng: For what a route decides.
    """

    metric: str
    queries: Any
    blocks: list[Any]
    live: list[NDArray[np.bool_] | None] | None
    k: int
    limit: float | None
    all_distances: NDArray[np.float64]
    rng: np.random.Generator

    @property
    def reached(self) -> NDArray[np.bool_]:
        """Which rows are within the limit (q, n): compared in float32, as answers are."""
        limit = np.inf if self.limit is None else self.limit
        with np.errstate(over="ignore", invalid="ignore"):
            return self.all_distances.astype(np.float32) <= np.float32(limit)

    def nearest(self, *, rounded: bool) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The answer."""
        q, n = self.all_distances.shape
        near = np.full((q, self.k), np.inf, np.float32), np.full((q, self.k), -1, np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            single = self.all_distances.astype(np.float32)
        keys = single if rounded else self.all_distances
        for i in range(q):
            order = [j for j in np.lexsort((np.arange(n), keys[i])) if self.reached[i, j]][: self.k]
            near[0][i, : len(order)], near[1][i, : len(order)] = single[i, order], order
        return near


def values(rng: np.random.Generator, n: int, d: int, kind: str) -> NDArray[np.float64]:
    """Rows (n, d), non-negative, of some regime."""
    regime = rng.choice(["clusters", "ties", "one", "copies", "near", "scales", "plain"])
    rows = rng.gamma(0.5, size=(max(1, n // 8), d))[rng.integers(0, max(1, n // 8), n)]
    if regime == "clusters":
        rows = rows * rng.uniform(0.8, 1.2, (n, d)) * (rng.random((n, d)) > 0.2)
    elif regime == "ties":
        rows = rng.integers(0, 3, (n, d)).astype(float)
    elif regime == "one":
        rows = np.eye(d)[rng.integers(0, d, n)] * rng.integers(1, 4, (n, 1))
    elif regime == "near":
        rows = rows[:1] * (1 + rng.normal(size=(n, d)) * 10.0 ** -rng.integers(3, 17, (n, 1)))
    elif regime == "scales":
        rows = rows * 10.0 ** rng.integers(-6, 6, (n, 1))
    elif regime == "plain":
        rows = rng.random((n, d))
    ends = {"f2": (1e-7, 1e4), "f4": (1e-44, 1e37), ">f4": (1e-40, 1e30), "bfloat16": (1e-38, 1e36)}
    low, high = (40.0, 60.0) if kind in WHOLE else ends.get(kind, (1e-312, 1e300))
    rows = np.abs(rows) * rng.choice([1.0, 1.0, 1.0, low, high, np.sqrt(high)])
    return np.floor(rows) if kind in WHOLE else rows


def typed(rng: np.random.Generator, rows: NDArray[np.float64], kind: str, *, signed: bool) -> Any:
    """The rows in a type and a layout; every one has a distance."""
    if signed and not kind.startswith("u"):
        rows = rows * rng.choice([-1, 1], rows.shape)
    if kind == "bfloat16":
        tensor = torch.from_numpy(rows).to(torch.bfloat16)
        bad = ~torch.isfinite(tensor).all(dim=1) | ~tensor.bool().any(dim=1)
        tensor[bad] = 1
        return tensor
    room = np.iinfo(kind) if np.dtype(kind).kind in "iu" else None
    with np.errstate(all="ignore"):
        out = (rows if room is None else np.clip(rows, float(room.min) / 2, float(room.max) / 2)).astype(kind)
    bad = ~np.isfinite(out.astype(np.float64)).all(axis=1) | ~out.any(axis=1)
    out[bad] = 1
    layout = rng.choice(["C", "C", "F", "strided", "reversed", "read-only", "mapped", "tensor"])
    if layout == "F":
        return np.asfortranarray(out)
    if layout == "strided":
        wide = np.zeros((2 * len(out), 2 * out.shape[1]), kind)
        wide[::2, ::2] = out
        return wide[::2, ::2]
    if layout == "reversed":
        return np.ascontiguousarray(out[::-1, ::-1])[::-1, ::-1]
    if layout == "read-only":
        out.flags.writeable = False
    if layout == "mapped" and out.size:
        with TemporaryFile() as file:  # which stays while it is mapped
            file.write(b"beside" + out.tobytes())  # so that no number lies at a multiple of its size
            return np.memmap(file, out.dtype, "r", offset=6, shape=out.shape)
    if layout == "tensor" and out.dtype.isnative and kind != "longdouble":
        return torch.from_numpy(out)
    return out


def plain(rows: Any) -> Array:
    """The values: float64, or codes."""
    if isinstance(rows, torch.Tensor):
        rows = (rows.float() if rows.dtype == torch.bfloat16 else rows).numpy()
    return np.ascontiguousarray(rows)


def made(rng: np.random.Generator, metric: str) -> Case:
    """A case for a metric."""
    d, q = int(rng.choice([1, 2, 3, 7, 8, 9, 31, 64, 70])), int(rng.choice([0, 1, 1, 2, 5, 14]))
    n = int(rng.choice([0, 1, 2, 17, 60, 130, 130, 400]))
    kind = "u1" if metric == "hamming" else str(rng.choice(KINDS))
    if metric == "hamming":
        d = min(d, 17)
        centres = rng.integers(0, 256, (max(1, (n + q) // 9), d), dtype=np.uint8)
        flips = (rng.random((n + q, d)) < rng.choice([0.0, 0.1])).astype(np.uint8)
        both: Array = centres[rng.integers(0, len(centres), n + q)] ^ flips
    else:
        both = values(rng, n + q, d, kind)
    signed = metric not in ("js", "hamming") and bool(rng.random() < 0.5)
    rows, queries = both[:n], both[n:]
    ours = kind if metric == "hamming" or rng.random() < 0.7 else str(rng.choice(["f4", "f8"]))
    queries = typed(rng, queries, ours, signed=signed)
    cuts = np.sort(rng.integers(0, n + 1, int(rng.choice([0, 0, 1, 3]))))
    blocks = [typed(rng, part, kind, signed=signed) for part in np.split(rows, cuts)]
    if len(blocks) > 1 and metric != "hamming" and rng.random() < 0.2:
        blocks[-1] = plain(blocks[-1]).astype(np.float64)
    live = [_mask(rng, len(block)) if rng.random() < 0.7 else None for block in blocks]
    masks = None if rng.random() < 0.6 else live
    whole = np.concatenate([plain(block).astype(np.uint8 if metric == "hamming" else np.float64) for block in blocks])
    near = plain(queries)
    with np.errstate(over="ignore"):
        every = distance.METRICS[metric](near, whole) if q and n else np.empty((q, n))
    if masks is not None:
        alive = [np.ones(len(b), bool) if m is None else m for b, m in zip(blocks, masks, strict=True)]
        every[:, ~np.concatenate(alive)] = np.nan
    k = int(rng.choice([1, 2, 3, 10, max(1, n), n + 1, 700]))
    return Case(metric, queries, blocks, masks, k, _limit(rng, every), every, rng)


def _mask(rng: np.random.Generator, n: int) -> NDArray[np.bool_]:
    """Rows that count: some at random, or those of a stretch."""
    if rng.random() < 0.5:
        return rng.random(n) < 0.7
    first, end = np.sort(rng.integers(0, n + 1, 2))
    return (first <= np.arange(n)) & (np.arange(n) < end)


def _limit(rng: np.random.Generator, every: NDArray[np.float64]) -> float | None:
    some = every[np.isfinite(every)]
    with np.errstate(over="ignore"):
        reported = some.astype(np.float32)
    if not len(some) or rng.random() < 0.5:
        return None
    return [
        lambda: 0.0,
        lambda: float(rng.choice(reported)),
        lambda: rng.choice(reported),
        lambda: float(np.quantile(some / 2, rng.random() / 3)) * 2,
        lambda: np.inf,
    ][rng.integers(5)]()


@contextmanager
def settings(**changes: Any) -> Iterator[None]:
    """Module attributes changed for a while: `stored__WORTH=0` stands for `stored._WORTH`."""
    modules = {"stored": stored, "exact": exact, "hamming": hamming, "asymmetric": asymmetric, "direct": direct_scores}
    split = [(modules[name.partition("_")[0]], name.partition("_")[2], value) for name, value in changes.items()]
    before = [(module, name, getattr(module, name)) for module, name, _ in split]
    for module, name, value in split:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def codes_worth(worth: int) -> dict[str, int]:
    """That many pairs of codes make any compiled pass pay."""
    return dict.fromkeys(hamming._WORTH, worth)


def same(found: Any, expected: tuple[NDArray[np.float32], NDArray[np.int64]]) -> None:
    np.testing.assert_array_equal(found.positions, expected[1])
    np.testing.assert_array_equal(found.distances, expected[0])
    assert found.distances.dtype == np.float32


def by_knn(case: Case, **how: Any) -> Any:
    return knn(
        case.queries,
        case.blocks,
        k=case.k,
        metric=case.metric,
        live=case.live,
        max_distance=case.limit,
        device="cpu",
        **how,
    )


def by_torch(case: Case) -> None:
    with settings(stored__WORTH=NEVER, hamming__WORTH=codes_worth(NEVER), direct_FEW=0):
        same(by_knn(case), case.nearest(rounded=False))


def by_compiled(case: Case) -> None:
    with settings(stored__WORTH=0, hamming__WORTH=codes_worth(0), direct_FEW=0):
        same(by_knn(case), case.nearest(rounded=False))


def by_few(case: Case) -> None:
    """By the pass for few queries, numpy's or the compiled one."""
    worth = int(case.rng.choice([0, NEVER]))
    with settings(direct_FEW=NEVER, direct__WORTH=worth, stored__WORTH=worth):
        same(by_knn(case, budget=int(case.rng.choice([1, 3000, 1 << 20]))), case.nearest(rounded=False))


def by_widening(case: Case) -> None:
    worth = case.rng.choice([0, NEVER])
    slack = int(case.rng.choice([0, 1, 54]))
    with settings(exact__SLACK=slack, stored__WORTH=worth, hamming__WORTH=codes_worth(NEVER), direct_FEW=0):
        same(by_knn(case, budget=int(case.rng.choice([1, 3000, 1 << 20]))), case.nearest(rounded=False))


def by_rounding(case: Case) -> None:
    slack = int(case.rng.choice([0, 1, 54]))
    with settings(exact__SLACK=slack, direct_FEW=int(case.rng.choice([0, NEVER]))):
        same(by_knn(case, rounded=True, budget=int(case.rng.choice([3000, 1 << 20]))), case.nearest(rounded=True))


def by_range(case: Case) -> None:
    limit = 0.3 if case.limit is None else case.limit
    with settings(
        stored__WORTH=case.rng.choice([0, NEVER]), hamming__WORTH=codes_worth(int(case.rng.choice([0, NEVER])))
    ):
        found = within(case.queries, case.blocks, max_distance=limit, metric=case.metric, live=case.live, device="cpu")
    case = Case(**{**vars(case), "limit": limit, "k": max(1, case.all_distances.shape[1])})
    near, where = case.nearest(rounded=False)
    np.testing.assert_array_equal(np.diff(found.starts), (where >= 0).sum(axis=1))
    np.testing.assert_array_equal(found.positions, where[where >= 0])
    np.testing.assert_array_equal(found.distances, near[where >= 0])


def by_join(case: Case) -> None:
    blocks = [plain(block) for block in case.blocks]
    rows = np.concatenate([b.astype(np.uint8 if case.metric == "hamming" else np.float64) for b in blocks])
    limit = 0.3 if case.limit is None else float(case.limit)
    with np.errstate(over="ignore"):
        every = distance.METRICS[case.metric](rows, rows)
        left, right = np.nonzero((every.astype(np.float32) <= np.float32(limit)) & ~np.tri(len(rows), dtype=bool))
        order = np.lexsort((right, every[left, right], left))
        expected = left[order], right[order], every[left, right][order].astype(np.float32)
    pieces = list(row_pairs(blocks, max_distance=limit, metric=case.metric, device="cpu"))
    if case.metric == "hamming" and len(blocks) == 1 and limit <= 1:
        pieces = list(code_pairs(blocks[0], radius=int(np.floor(limit * 8 * rows.shape[1] + 1e-4))))
    found = [np.concatenate(column) for column in zip(*pieces, strict=True)] if pieces else [np.empty(0)] * 3
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def by_index(case: Case) -> None:
    """A flat index names all rows that it is asked for, so that the answer is exact."""
    count = case.all_distances.shape[1]
    blocks = [plain(block) for block in case.blocks]
    largest = max(
        (float(np.abs(b.astype(np.float64)).max(initial=0)) for b in (*blocks, plain(case.queries))), default=0
    )
    if case.metric == "l1" or not count or (case.metric == "l2" and largest > 1e15):
        return by_rounding(case)
    spec = IndexSpec("flat", case.metric, blocks[0].shape[1])
    index = build(spec, blocks, device="cpu")
    found = approximate(
        plain(case.queries),
        blocks,
        index,
        k=case.k,
        effort=index.efforts()[0],
        depth=max(1, count),
        live=case.live,
        max_distance=case.limit,
    )
    same(found, case.nearest(rounded=True))
    return None


def by_tables(case: Case) -> None:
    codes = np.concatenate([plain(block) for block in case.blocks])
    if not len(codes) or not len(case.queries):
        return
    bits = 8 * codes.shape[1]
    radius = int(case.rng.choice([0, 1, 2, bits // 4, bits, bits + 9]))
    counts = np.rint(distance.hamming(plain(case.queries), codes) * bits).astype(int)
    found, _ = MultiIndex(codes).within(plain(case.queries), radius=min(radius, 12 if bits > 24 else radius))
    radius = min(radius, 12 if bits > 24 else radius)
    lines, positions = np.nonzero(counts <= radius)
    order = np.lexsort((positions, counts[lines, positions], lines))
    for ours, theirs in zip(found, (lines, counts[lines, positions], positions), strict=True):
        np.testing.assert_array_equal(ours, theirs[order])


def by_short_codes(case: Case) -> None:
    """Codes that do not fill their last byte."""
    width = case.blocks[0].shape[1]
    unused = int(case.rng.integers(0, 8))
    bits = 8 * width - unused
    mask = np.full(width, 255, np.uint8)
    mask[-1] = (255 << unused) & 255
    blocks, queries = [plain(block) & mask for block in case.blocks], plain(case.queries) & mask
    rows = np.concatenate(blocks)
    every = distance.hamming(queries, rows, bits=bits) if len(rows) and len(queries) else case.all_distances.copy()
    every[np.isnan(case.all_distances)] = np.nan
    case = Case(**{**vars(case), "queries": queries, "blocks": blocks, "all_distances": every})
    with settings(hamming__WORTH=codes_worth(int(case.rng.choice([0, NEVER])))):
        same(by_knn(case, bits=bits), case.nearest(rounded=False))


def by_margins(case: Case) -> None:
    width = case.blocks[0].shape[1]
    bits = 8 * width - int(case.rng.integers(0, 8))
    mask = np.packbits(np.arange(8 * width) < bits)
    blocks = [plain(block) & mask for block in case.blocks]
    margins = case.rng.normal(size=(len(case.queries), bits)) * case.rng.choice([1e-300, 1.0, 1e300])
    if case.rng.random() < 0.5:
        margins = np.where(margins > 0, 1.0, -1.0)
    every = asymmetric.asymmetric(margins, np.concatenate(blocks))
    every[np.isnan(case.all_distances)] = np.nan
    case = Case(**{**vars(case), "all_distances": every})
    with settings(asymmetric__WORTH=int(case.rng.choice([0, NEVER]))):
        found = asymmetric.nearest_by_margins(margins, blocks, k=case.k, live=case.live, max_distance=case.limit)
    same(found, case.nearest(rounded=True))


def by_images(case: Case) -> None:
    rows, queries = np.concatenate([plain(block) for block in case.blocks]), plain(case.queries)
    cutoff = int(case.rng.integers(1, 4))
    database = np.split(rows, np.sort(case.rng.integers(0, len(rows) + 1, 4)))
    images = np.split(queries, [len(queries) // 2])
    with settings():
        found = image_distances(images, database, metric=case.metric, cutoff=cutoff)
    for i, a in enumerate(images):
        for j, b in enumerate(database):
            with np.errstate(over="ignore"):
                if len(a) < cutoff or not len(b):
                    assert found[i, j] == np.inf
                    continue
                exact_one = np.sort(distance.METRICS[case.metric](a, b).min(axis=1))[cutoff - 1]
                np.testing.assert_allclose(found[i, j], exact_one.astype(np.float32), rtol=1e-6, atol=1e-12)


def by_refusing(case: Case) -> None:
    """A live row that has no distance is named."""
    places = [(b, i) for b, block in enumerate(case.blocks) for i in range(len(block))]
    if not places or not len(case.queries) or case.metric == "hamming":
        return by_torch(case)
    b, i = places[case.rng.integers(len(places))]
    blocks = [plain(block).astype(np.float64) for block in case.blocks]
    bad = case.rng.choice(["nan", "inf", "zeros", "negative"])
    if bad == "negative" and case.metric != "js":
        bad = "nan"
    blocks[b][i] = {"nan": np.nan, "inf": np.inf, "zeros": 0, "negative": -blocks[b][i]}[bad]
    position = sum(map(len, blocks[:b])) + i
    case = Case(**{**vars(case), "blocks": blocks})
    with settings(stored__WORTH=int(case.rng.choice([0, NEVER]))):
        if case.live is None or case.live[b] is None or case.live[b][i]:
            with pytest.raises((RowError, MetricError), match=f"^row {position} "):
                by_knn(case)
        else:
            same(by_knn(case), case.nearest(rounded=False))
    return None


def in_long_doubles(case: Case) -> None:
    """The distance itself, beside the same formulae in 80 bits."""
    if case.metric == "hamming" or not case.all_distances.size:
        return by_torch(case)
    a, b = plain(case.queries).astype(np.float64), np.concatenate([plain(x).astype(np.float64) for x in case.blocks])
    with np.errstate(over="ignore"):
        found = distance.METRICS[case.metric](a, b)
        expected = np.stack([_long(case.metric, x, b) for x in a.astype(np.longdouble)])
        close = np.isclose(
            found.astype(np.longdouble), expected, rtol=1e-9, atol=2e-8 if case.metric == "js" else 1e-15
        )
    close |= (case.metric == "l2") & ((expected < 1e-150) | (expected > 1e150))  # squares leave the range of float64
    close |= expected > np.finfo(np.float64).max
    assert close.all()
    return None


def _long(metric: str, x: NDArray[np.longdouble], rows: Array) -> NDArray[np.longdouble]:
    y = rows.astype(np.longdouble)
    if metric == "l1":
        return np.asarray(np.abs(x - y).sum(axis=1))
    if metric == "l2":
        return np.asarray(np.sqrt(((x - y) ** 2).sum(axis=1)))
    if metric == "cosine":
        x, y = x / np.abs(x).max(), y / np.abs(y).max(axis=1, keepdims=True)
        x, y = x / np.sqrt((x**2).sum()), y / np.sqrt((y**2).sum(axis=1, keepdims=True))
        return np.asarray(((x - y) ** 2).sum(axis=1) / 4)
    p, q = x / x.sum(), y / y.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(r > 0, r * np.log2(2 * r / (p + q)), 0) for r in (np.broadcast_to(p, q.shape), q)]
    return np.asarray(np.sqrt(np.clip(sum(terms).sum(axis=1) / 2, 0, 1)))


Route = Callable[[Case], None]
ROUTES: dict[str, Route] = {
    "torch": by_torch,
    "compiled": by_compiled,
    "few queries": by_few,
    "second look": by_widening,
    "rounded ties": by_rounding,
    "within": by_range,
    "self-join": by_join,
    "flat index": by_index,
    "several rows": by_images,
    "refused": by_refusing,
    "80 bits": in_long_doubles,
}
CODE_ROUTES: dict[str, Route] = {"tables": by_tables, "short codes": by_short_codes, "margins": by_margins}


def run(seed: int) -> tuple[str, str | None]:
    """The route of a case, and what went wrong with it."""
    rng = np.random.default_rng([7, seed])
    metric = str(rng.choice([*FLOATS, *FLOATS, "hamming", "hamming"]))
    routes = ROUTES | CODE_ROUTES if metric == "hamming" else ROUTES
    name = list(routes)[rng.integers(len(routes))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            routes[name](made(rng, metric))
    except Exception:
        return f"{metric}, {name}", f"python -m tests.search.fuzzing {seed}\n{traceback.format_exc()}"
    return f"{metric}, {name}", None


if __name__ == "__main__":
    for number in map(int, sys.argv[1:]):
        told, wrong = run(number)
        sys.stdout.write(f"{number}: {told}: {wrong or 'right'}\n")
