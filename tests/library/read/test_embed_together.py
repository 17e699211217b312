"""Queries of several channels: one reading and one decoding of each image, and what each channel alone would see."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from simsearch.decide.known_rates import KnownRates
from simsearch.decide.rate_curve import JointRate
from simsearch.images.workers import pool
from simsearch.library import Library
from simsearch.library.format.channel import POINTS
from simsearch.library.read.query import Query, QueryEmbedder, embed_together
from simsearch.library.settings import AddSettings
from simsearch.spatial.points import Points
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, CountingExtractor
from tests.spatial.pictures import picture

VIEWS = ("plain", "mirrored", "turned 90", "left half", "inner part")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("together")
    (folder / "photos").mkdir()
    for i in range(4):
        picture(i).save(folder / "photos" / f"{i}.png")
    with Library.create(folder / "library", model=[FakeExtractor(), "points", "dhash"], device="cpu") as made:
        made.add([folder / "photos", picture(9)], settings=HERE)
    return Library.open(folder / "library", extractor=FakeExtractor())


def embedders(library: Library, views: tuple[str, ...], settings: AddSettings = HERE) -> list[QueryEmbedder]:
    how: dict[str, Any] = {"exact": False, "order": None, "group_copies": True, "min_quality": 0}
    plans = [library._plan(5, None, None, channel=channel, **how) for channel in library.channels]
    return [
        QueryEmbedder(
            plan,
            library.extractor_of(plan.channel),
            settings,
            library=library.path,
            views=() if plan.channel.dtype == POINTS else views,
        )
        for plan in plans
    ]


def images(folder: Path) -> list[Any]:
    """Every kind of image: stored, edited, transparent, a later frame, from memory, blank, and none at all."""
    picture(0).save(folder / "stored.png")
    picture(1).resize((200, 150)).save(folder / "small.jpg")
    picture(2).resize((1600, 1200)).save(folder / "large.jpg")
    clear = picture(3).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(folder / "clear.png")
    Image.new("RGB", (60, 40)).save(folder / "black.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    return [
        folder,
        picture(9),
        np.asarray(picture(5)),
        (folder / "small.jpg").read_bytes(),
        clear,
        folder / "large.jpg",
    ]


def comparable(query: Query) -> tuple[Any, ...]:
    rejected = None if query.rejected is None else (query.rejected.code, query.rejected.message)
    rows = {view: row.tobytes() for view, row in query.rows.items()}
    return query.path, rows, rejected, query.size, None if query.views is None else set(query.views)


@pytest.mark.parametrize("views", [(), VIEWS])
@pytest.mark.parametrize("workers", [0, 2])
def test_each_channel_sees_what_it_would_see_alone(
    library: Library, tmp_path: Path, views: tuple[str, ...], workers: int
) -> None:
    settings = dataclasses.replace(HERE, workers=workers)
    given, made = images(tmp_path), embedders(library, views, settings)
    listed = tmp_path / "list.txt"
    listed.write_text(f"{tmp_path / 'small.jpg'}\n")
    together = embed_together(made, given, from_list=listed)
    assert len(together[0]) == 12
    for embedder, found in zip(made, together, strict=True):
        alone = embedder.embed(given, from_list=listed)
        assert list(map(comparable, found)) == list(map(comparable, alone))
    assert {query.sha256 for query in together[0]} == {query.sha256 for query in together[1]}


def test_a_file_is_read_and_decoded_as_often_as_when_it_is_indexed(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    decode = pool.decode_apart

    def counting(data: bytes, **how: Any) -> Any:
        counted.append(len(data))
        return decode(data, **how)

    monkeypatch.setattr(pool, "decode_apart", counting)
    path = tmp_path / "new.png"
    picture(7).save(path)
    with Library.create(tmp_path / "library", model=[FakeExtractor(), "points", "dhash"], device="cpu") as made:
        made.add(path, settings=HERE)
    indexed, _ = len(counted), counted.clear()
    rng = np.random.default_rng(0)
    rates = KnownRates(
        {Points().fingerprint: "points"}, JointRate.of({Points().fingerprint: rng.poisson(1.0, 999)}), 999
    )
    assert library.search_fused(path, rates=rates, settings=HERE)[0].matches
    assert len(counted) == indexed == 1
    counted.clear()
    for embedder in embedders(library, ()):
        embedder.embed([path])
    assert len(counted) == len(library.channels)  # or this test counts nothing


def test_an_open_file_is_a_query_of_every_channel(library: Library) -> None:
    data = io.BytesIO()
    picture(3).save(data, "PNG")
    data.seek(0)
    assert all(query.row is not None for (query,) in embed_together(embedders(library, ()), [data]))


def test_a_stored_content_is_not_embedded_again(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "0.png")
    with Library.create(tmp_path / "library", model=[FakeExtractor(), "points"], device="cpu") as made:
        made.add(tmp_path / "0.png", settings=HERE)
    counting = CountingExtractor()
    with Library.open(tmp_path / "library", extractor=counting) as library:
        rows, points = embed_together(embedders(library, ()), [tmp_path / "0.png"])
        assert counting.embedded == 0
        np.testing.assert_array_equal(rows[0].row, library.snapshot.row(library.snapshot.by_id(0), "fake"))
        assert points[0].row is not None
