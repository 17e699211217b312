"""Which extractor a library uses: the right one, admitted on this machine, and none that the library itself names."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch import Library
from simsearch.errors import ModelError
from simsearch.extract.zoo.golden import GOLDEN
from tests.fake import FakeExtractor


@pytest.fixture
def picture(tmp_path: Path, rng: np.random.Generator) -> Path:
    path = tmp_path / "a.png"
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    return path


def test_a_class_named_by_a_library_is_not_imported(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text(
        "from tests.fake import FakeExtractor as Fake\nfrom pathlib import Path\nPath('sung').touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    Library.create("l", model="planted:Fake").add(picture)
    (tmp_path / "sung").unlink()
    del sys.modules["planted"]
    with pytest.raises(ModelError, match="planted:Fake"):
        Library.open("l").search(picture)
    assert not (tmp_path / "sung").exists()
    assert Library.open("l", extractor=FakeExtractor()).search(picture).paths == [[str(picture)]]


def test_a_model_given_as_a_relative_path_is_found_again(
    tiny: Path, tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    with Library.create(tmp_path / "l", model=Path("tiny"), device="cpu") as library:
        library.add(picture)
    monkeypatch.chdir(tmp_path)
    assert Library.open(tmp_path / "l", device="cpu").search(picture).paths == [[str(picture)]]


def test_a_runtime_that_gives_other_rows_is_not_admitted(tiny: Path, tmp_path: Path, picture: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    with Library.create(tmp_path / "l", model=folder, device="cpu") as library:
        library.add(picture)
    with np.load(folder / GOLDEN) as archive:
        kept = dict(archive)
    kept["rows"] = np.roll(kept["rows"], 1, axis=1)
    np.savez(folder / GOLDEN, **kept)
    with pytest.raises(ModelError, match="golden rows"):
        Library.open(tmp_path / "l", device="cpu").search(picture)


def test_images_in_memory_are_embedded_together_and_a_bad_one_is_rejected_alone(
    tmp_path: Path, picture: Path, rng: np.random.Generator
) -> None:
    extractor = FakeExtractor()
    with Library.create(tmp_path / "l", model=extractor) as library:
        library.add(picture)
        with Image.open(picture) as image:
            again = image.convert("RGB")
        answers = library.search([again, np.zeros((0, 4, 3), np.uint8), picture, np.asarray(again)])
    assert [answer.rejected is None for answer in answers] == [True, False, True, True]
    assert [paths for paths in answers.paths if paths] == [[str(picture)]] * 3
    assert np.allclose(answers.distances[[0, 2, 3], 0], 0, atol=1e-3)
