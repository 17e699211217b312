"""Laws of groups, on any graph, against slow and obvious ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.library.duplicates.groups import GROUPINGS, Links, around, grouped


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Links, np.ndarray]:
    count = draw(st.integers(1, 9))
    every = list(itertools.combinations(range(count), 2))
    chosen = sorted(draw(st.sets(st.sampled_from(every)))) if every else []
    distances = draw(st.lists(st.integers(0, 3), min_size=len(chosen), max_size=len(chosen)))
    ends = np.array(chosen, np.int64).reshape(-1, 2)
    ranks = np.array(draw(st.permutations(range(count))), np.int64)
    return Links(count, ends[:, 0], ends[:, 1], np.array(distances, np.float32)), ranks


def linked(links: Links) -> set[tuple[int, int]]:
    pairs = set(zip(links.left.tolist(), links.right.tolist(), strict=True))
    return pairs | {(b, a) for a, b in pairs}


@given(graphs())
def test_links_are_found_from_both_ends(graph):
    links, _ = graph
    pairs = linked(links)
    for a, b in itertools.product(range(links.count), repeat=2):
        number = links.pair(a, b)
        assert (number is not None) == ((a, b) in pairs)
        assert number is None or {links.left[number], links.right[number]} == {a, b}
        assert (b in links.of(a)[0]) == ((a, b) in pairs)


@pytest.mark.parametrize("grouping", GROUPINGS)
@given(graph=graphs())
def test_no_node_is_in_two_groups_and_the_best_is_first(grouping, graph):
    links, ranks = graph
    groups = grouped(links, ranks, grouping)
    nodes = [node for group in groups for node in group]
    assert len(nodes) == len(set(nodes))
    assert all(len(group) > 1 for group in groups)
    assert all(ranks[group[0]] == min(ranks[group]) for group in groups)


@given(graphs())
def test_around_the_best_everything_is_near_it_and_nothing_is_left_that_could_go(graph):
    links, ranks = graph
    groups, pairs = grouped(links, ranks, "pairs"), linked(links)
    assert all((group[0], other) in pairs for group in groups for other in group[1:])
    gone = {other for group in groups for other in group[1:]}
    assert not any(a not in gone and b not in gone for a, b in pairs), "two that stay are near each other"


@given(graphs())
def test_in_a_complete_group_every_two_are_near_and_no_two_groups_could_be_one(graph):
    links, ranks = graph
    groups, pairs = grouped(links, ranks, "complete"), linked(links)
    assert all(pair in pairs for group in groups for pair in itertools.combinations(group, 2))
    alone = [[node] for node in range(links.count) if not any(node in group for group in groups)]
    for one, other in itertools.combinations([*groups, *alone], 2):
        assert not all(pair in pairs for pair in itertools.product(one, other))


@given(graphs())
def test_components_are_what_can_be_reached(graph):
    links, ranks = graph
    reached = {node: {node} for node in range(links.count)}
    for _ in range(links.count):
        for a, b in linked(links):
            reached[a] |= reached[b]
    expected = {frozenset(nodes) for nodes in reached.values() if len(nodes) > 1}
    assert {frozenset(group) for group in grouped(links, ranks, "components")} == expected


@given(graphs(), st.data())
def test_around_centres_each_is_with_the_nearest(graph, data):
    links, _ = graph
    centres = np.array(data.draw(st.lists(st.booleans(), min_size=links.count, max_size=links.count)))
    groups = around(links, centres)
    assert all(centres[group[0]] and not centres[group[1:]].any() for group in groups)
    for node in np.flatnonzero(~centres).tolist():
        own = [group[0] for group in groups if node in group]
        near = {
            c: links.distances[n] for c in np.flatnonzero(centres).tolist() if (n := links.pair(node, c)) is not None
        }
        assert len(own) == (1 if near else 0)
        assert not own or near[own[0]] == min(near.values())
