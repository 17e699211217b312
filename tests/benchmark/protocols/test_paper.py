"""What the paper and its peers report, in worlds that one can check by eye."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.benchmark.data.nearest import Distances, Nearest, _of_matrix
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.protocols.aggregate import paper_means
from simsearch.benchmark.protocols.copy_detection import chain_points, copy_detection, nearest_ranking
from simsearch.benchmark.protocols.paper import Rules, Subject, curve, paper_split, right_first, share
from simsearch.benchmark.protocols.perception import perception_rows
from simsearch.benchmark.protocols.transfer import transferred
from simsearch.benchmark.results import Spread
from simsearch.decide.roc_curve import auc, auc_on_grid, roc
from simsearch.images import Source
from simsearch.images.perturb import by_name

RULES = Rules(fpr=(0.25, 0.5), repeats=20, seed=0)
EDITS = [by_name("scaling_0.5"), by_name("text_length_10")]
SUBJECT = Subject("corner", "l1", 3, 2, EDITS)


def side(distance, position, own=None, other=None):
    values = np.array(distance, np.float64)
    empty = np.full(values.shape, np.nan)
    return Nearest(values, np.array(position), empty if own is None else np.array(own, float), np.array(other or empty))


# Two photographs of the database, two strangers, two edits; the second copy of photograph 0 is nearer to photograph 1.
WORLD = Distances(
    side([[0.5, 2], [1, 3]], [[0, 1], [1, 1]], own=[[0.5, 8], [1, 3]]),
    side([[2, 2.5], [10, 4]], [[0, 1], [1, 0]]),
)


def test_a_world_of_two_photographs_and_two_edits():
    result = paper_split(WORLD, SUBJECT, RULES)
    near, right, far = [0.5, 2, 1, 3], [0.5, 8, 1, 3], [2, 2.5, 10, 4]
    assert result.auc.value == auc(near, far) == (4 + 3.5 + 4 + 2) / 16
    assert result.auc_right_image.value == auc(right, far) == (4 + 1 + 4 + 2) / 16
    assert (result.grid, result.grid_of_paper) == ((0.5, 10), False)
    assert result.auc_on_grid == auc_on_grid(near, far, np.linspace(0.5, 10, 20))
    assert result.right_image_first.value == 3 / 4
    point, loose = result.operating
    assert 2 <= point.threshold < 2.5, "one stranger of four is let in"
    assert (point.measured_fpr.value, point.recall.value, point.recall_right_image.value) == (1 / 4, 3 / 4, 2 / 4)
    assert (loose.fpr, loose.measured_fpr.value, loose.recall.value, loose.recall_right_image.value) == (
        0.5,
        0.5,
        1,
        0.75,
    )
    assert not point.recall.supported
    assert not point.measured_fpr.supported
    assert (result.method, result.metric, result.seed, result.database, result.attacked, result.edits) == (
        *("corner", "l1", 3, 2, 2, 2),
    )
    scaling, text = result.attacks
    assert (scaling.name, scaling.category, scaling.auc, scaling.recall.value) == ("scaling_0.5", "geometry", 1, 1)
    assert (text.family, text.auc, text.auc_right_image) == ("text_length", 3 / 4, 1 / 4)
    assert (text.recall.value, text.recall_right_image.value, text.right_image_first) == (1 / 2, 0, 1 / 2)
    assert {(group.kind, group.name, group.edits) for group in result.groups} == {
        *(("category", "geometry", 1), ("category", "text", 1), ("text", "text", 1), ("text", "no text", 1)),
    }


def test_the_papers_grid_is_used_for_its_methods_whatever_their_parameters():
    for name, grid in (("dhash", (0.05, 0.4)), ("sift(count=100)", (0.0, 300.0))):
        result = paper_split(WORLD, Subject(name, "l1", 0, 2, EDITS), RULES)
        assert (result.grid, result.grid_of_paper) == (grid, True)


def test_a_method_that_never_detects_has_infinite_distances():
    never, nowhere = np.full((2, 2), np.inf), np.full((2, 2), -1)
    blind = Distances(side(never, nowhere, own=never), side(never, nowhere))
    result = paper_split(blind, SUBJECT, RULES)
    assert (result.auc.value, result.auc_on_grid, result.right_image_first.value) == (0.5, 0, 0)
    assert [point.recall.value for point in result.operating] == [0, 0]


def test_a_thinned_curve_keeps_its_ends_and_its_area(rng):
    near, far = np.abs(rng.normal(0.2, 0.1, 3000)), np.abs(rng.normal(0.4, 0.1, 3000))
    thin = curve(roc(near, far))
    assert len(thin.fpr) == len(thin.recall) == len(thin.thresholds) <= 200
    assert (thin.fpr[0], thin.recall[0], thin.thresholds[0]) == (0, 0, None)
    assert (thin.fpr[-1], thin.recall[-1]) == (1, 1)
    assert np.trapezoid(thin.recall, thin.fpr) == pytest.approx(auc(near, far), abs=1e-4)
    few = curve(roc([1, 2], [2, 3]))
    assert few.recall == (0, 0.5, 1, 1)


def test_the_interval_of_a_share_draws_whole_sources(rng):
    hits = np.repeat(rng.integers(0, 2, (40, 1)), 50, axis=1).astype(float)
    estimate = share(hits, Rules((0.1,), 2000, 0))
    deviation = hits.std() / np.sqrt(40)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)


def test_means_over_splits():
    one = paper_split(WORLD, SUBJECT, RULES)
    strangers_far = Distances(WORLD.copies, side([[20, 20], [20, 20]], [[0, 0], [0, 0]]))
    other = paper_split(strangers_far, SUBJECT, RULES)
    (mean,) = paper_means([one, other])
    assert mean.auc == Spread((one.auc.value + 1) / 2, one.auc.value, 1)
    assert mean.recall == mean.operating[0].recall == Spread(0.875, 0.75, 1)
    assert mean.attacks[1].auc == Spread(0.875, 0.75, 1)
    assert (mean.groups[0].family, mean.groups[0].category, mean.groups[0].name) == ("category", "geometry", "geometry")
    assert (mean.splits, mean.supported) == (2, False)


def picture(name):
    return Picture(name, name, Source(b"", b"", b"", 0, 0, 0), 1)


def test_perceptions_table_by_category_and_transform():
    found = side([[0]], [[0]], own=[[1, 5], [1, 5], [2, 5], [9, 1]], other=[[3, 4], [4, 4], [4, 3], [1, 2]])
    pictures = [picture(name) for name in ("art/a", "art/b", "photo/c", "photo/d")]
    rows = perception_rows(found, pictures, ("dhash", "hamming", ["x", "y"]), Rules((0.25,), 10, 0))
    table = {(row.category, row.transform): row for row in rows}
    assert list(table) == [(c, t) for c in ("all", "art", "photo") for t in ("all", "x", "y")]
    x = table["all", "x"]  # others come to 1, 3, 4, 4: one of four is within anything below 3
    assert (x.measured_fpr.value, x.recall.value, x.photographs) == (0.25, 3 / 4, 4)
    assert 2 < x.threshold < 3
    y = table["all", "y"]
    assert (y.recall.value, y.measured_fpr.value) == (1 / 4, 1 / 4)
    art = table["art", "x"]  # no stranger may come in: everything below 3
    assert (art.recall.value, art.measured_fpr.value, art.photographs) == (1, 0, 2)
    assert table["all", "all"].recall.value == 4 / 8
    assert not x.recall.supported


def test_one_folder_is_no_category():
    found = side([[0]], [[0]], own=[[1], [1]], other=[[3], [4]])
    rows = perception_rows(found, [picture("a/1"), picture("a/2")], ("m", "l1", ["x"]), RULES)
    assert {row.category for row in rows} == {"all"}


def test_copy_detection_ranks_each_querys_nearest_image():
    ranking = nearest_ranking(WORLD)
    np.testing.assert_array_equal(ranking.distances, [0.5, 1, 2, 2, 2.5, 3, 4, 10])
    np.testing.assert_array_equal(ranking.truths, [2, 2, 0, 0])
    found = copy_detection(WORLD, ("corner", "l1"), RULES, 0.9)
    # right at ranks 1, 2 and, after a wrong copy and two strangers, 6; the fourth copy is never right
    assert found.micro_average_precision.value == pytest.approx((1 + 1 + 3 / 6) / 4)
    assert found.recall_at_precision.value == 2 / 4


def test_the_order_of_the_database_does_not_count_where_images_are_as_near(rng):
    """Of hashes most distances are shared: figures from all distances, whatever the order of the database."""
    matrix = rng.integers(0, 3, (2 * 4 * 3, 6)).astype(np.float32)
    own = np.repeat([0, 1, 2, 3, -1, -1, -1, -1], 3)

    def figures(order):
        place = np.append(np.argsort(order), -1)
        columns = (column.reshape(8, 3) for column in _of_matrix(matrix[:, order], place[own]))
        whole = Nearest(*columns)
        found = Distances(whole.some(slice(4)), whole.some(slice(4, None)))
        told = copy_detection(found, ("corner", "l1"), RULES, 0.5)
        return [told.micro_average_precision, told.recall_at_precision, right_first(found).tolist()]

    first = figures(np.arange(6))
    assert all(figures(np.append(rng.permutation(4), [4, 5])[::step]) == first for step in (1, -1) for _ in range(5))


def test_chains_share_one_threshold():
    one, two = chain_points(WORLD, ("corner", "l1"), (1, 2), RULES)
    assert (one.k, one.recall.value, one.recall_right_image.value) == (1, 1, 1)
    assert (two.k, two.recall.value, two.recall_right_image.value) == (2, 1 / 2, 0)
    assert one.threshold == two.threshold
    assert one.recall.low == pytest.approx(0.158, abs=1e-3), "of two independent photographs"


def test_a_threshold_moves_to_another_set():
    there = Distances(side([[1, 5]], [[0, 0]], own=[[1, 7]]), side([[1, 2], [1, 2], [9, 9]], [[0, 0]] * 3))
    moved = transferred(WORLD, there, ("corner", "l1"), RULES)
    assert 2 <= moved.threshold < 2.5
    assert (moved.fpr_here.value, moved.recall_here.value) == (1 / 4, 3 / 4)
    assert (moved.fpr_there.value, moved.recall_there.value, moved.recall_right_image_there.value) == (4 / 6, 0.5, 0.5)
