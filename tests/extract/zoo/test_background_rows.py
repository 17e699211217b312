"""Laws of a model's background rows: what is written is read, whole and unchanged, or refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch import load_extractor
from simsearch.errors import InputError, ModelError
from simsearch.extract.zoo.background_rows import BACKGROUND, background_rows, write_background
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import find_model, list_models


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    rng, folder = np.random.default_rng(0), tmp_path / "photographs"
    folder.mkdir()
    for i in range(5):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def _with_background(model: Path, photographs: Path) -> ModelCard:
    told = write_background(load_extractor(model), [photographs], model, source="squares")
    return load_card(model).model_copy(update={"background": told})


def test_rows_are_those_of_the_photographs(model: Path, photographs: Path) -> None:
    card = _with_background(model, photographs)
    expected = load_extractor(model).embed(sorted(photographs.iterdir()))
    assert card.background is not None
    assert (card.background.images, card.background.source) == (5, "squares")
    np.testing.assert_array_equal(background_rows(card, model), expected.astype(np.float16))


def test_the_background_changes_no_fingerprint(model: Path, photographs: Path) -> None:
    assert _with_background(model, photographs).fingerprint == load_card(model).fingerprint


@pytest.mark.parametrize("harm", ["gone", "cut", "changed"])
def test_what_is_not_the_cards_file_is_refused(model: Path, photographs: Path, harm: str) -> None:
    card = _with_background(model, photographs)
    path = model / BACKGROUND
    data = path.read_bytes()
    path.unlink()
    if harm != "gone":
        path.write_bytes(data[:-1] if harm == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ModelError, match="restore"):
        background_rows(card, model)


def test_a_model_without_says_what_to_do(model: Path) -> None:
    with pytest.raises(ModelError, match="calibrate the library on its own images"):
        background_rows(load_card(model), model)


def test_no_photographs_or_a_broken_one_is_refused(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    with pytest.raises(InputError, match="no photographs"):
        write_background(load_extractor(model), [folder], model, source="nothing")
    (folder / "a.jpg").write_text("no image")
    with pytest.raises(InputError, match=r"a\.jpg: unknown_format"):
        write_background(load_extractor(model), [folder], model, source="nothing")


@pytest.mark.parametrize("card", [c for c in list_models() if c.background], ids=lambda card: card.name)
def test_every_background_of_the_zoo_can_be_searched(card: ModelCard) -> None:
    rows = background_rows(card, find_model(card.name)).astype(np.float32)
    assert np.isfinite(rows).all()
    assert (rows.max(axis=1) > 0).all()
    assert (rows >= 0).all() or not card.non_negative
    assert len(np.unique(rows, axis=0)) == len(rows)
