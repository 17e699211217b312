"""The protocol of Vallez, Kucharavy and Dolamic, "Needle In A Haystack, Fast", 2022, for any extractors.

Half of the photographs are the database, half are strangers. Of each half some are edited in 58 ways; a query is
detected when any database image is within the threshold. What the paper reports is computed exactly from all distances
beside its own coarse grid, and beside the stricter count that wants the right image.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.edits import (
    Images,
    Photograph,
    Progress,
    check_extractors,
    edited_copies,
    embed_photographs,
    photographs,
)
from simsearch.benchmark.figures import GRIDS
from simsearch.benchmark.paper_result import Attack, Estimate, PaperResult, Stranger
from simsearch.decide import Statistic, auc, auc_on_grid, bootstrap_by_source, recall_at_fpr, supported
from simsearch.distance import by_name
from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor
from simsearch.images.perturb import PAPER, Perturbation
from simsearch.search.exact import knn

_GRID_POINTS = 20
_CLOSEST = 5

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How the benchmark is run.

    Attributes:
        seed: Decides the split, the photographs that are edited, noise, letters and places.
        n_attacked: Photographs edited in each half.
        edits: The edits; the paper's 58.
        fpr: False-positive rate at which recall is reported.
        repeats: Draws of the bootstrap.
        workers: Threads that make edits; by default the cores.
        device: Where distances to the database are searched.
    """

    seed: int = 0
    n_attacked: int = 100
    edits: Sequence[Perturbation] = PAPER
    fpr: float = 0.005
    repeats: int = 1000
    workers: int | None = None
    device: str = "auto"


@dataclass(frozen=True, slots=True)
class Split:
    """Which photographs play which part; the attacked ones stand first in both halves."""

    database: tuple[Photograph, ...]
    control: tuple[Photograph, ...]
    numbers: tuple[int, ...]  # of the attacked database, then of the attacked control images, in the whole set


@dataclass(frozen=True, slots=True)
class PaperRows:
    """The rows of one extractor, from which any metric can be scored.

    Attributes:
        extractor: Whose rows they are.
        split: The photographs.
        database: (n, d).
        positives: (attacked, edits, d).
        negatives: (attacked, edits, d).
    """

    extractor: Extractor
    split: Split
    database: NDArray[Any]
    positives: NDArray[Any]
    negatives: NDArray[Any]


def run_paper(
    extractors: Sequence[Extractor],
    images: Images,
    *,
    metric: str | None = None,
    protocol: Protocol | None = None,
    progress: Progress | None = None,
) -> tuple[PaperResult, ...]:
    """The paper's benchmark for each extractor, all on the same edited copies.

    Args:
        extractors: What is compared; names must differ.
        images: A folder, or a sequence of paths and PIL images.
        metric: One distance for all; by default what each extractor recommends.
        protocol: Seed, numbers, edits.
        progress: Called with (photographs edited, photographs to edit).

    Raises:
        InputError: Too few photographs, one that cannot be decoded, or extractors of one name.
        RowError: An extractor made a row that no distance is defined on.
    """
    protocol = protocol or Protocol()
    rows = embed_paper(extractors, images, protocol, progress=progress)
    return tuple(score_paper(of_one, metric or of_one.extractor.metric, protocol) for of_one in rows)


def embed_paper(
    extractors: Sequence[Extractor], images: Images, protocol: Protocol, *, progress: Progress | None = None
) -> tuple[PaperRows, ...]:
    """The rows of the database and of every edited copy, for each extractor; each copy is made once.

    Raises:
        InputError: As `run_paper`.
    """
    check_extractors(extractors)
    split = split_photographs(photographs(images), protocol)
    databases = embed_photographs(extractors, split.database)
    n = protocol.n_attacked
    attacked = split.database[:n] + split.control[:n]
    queries: list[list[NDArray[Any]]] = [[] for _ in extractors]
    copies = edited_copies(
        zip(split.numbers, attacked, strict=True), protocol.edits, protocol.seed, workers=protocol.workers
    )
    for done, batch in enumerate(copies, start=1):
        for rows, extractor in zip(queries, extractors, strict=True):
            rows.append(extractor.rows(batch))
        if progress is not None:
            progress(done, len(attacked))
    return tuple(
        PaperRows(extractor, split, database, np.stack(rows[:n]), np.stack(rows[n:]))
        for extractor, database, rows in zip(extractors, databases, queries, strict=True)
    )


def split_photographs(images: Sequence[Photograph], protocol: Protocol) -> Split:
    """A random half as database, the other as control; the attacked ones first in each.

    Raises:
        InputError: A half is smaller than the number to attack.
    """
    half, n = len(images) // 2, protocol.n_attacked
    if not 1 <= n <= half:
        raise InputError(f"{len(images)} photographs make halves of {half}, too few to edit {n} of each")
    order = [int(i) for i in np.random.default_rng(protocol.seed).permutation(len(images))]
    return Split(
        tuple(images[i] for i in order[:half]),
        tuple(images[i] for i in order[half:]),
        (*order[:n], *order[half : half + n]),
    )


def score_paper(rows: PaperRows, metric: str, protocol: Protocol) -> PaperResult:
    """All that the paper reports, from rows.

    Raises:
        RowError: A row is not finite or all zeros.
        MetricError: The metric is not defined on these rows.
    """
    near, first = _nearest(rows.positives, rows.database, metric, protocol.device)
    far, of_strangers = _nearest(rows.negatives, rows.database, metric, protocol.device)
    right = _to_right_image(rows, metric)
    hits = (first == np.arange(len(first))[:, None]).astype(np.float64)
    point = recall_at_fpr(near, far, protocol.fpr)
    grid = GRIDS.get(rows.extractor.name, (float(min(near.min(), far.min())), float(max(near.max(), far.max()))))

    def recall(positives: Values, negatives: Values) -> float:
        return recall_at_fpr(positives, negatives, protocol.fpr).recall

    return PaperResult(
        extractor=rows.extractor.name,
        fingerprint=rows.extractor.fingerprint,
        metric=metric,
        seed=protocol.seed,
        database=len(rows.database),
        attacked=len(near),
        edits=len(protocol.edits),
        auc=_estimate(auc, near, far, protocol),
        auc_right_image=_estimate(auc, right, far, protocol),
        auc_on_grid=auc_on_grid(near, far, np.linspace(*grid, _GRID_POINTS)),
        grid=grid,
        fpr=protocol.fpr,
        measured_fpr=point.fpr,
        threshold=point.threshold,
        recall=_estimate(recall, near, far, protocol),
        recall_right_image=_estimate(recall, right, far, protocol),
        supported=supported(protocol.fpr, len(far)),
        right_image_first=_estimate(lambda share, _: float(share.mean()), hits, hits, protocol),
        attacks=tuple(
            Attack(
                edit.name,
                edit.family,
                auc(near[:, e], far[:, e]),
                auc(right[:, e], far[:, e]),
                float((near[:, e] <= point.threshold).mean()),
                float((right[:, e] <= point.threshold).mean()),
                float(hits[:, e].mean()),
            )
            for e, edit in enumerate(protocol.edits)
        ),
        closest_strangers=_closest_strangers(rows.split, far, of_strangers, protocol),
    )


def _nearest(queries: NDArray[Any], database: NDArray[Any], metric: str, device: str) -> tuple[Values, NDArray[Any]]:
    """Distance and position of each query's nearest database row: (attacked, edits) each."""
    found = knn(queries.reshape(-1, queries.shape[-1]), [database], k=1, metric=metric, device=device)
    shape = queries.shape[:2]
    return found.distances.reshape(shape).astype(np.float64), found.positions.reshape(shape)


def _to_right_image(rows: PaperRows, metric: str) -> Values:
    """Distance of each positive to its own original (attacked, edits), rounded as `knn` rounds."""
    measure = by_name(metric)
    pairs = zip(rows.positives, rows.database, strict=False)  # the attacked ones stand first
    return (
        np.stack([measure(copies, original[None])[:, 0] for copies, original in pairs])
        .astype(np.float32)
        .astype(np.float64)
    )


def _estimate(statistic: Statistic, positives: Values, negatives: Values, protocol: Protocol) -> Estimate:
    rng = np.random.default_rng(protocol.seed)
    low, high = bootstrap_by_source(statistic, positives, negatives, rng=rng, repeats=protocol.repeats)
    return Estimate(statistic(positives.ravel(), negatives.ravel()), low, high)


def _closest_strangers(
    split: Split, distances: Values, positions: NDArray[Any], protocol: Protocol
) -> tuple[Stranger, ...]:
    closest = distances.argmin(axis=1)
    order = np.argsort(distances.min(axis=1), kind="stable")
    return tuple(
        Stranger(
            split.control[i].name,
            protocol.edits[closest[i]].name,
            split.database[positions[i, closest[i]]].name,
            float(distances[i, closest[i]]),
        )
        for i in itertools.islice(order, _CLOSEST)
    )
