"""Counting how often strangers come near each other: all pairs of two groups of images, without what looks like copies.

The nearest pairs of photographs that nobody has looked at are not all strangers: bursts and copies are among them. They
stand out, since the number of strangers falls steadily with distance: where that fall, taken further, leaves a
hundredth of a pair, a pair is no stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.decide.calibration import NEAREST, Calibration, Origin
from simsearch.decide.density import Density
from simsearch.decide.rate_curve import RateCurve
from simsearch.errors import InputError
from simsearch.library.calibration.comparison import Comparison, Group, Near, Progress, Rule, drawn
from simsearch.search.exact import knn

COMPARED = 200_000_000  # pairs that are compared for the whole curve; of more only the nearest are kept
KEPT = 0.02  # share of the pairs that are kept: twice as many as neighbours are counted in
FEWEST_PAIRS = 1000
_NEAREST = 4_000_000  # pairs that are kept of more
_STRANGERS_LEFT = 0.01  # expected beyond a distance, from which down a pair is no stranger
_FEWEST_OF_FALL = 200  # nearest pairs, of which copies are few enough that the median says how strangers fall


@dataclass(frozen=True, slots=True)
class Counted:
    """The rates of two groups.

    Attributes:
        curve: Of all pairs of strangers.
        density: How a query's own rate depends on its neighbours; None where the pairs are too few to tell.
        copies: Pairs that look like copies, nearest first; they are not counted.
        normalised: Of distances less each query's mean to its nearest background rows; None without such rows.
    """

    curve: RateCurve
    density: Density | None
    copies: Near
    normalised: RateCurve | None = None

    def calibration(
        self, fingerprint: str, metric: str, *, origin: Origin, what: str, sizes: tuple[int, int]
    ) -> Calibration:
        """Return them as a calibration, of images and a library of these sizes."""
        left_out = len(self.copies.distances)
        return Calibration(
            fingerprint, metric, self.curve, self.density, origin, what, *sizes, left_out, self.normalised
        )


def count(
    asked: Group,
    held: Group,
    rule: Rule,
    *,
    background: Group | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Counted:
    """Count the pairs of strangers within every distance.

    Args:
        asked: Queries.
        held: Of a library, or the same photographs.
        rule: How they are compared.
        background: The model's rows of strangers, by which distances are normalised.
        seed: Of samples.
        progress: Called with queries compared and their number.

    Raises:
        InputError: There are fewer than 1,000 pairs of strangers.
    """
    rng = np.random.default_rng(seed)
    whole = Comparison(asked, held, rule)
    if whole.total < FEWEST_PAIRS:
        raise InputError(
            f"{len(asked)} x {len(held)} images give {whole.total} pairs of strangers, too few for a rate; give "
            "photographs of at least two folders, some hundreds of each"
        )
    some = whole
    if whole.total > COMPARED:
        share = COMPARED / whole.total
        some = Comparison(asked, held.some(drawn(len(held), max(1, int(share * len(held))), rng)), rule)
    near = some.near(KEPT, rng, progress)
    strangers = look_like_strangers(near.distances)
    near, copies = near.some(strangers), near.some(~strangers)
    limit = float(copies.distances.max(initial=-1.0))
    curve, density = some.curve(near), some.density(near, limit, rng)
    if some is not whole:
        nearest = whole.near(_NEAREST / whole.total, rng, progress)
        nearest, copies = nearest.some(nearest.distances > limit), nearest.some(nearest.distances <= limit)
        curve = whole.curve(nearest).reaching(curve)
    return Counted(curve, density, copies, None if background is None else _normalised(whole, some, background, limit))


def _normalised(whole: Comparison, some: Comparison, background: Group, copies_within: float) -> RateCurve | None:
    """Return the rates of distances less each query's mean to its nearest background rows; None without near pairs."""
    means = of_nearest(whole.asked, background, whole.rule)
    near = some.near_by_own(means, copies_within)
    if not len(near.distances):
        return None
    curve = some.curve(near)
    if some is whole:
        return curve
    kept = int(np.clip(_NEAREST * some.total / whole.total, 1, len(near.distances)))
    most = float(near.distances[kept - 1])
    return whole.curve(whole.near_by_own(means + most, copies_within, normalised_by=means)).reaching(curve)


def of_nearest(asked: Group, background: Group, rule: Rule) -> NDArray[np.float64]:
    """Return the mean distance of each row (n,) to its nearest background rows of other sources."""
    means = np.empty(len(asked))
    for source in np.unique(asked.sources).tolist():
        mine, others = asked.sources == source, (background.sources != source) | (source < 0)
        means[mine] = mean_to_nearest(asked.rows[mine], background.rows[others], rule)
    return means


def mean_to_nearest(rows: NDArray[Any], background: NDArray[Any], rule: Rule) -> NDArray[np.float64]:
    """Return the mean distance of each row (n,) to its nearest background rows."""
    found = knn(rows, [background], k=NEAREST, metric=rule.metric, device=rule.device, bits=rule.bits)
    return np.asarray(found.distances.mean(axis=1, dtype=np.float64))


def look_like_strangers(distances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which pairs, nearest first, are no copies: by the median falls of the nearest, which few copies move.

    Args:
        distances: (m,) ascending.
    """
    left, size = np.full(len(distances), np.inf), len(distances)
    while size >= _FEWEST_OF_FALL:
        excess = distances[size - 1] - distances[:size]
        fall = float(np.median(excess[excess > 0])) if (excess > 0).any() else 0.0
        if fall > 0:
            left[:size] = np.minimum(left[:size], size * 0.5 ** (excess / fall))
        size //= 4
    return np.asarray(left >= _STRANGERS_LEFT)
