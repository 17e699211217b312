"""One face for one row an image and for several; what needs exactly one row refuses the rest by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import InputError, RejectCode, RowError
from simsearch.extract import Extractor, SeveralExtractor, embed_sources
from simsearch.extract.embeddings.folder import write_folder
from simsearch.extract.pipeline import Embedded
from simsearch.images import find
from simsearch.images.source import Rejected
from tests.fake import FakeExtractor
from tests.images.pictures import scene


class Columns(SeveralExtractor):
    """The mean colour of each 20-pixel column; a narrower picture has none."""

    name = "columns"
    fingerprint = hashlib.sha256(b"columns").hexdigest()
    dimension = 3
    non_negative = True
    metric = "l2"
    preprocessing = FakeExtractor.preprocessing

    def parts(self, images: Sequence[Image.Image]) -> list[NDArray[np.float32]]:
        whole = [np.asarray(image, np.float32)[:, : image.width // 20 * 20] for image in images]
        return [w.reshape(w.shape[0], -1, 20, 3).mean((0, 2)).astype(np.float32) for w in whole]


class Lying(FakeExtractor):
    dimension = 7

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.ones((len(pixels), 8), np.float32)


def test_the_parts_of_an_ordinary_extractor_are_its_rows() -> None:
    images = [scene(seed=i) for i in range(3)]
    extractor = FakeExtractor()
    parts = extractor.parts(images)
    assert [part.shape for part in parts] == [(1, 192)] * 3
    np.testing.assert_array_equal(np.concatenate(parts), extractor.rows(images))
    assert extractor.parts([]) == []
    assert (Extractor.several, Extractor.cutoff) == (False, 1)


def test_parts_of_a_shape_that_was_not_promised_are_refused() -> None:
    with pytest.raises(RowError, match=r"fake gave rows of shape \(1, 8\)"):
        Lying().parts([scene()])


def test_an_image_may_have_several_parts_or_none() -> None:
    assert [part.shape for part in Columns().parts([scene(65), scene(19)])] == [(3, 3), (0, 3)]


@pytest.mark.parametrize("method", ["rows", "embed", "embed_pixels"])
def test_one_row_an_image_is_refused(method: str) -> None:
    with pytest.raises(InputError, match=r"columns gives several rows an image.*use its parts"):
        getattr(Columns(), method)([scene()])


@pytest.mark.parametrize("workers", [0, 3])
def test_files_give_all_their_rows_beside_the_one_of_another_extractor(tmp_path: Path, workers: int) -> None:
    for i in range(12):
        scene(10 + 9 * i, seed=i).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "04.png").write_bytes(b"no picture")
    extractors = [Columns(), FakeExtractor()]
    found = list(embed_sources(extractors, find([tmp_path]), workers=workers, batch_size=4))
    codes = {i: one.code for i, one in enumerate(found) if isinstance(one, Rejected)}
    assert codes == {0: RejectCode.NO_FEATURES, 1: RejectCode.NO_FEATURES, 4: RejectCode.UNKNOWN_FORMAT}
    for i, one in enumerate(found):
        if isinstance(one, Embedded):
            image = scene(10 + 9 * i, seed=i)
            assert one.rows is not None
            np.testing.assert_array_equal(one.rows[0], Columns().parts([image])[0])
            np.testing.assert_array_equal(one.rows[1], FakeExtractor().rows([image])[0])
            assert (one.width, one.height) == image.size


def test_folders_of_rows_refuse_several(tmp_path: Path) -> None:
    scene().save(tmp_path / "a.png")
    with pytest.raises(InputError, match="columns gives several rows"):
        write_folder(Columns(), find([tmp_path]), tmp_path / "rows")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]
