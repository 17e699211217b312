"""Pairs to groups, by numbers alone: around the best, by complete link, or by components, which chain.

Nodes are numbered from 0. A group is a list of nodes, its best first.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simsearch.library.duplicates.contents import Numbers

GROUPINGS = ("pairs", "complete", "components")


@dataclass(frozen=True, eq=False)
class Links:
    """Pairs of nodes within the limit.

    Attributes:
        count: Nodes.
        left: (m,) int64.
        right: (m,) int64, each pair once.
        distances: (m,).
    """

    count: int
    left: Numbers
    right: Numbers
    distances: NDArray[np.float32]

    @cached_property
    def _both(self) -> tuple[Numbers, Numbers, Numbers]:
        """Where each node's links begin, their other ends in order, and which pair each is."""
        ends = np.concatenate([self.left, self.right]), np.concatenate([self.right, self.left])
        order = np.lexsort((ends[1], ends[0]))
        starts = np.searchsorted(ends[0][order], np.arange(self.count + 1))
        return starts, ends[1][order], np.tile(np.arange(len(self.left)), 2)[order]

    def of(self, node: int) -> tuple[Numbers, Numbers]:
        """Return the nodes that are linked with one, ascending, and the numbers of the pairs."""
        starts, others, pairs = self._both
        here = slice(int(starts[node]), int(starts[node + 1]))
        return others[here], pairs[here]

    def pair(self, a: int, b: int) -> int | None:
        """Return the number of the pair of two nodes, None where they are not linked."""
        others, pairs = self.of(a)
        at = int(np.searchsorted(others, b))
        return int(pairs[at]) if at < len(others) and others[at] == b else None


def grouped(links: Links, ranks: Numbers, grouping: str) -> list[list[int]]:
    """Return the groups of two nodes or more.

    Args:
        links: Between the nodes.
        ranks: (count,) the place of each node when the best come first.
        grouping: "pairs": around the best node that is left, with all that are linked with it. "complete": every two
            nodes of a group are linked; the nearest are joined first. "components": all that are linked in any way.
    """
    if grouping == "pairs":
        return _around_best(links, ranks)
    labels = _complete(links) if grouping == "complete" else _components(links)
    order = np.lexsort((ranks, labels))
    ends = np.flatnonzero(np.diff(labels[order])) + 1
    return [group.tolist() for group in np.split(order, ends) if len(group) > 1]


def around(links: Links, centres: NDArray[np.bool_]) -> list[list[int]]:
    """Return groups around some nodes: each other node is with the centre that is nearest to it."""
    held: dict[int, list[int]] = {}
    for node in np.flatnonzero(~centres).tolist():
        others, pairs = links.of(node)
        near = centres[others]
        if near.any():
            nearest = others[near][int(np.argmin(links.distances[pairs[near]]))]
            held.setdefault(int(nearest), []).append(node)
    return [[centre, *held[centre]] for centre in sorted(held)]


def _around_best(links: Links, ranks: Numbers) -> list[list[int]]:
    taken, groups = np.zeros(links.count, bool), []
    for node in np.argsort(ranks, kind="stable").tolist():
        if taken[node]:
            continue
        others, _ = links.of(node)
        free = others[~taken[others]]
        taken[node] = True
        if len(free):
            taken[free] = True
            groups.append([node, *free[np.argsort(ranks[free])].tolist()])
    return groups


def _components(links: Links) -> Numbers:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    shape = (links.count, links.count)
    graph = coo_array((np.ones(len(links.left), np.int8), (links.left, links.right)), shape=shape)
    _, labels = connected_components(graph, directed=False)
    return np.asarray(labels, np.int64)


def _complete(links: Links) -> Numbers:
    """Return the group of each node, where the nearest groups are joined while all of both are linked."""
    labels = np.arange(links.count)
    members = {node: np.array([node]) for node in range(links.count)}
    for pair in np.argsort(links.distances, kind="stable").tolist():
        a, b = int(labels[links.left[pair]]), int(labels[links.right[pair]])
        if a == b:
            continue
        few, many = sorted((members[a], members[b]), key=len)
        if all(np.isin(many, links.of(node)[0], assume_unique=True).all() for node in few.tolist()):
            members[a] = np.concatenate([members[a], members.pop(b)])
            labels[members[a]] = a
    return labels
