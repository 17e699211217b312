"""Libraries with several rows an image, which is as near as its nearest row to any of a query's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import InputError, RejectCode, RowError
from simsearch.extract import SeveralExtractor, load_extractor
from simsearch.extract.extractor import checked_parts
from simsearch.library import Library
from simsearch.search.multi_vector.distances import image_distances
from tests.fake import FakeExtractor
from tests.library.helpers import HERE
from tests.spatial.pictures import picture

COUNT = 14


class Bands(SeveralExtractor):
    """The mean colours of eight columns of each band of 40 lines; a picture of fewer lines has none."""

    name = "bands"
    fingerprint = hashlib.sha256(b"bands").hexdigest()
    dimension = 24
    non_negative = True
    metric = "l2"
    preprocessing = FakeExtractor.preprocessing

    def parts(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        found = []
        for image in images:
            whole = np.asarray(image.resize((8, image.height)), np.float32) / 255
            bands = whole[: image.height // 40 * 40].reshape(-1, 40, 8, 3)
            found.append(bands.mean(axis=1).reshape(-1, 24).astype(np.float32))
        return found


def pictures(folder: Path, numbers: Sequence[int]) -> Path:
    folder.mkdir(exist_ok=True)
    for i in numbers:
        wide, high = 120 + 20 * (i % 3), 45 + 37 * (i % 5)  # 1 to 4 bands
        picture(i).resize((wide, high)).save(folder / f"{i:02d}.png")
    return folder


def rows_of(extractor: Any, path: Path) -> NDArray[Any]:
    with Image.open(path) as image:
        return extractor.parts([image.convert("RGB")])[0]


def agrees(library: Library, extractor: Any, paths: Sequence[Path], queries: Sequence[Path], dtype: str) -> None:
    """Require that a search finds what comparing all rows with all rows does, k counting images."""
    held = [rows_of(extractor, path).astype(dtype) for path in paths]
    asked = [rows_of(extractor, path).astype(dtype) for path in queries]
    wanted = image_distances(asked, held, metric=extractor.metric, bits=extractor.bits)
    for k in (1, 3, len(paths)):
        found = library.search(list(queries), k=k, settings=HERE)
        for answer, distances in zip(found, wanted, strict=True):
            assert len(answer.matches) == k
            assert len({match.id for match in answer.matches}) == k
            np.testing.assert_allclose([one.distance for one in answer.matches], np.sort(distances)[:k], atol=2e-6)
            for match in answer.matches:
                at = [path.name for path in paths].index(Path(match.path).name)
                assert match.distance == pytest.approx(distances[at], abs=2e-6)
                assert match.view is None
            assert answer.views == 1


@pytest.fixture(params=["bands", "crop_resistant"])
def extractor(request: pytest.FixtureRequest) -> Any:
    return Bands() if request.param == "bands" else load_extractor("crop_resistant")


def test_an_image_is_as_near_as_its_nearest_row_whatever_was_done_to_the_library(
    extractor: Any, tmp_path: Path
) -> None:
    photos = pictures(tmp_path / "photos", range(COUNT))
    asked = pictures(tmp_path / "asked", range(40, 44))
    paths, queries = sorted(photos.iterdir()), [*sorted(asked.iterdir()), *sorted(photos.iterdir())[:2]]
    dtype = "uint8" if extractor.gives_codes else "float16"
    with Library.create(tmp_path / "library", model=extractor, device="cpu") as library:
        for some in (paths[:5], paths[5:6], paths[6:]):
            assert library.add(some, settings=HERE).added == len(some)
        assert len(library) == COUNT
        assert library.snapshot.has_parts(library.channel.name)
        agrees(library, extractor, paths, queries, dtype)
        stored = dict.fromkeys(range(COUNT), 0)
        for ids, rows in library.rows():
            assert rows.shape == (len(ids), extractor.dimension)
            for one in ids.tolist():
                stored[one] += 1
        assert stored == {i: len(rows_of(extractor, path)) for i, path in enumerate(paths)}
        library.remove(paths[3])
        (photos / "copy.png").write_bytes(paths[4].read_bytes())
        assert library.add(photos / "copy.png", settings=HERE).exact_copies == 1
        left = [path for path in paths if path != paths[3]]
        for step in (lambda: None, library.optimize, lambda: library.remove(paths[6], purge=True)):
            step()
            left = [path for path in left if library.snapshot.by_path(bytes(path)) is not None]
            agrees(library, extractor, left, queries, dtype)
            assert library.verify(deep=True) == []
        by_id = library.search_items([0], k=5)[0]
        by_path = library.search(paths[0], k=5, settings=HERE)[0]
        assert [(m.id, m.distance) for m in by_id.matches] == [(m.id, m.distance) for m in by_path.matches]
        assert len(library.search(paths[4], k=1, settings=HERE)[0].matches[0].copies) == 1
    (tmp_path / "library" / "manifest.sqlite").write_bytes(b"lost")
    assert Library.repair(tmp_path / "library") is not None
    with Library.open(tmp_path / "library", extractor=extractor) as repaired:
        agrees(repaired, extractor, left, queries, dtype)


def test_beside_other_channels_and_filled_later(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", range(COUNT))
    paths = sorted(photos.iterdir())
    with Library.create(tmp_path / "both", model=[FakeExtractor(), Bands()], device="cpu") as both:
        both.add(photos, settings=HERE)
        wanted = [[rows.tobytes() for _, rows in both.rows(channel=name)] for name in ("fake", "bands")]
    with Library.create(tmp_path / "later", model=FakeExtractor(), device="cpu") as later:
        later.add(paths[:6], settings=HERE)
        later.add(paths[6:], settings=HERE)
        later.optimize()
        later.reembed(Bands(), settings=HERE)
        assert [[rows.tobytes() for _, rows in later.rows(channel=name)] for name in ("fake", "bands")] == wanted
        assert later.verify(deep=True) == []
    with Library.open(tmp_path / "later", extractor=Bands()) as bands:
        assert bands.channel.name == "bands"
        agrees(bands, Bands(), paths, paths[:3], "float16")


def test_all_channels_together_take_an_image_at_its_nearest_row(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", range(40))
    paths = sorted(photos.iterdir())
    with Library.create(tmp_path / "library", model=[FakeExtractor(), Bands()], device="cpu") as library:
        library.add(photos, settings=HERE)
        asked = sorted(pictures(tmp_path / "asked", range(60, 100)).iterdir())
        report = library.calibrate_fused(negatives=tmp_path / "asked", pairs=1500, settings=HERE)
        held = [rows_of(Bands(), path).astype(np.float16) for path in paths]
        (answer,) = library.search_fused(asked[0], rates=report.rates, k=5, views="flips", settings=HERE)
        apart = image_distances([rows_of(Bands(), asked[0]).astype(np.float16)], held, metric="l2")[0]
        for match in answer.matches:
            said = match.evidence.witnesses[1]
            assert said.value == pytest.approx(
                apart[[path.name for path in paths].index(Path(match.path).name)], abs=1e-5
            )
            assert said.view is None


def test_what_is_expected_counts_every_row_of_both_sides(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", range(60))
    with Library.create(tmp_path / "library", model=Bands(), device="cpu") as library:
        library.add(photos, settings=HERE)
        assert (
            library.search(sorted(photos.iterdir())[0], k=1, settings=HERE)[0].matches[0].expected_false_matches is None
        )
        asked = pictures(tmp_path / "asked", range(70, 130))
        rates = library.calibrate(negatives=asked, settings=HERE).calibration
        rows = sum(len(rows_of(Bands(), path)) for path in photos.iterdir())
        for path in sorted(asked.iterdir())[:3]:
            (match,) = library.search(path, k=1, settings=HERE)[0].matches
            (wanted,) = rates.expected([match.distance], rows * len(rows_of(Bands(), path)))
            assert match.expected_false_matches == pytest.approx(wanted.value, rel=1e-4)
            assert match.expected_for_query is None


def test_duplicates_are_images_with_a_row_in_common(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", range(8))
    with Image.open(photos / "04.png") as image:
        image.crop((0, 0, image.width, 80)).save(photos / "upper.png")
    with Library.create(tmp_path / "library", model=Bands(), device="cpu") as library:
        library.add(photos, settings=HERE)
        (group,) = library.duplicates(max_distance=0.02).groups
        assert {Path(os.fsdecode(one.path)).name for one in (group.kept, *(one.picture for one in group.others))} == {
            "04.png",
            "upper.png",
        }


def test_what_gives_no_row_is_rejected_and_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    photos = pictures(tmp_path / "photos", range(2))
    picture(5).resize((90, 30)).save(photos / "low.png")
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with Library.create(tmp_path / "library", model=[FakeExtractor(), Bands()], device="cpu") as library:
        report = library.add([photos, picture(9)], settings=HERE)
        assert (report.added, report.rejected, report.codes[str(RejectCode.NO_FEATURES)]) == (3, 2, 1)
        for query in (photos / "low.png", Image.new("RGB", (50, 20), "red")):
            answer = library.pinned("bands").search(query, settings=HERE)[0]
            assert (answer.rejected.code, answer.matches) == (RejectCode.NO_FEATURES, ())
        with pytest.raises(InputError, match="bands gives several rows an image, and has no views"):
            library.pinned("bands").search(photos, views="flips", settings=HERE)
    with pytest.raises(InputError, match="orb gives keypoints"):
        Library.create(tmp_path / "other", model="orb")
    with pytest.raises(InputError, match="give cutoff=1"):
        Library.create(tmp_path / "other", model="crop_resistant(cutoff=2)")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("made", [np.ones((2, 3)), np.ones(24), np.ones((70_000, 24), np.float32)])
def test_rows_of_a_shape_that_was_not_promised_are_refused(made: NDArray[Any]) -> None:
    with pytest.raises(RowError, match=r"bands gave"):
        checked_parts(Bands(), [made], 1)
