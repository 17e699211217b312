"""Strata of near pairs: across sources, within one, with textures, and of edited copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.needle.pairs import ImagePairs
from simsearch.benchmark.needle.strangers import NeedleWorld
from simsearch.benchmark.needle_results import NeedleStratum, NeedleThreshold, StratumKind


def strata_of(
    pairs: ImagePairs, world: NeedleWorld, thresholds: Sequence[NeedleThreshold]
) -> tuple[NeedleStratum, ...]:
    """Return the pairs within each threshold, by kind: across sources, of each two, within each, and with textures.

    Args:
        pairs: Of all photographs, each once.
        world: The photographs.
        thresholds: Along the limits.
    """
    numbers, names = world.numbers, world.names
    apart = np.array(world.copies, np.int64).reshape(-1, 2)
    sizes = np.bincount(numbers, minlength=len(names))
    near = ~_known(pairs, apart, len(numbers))
    found_in, taken_in = _two(numbers, pairs.left, pairs.right), _two(numbers, apart[:, 0], apart[:, 1])

    def stratum(kind: StratumKind, name: str, wanted: Iterable[tuple[int, int]]) -> NeedleStratum:
        chosen = np.array([a * len(names) + b for a, b in wanted], np.int64)
        low, high = chosen // len(names), chosen % len(names)
        total = np.where(low == high, sizes[low] * (sizes[low] - 1) // 2, sizes[low] * sizes[high]).sum()
        total -= np.isin(taken_in, chosen).sum()
        inside = pairs.distances[near & np.isin(found_in, chosen)]
        within = (None if one.threshold is None else int((inside <= one.threshold.value).sum()) for one in thresholds)
        return NeedleStratum(kind, name, int(total), tuple(within))

    plain = [i for i, name in enumerate(names) if name not in world.textures]
    two = list(itertools.combinations(plain, 2))
    found = [stratum("across", "", two)]
    found += [stratum("sources", f"{names[a]}, {names[b]}", [(a, b)]) for a, b in two]
    found += [stratum("look_alikes", "", [(a, a) for a in plain])]
    found += [stratum("look_alikes", names[a], [(a, a)]) for a in plain]
    for a in sorted(set(range(len(names))) - set(plain)):
        found.append(stratum("textures", names[a], [(a, a)]))
        found.append(stratum("textures", f"{names[a]}, photographs", [(min(a, b), max(a, b)) for b in plain]))
    return tuple(found)


def edited_of(
    world: NeedleWorld, sample: ImagePairs, copies: int, thresholds: Sequence[NeedleThreshold]
) -> NeedleStratum:
    """Return the stratum of edited copies against strangers of other sources.

    Args:
        world: The photographs.
        sample: Near pairs of a copy's photograph (its position) and any photograph.
        copies: How many of each photograph were compared.
        thresholds: Along the limits.
    """
    strangers = world.strangers
    own = strangers.sources[list(world.queries)]
    others = (strangers.sources >= 0).sum() - np.bincount(strangers.sources[strangers.sources >= 0])[own]
    known = strangers.apart[strangers.across(*strangers.apart.T)]
    total = copies * (others.sum() - np.isin(known, world.queries).sum())
    near = sample.distances[strangers.counts(sample.left, sample.right)]
    within = (None if one.threshold is None else int((near <= one.threshold.value).sum()) for one in thresholds)
    return NeedleStratum("edited", "", int(total), tuple(within))


def _two(numbers: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return one number for the two sources of each pair, in any order."""
    low, high = np.minimum(numbers[left], numbers[right]), np.maximum(numbers[left], numbers[right])
    keys: NDArray[np.int64] = low * (1 + numbers.max(initial=0)) + high
    return keys


def _known(pairs: ImagePairs, apart: NDArray[np.int64], n: int) -> NDArray[np.bool_]:
    keys = np.minimum(pairs.left, pairs.right) * n + np.maximum(pairs.left, pairs.right)
    known: NDArray[np.bool_] = np.isin(keys, apart[:, 0] * n + apart[:, 1])
    return known
