"""Rows of views: a view without a usable row is left out, as is one that looks like another."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from simsearch.extract.pipeline import Embedded
from simsearch.extract.views import Viewer, embed_views
from simsearch.images.source import Limits, Rejected, Source
from simsearch.images.views import KINDS, view_of, views_of_kinds
from tests.extract.test_pipeline import Mean
from tests.images.pictures import encoded, scene

HALF_BLACK = np.concatenate([np.zeros((64, 32, 3), np.uint8), np.asarray(scene(32, 64))], axis=1)
IN_THE_DARK = {"left half", "upper left quarter", "lower left quarter"}


@pytest.mark.parametrize("batch_size", [1, 40, 1000])
def test_each_view_has_the_row_of_its_picture_unless_that_is_of_no_use(batch_size: int) -> None:
    picture, views, extractor = Image.fromarray(HALF_BLACK), views_of_kinds(tuple(KINDS)), Mean()
    black, broken = Source.of(encoded(Image.new("RGB", (40, 40)))), Source.of(b"no picture")
    sources = [Source.of(encoded(picture)), black, broken, Source.of((picture,))]
    viewers = [Viewer(extractor, views)]
    made = [one for (one,) in embed_views(viewers, sources, batch_size=batch_size, workers=0, limits=Limits())]
    for outcome, rows in (made[0], made[3]):
        assert isinstance(outcome, Embedded)
        np.testing.assert_array_equal(outcome.rows, extractor.embed(picture))
        assert not IN_THE_DARK & set(rows)
        assert {"right half", "mirrored", "turned 90"} <= set(rows)
        assert "inner part" not in rows  # it is the right half
        for view, row in rows.items():
            np.testing.assert_array_equal(row[None], extractor.embed(view_of(picture, view)))
    for outcome, rows in made[1:3]:
        assert isinstance(outcome, Rejected)
        assert not rows
    assert [outcome.code for outcome, _ in made[1:3] if isinstance(outcome, Rejected)] == ["zero_row", "unknown_format"]
