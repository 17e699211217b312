"""Laws of measuring a network on edited copies: the distances are those of the full matrix."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.distance import by_name
from simsearch.errors import InputError
from simsearch.training.validation.evaluation import Pixels, scores


def _embed(pixels: Pixels) -> np.ndarray:
    """Rows (n, 12): the picture's own values; a black picture gives zeros."""
    return pixels.reshape(len(pixels), -1).astype(np.float32)


def _pictures(n: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 2, 3), dtype=np.uint8)


@pytest.mark.parametrize("metric", ["js", "cosine"])
def test_right_and_nearest_are_those_of_the_full_matrix(metric: str) -> None:
    own, edits = _pictures(7, 0), [_pictures(7 + 5, seed) for seed in (1, 2, 3)]
    [found] = scores([own], [(edit,) for edit in edits], [_embed], [metric])
    for column, edit in enumerate(edits):
        matrix = by_name(metric)(_embed(edit), _embed(own)).astype(np.float32)
        np.testing.assert_array_equal(found.right[:, column], np.diagonal(matrix[:7]))
        np.testing.assert_array_equal(found.strangers[:, column], matrix[7:].min(axis=1))


def test_a_row_of_zeros_is_near_to_nothing_by_js() -> None:
    own = _pictures(4, 0)
    [found] = scores([own], [(np.concatenate([own * 0, own]),)], [_embed], ["js"])
    assert (found.right > 0.1).all()
    assert (found.strangers == 0).all()


def test_a_row_that_is_no_number_is_refused() -> None:
    def broken(pixels: Pixels) -> np.ndarray:
        return _embed(pixels) * np.float32(np.nan)

    with pytest.raises(InputError, match="no numbers"):
        scores([_pictures(2, 0)], [(_pictures(4, 0),)], [broken], ["js"])
