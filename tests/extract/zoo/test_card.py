"""Laws of model cards and of every model in the zoo."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simsearch import load_extractor
from simsearch.errors import InputError, ModelError, ModelNotFound, WeightsError
from simsearch.extract.published.write_model import to_toml
from simsearch.extract.zoo.card import CARD, ModelCard, load_card, weights_path
from simsearch.extract.zoo.find import find_model, list_models
from simsearch.extract.zoo.golden import check_golden, golden_files
from simsearch.images.decode import decode


def test_toml_round_trip(tiny: Path, tmp_path: Path) -> None:
    card = load_card(tiny)
    (tmp_path / CARD).write_text(to_toml(card))
    assert load_card(tmp_path) == card


@pytest.mark.parametrize("field", ["size", "resize", "fit", "kernel", "mean", "std", "exif", "alpha", "icc"])
def test_any_change_of_preprocessing_changes_the_fingerprint(tiny: Path, field: str) -> None:
    card = load_card(tiny)
    old = card.preprocessing
    changed = {
        "size": replace(old, size=16, resize=16),
        "resize": replace(old, fit="crop", resize=40),
        "fit": replace(old, fit="crop"),
        "kernel": replace(old, kernel="lanczos"),
        "mean": replace(old, mean=(0.4, 0.5, 0.5)),
        "std": replace(old, std=(0.25, 0.25, 0.2)),
        "exif": replace(old, exif=False),
        "alpha": replace(old, alpha="contrast"),
        "icc": replace(old, icc="srgb"),
    }[field]
    assert card.model_copy(update={"preprocessing": changed}).fingerprint != card.fingerprint


@pytest.mark.parametrize(
    ("name", "fingerprint", "digest"),
    [
        (
            "mini",
            "1b4c74314880a54691347eec2620bc86fdd971db1665a2bbaf2e9a8765c9e517",
            "9cd1e95fceec951b224789d349484fba1e58a6163a00dd70044516849a3fa94c",
        ),
        (
            "resnet50",
            "069d0fdef54150fff5d5fa9a33c25bd12996be61a43804f7b1b3300d94db66ca",
            "c34d36a4170db65103b48a3e524b9c36242806d394a718b7daf2774ee8fd935e",
        ),
        (
            "sscd_disc_mixup",
            "4e8d4598f2d49ceb8d02d510380ad0c0b31a22b6c009fe8637ec3a1e1dc6d468",
            "fdc9e79292332e8ca5613fb9a06431bb85e7ee7c6df9f58f6de06efb36cf9f2a",
        ),
    ],
)
def test_cards_that_libraries_were_made_with_keep_their_identity(name: str, fingerprint: str, digest: str) -> None:
    card = load_card(find_model(name))
    assert (card.fingerprint, card.preprocessing.digest) == (fingerprint, digest)
    assert (card.preprocessing.alpha, card.preprocessing.icc) == ("white", "ignore")


def test_a_card_says_how_colours_are_seen_where_that_is_new(tiny: Path, tmp_path: Path) -> None:
    card = load_card(tiny)
    assert "icc" not in to_toml(card)
    seen = card.model_copy(update={"preprocessing": card.preprocessing.as_seen})
    (tmp_path / CARD).write_text(to_toml(seen))
    assert 'icc = "srgb"' in (tmp_path / CARD).read_text()
    assert load_card(tmp_path) == seen


def test_weights_network_and_dimension_are_in_the_fingerprint(tiny: Path) -> None:
    card = load_card(tiny)
    other = card.weights.model_copy(update={"sha256": "1" * 64})
    for change in ({"weights": other}, {"network": "vit"}, {"dimension": 21}, {"arguments": {}}):
        assert card.model_copy(update=change).fingerprint != card.fingerprint
    assert card.model_copy(update={"summary": "other words"}).fingerprint == card.fingerprint


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('metric = "chebyshev"', "metric"),
        ("dimension = -1", "dimension"),
        ("surprise = 1", "surprise"),
        ("non_negative = false", "js is defined for non-negative rows only"),
        ("= 3", "TOML"),
    ],
)
def test_a_faulty_card_is_named_with_its_field(tiny: Path, tmp_path: Path, line: str, complaint: str) -> None:
    key = line.split(" ", maxsplit=1)[0]
    kept = [old for old in to_toml(load_card(tiny)).splitlines() if not old.startswith(f"{key} =")]
    (tmp_path / CARD).write_text("\n".join([line, *kept]))
    with pytest.raises(ModelError, match=complaint):
        load_card(tmp_path)


def test_damaged_and_missing_weights_are_refused_before_they_are_read(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    weights = folder / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_extractor(folder)
    weights.unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_extractor(folder)


def test_weights_of_another_network_are_refused(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny, folder)
    card = load_card(tiny)
    arguments = {**card.arguments, "widths": [8, 8, 8, 24]}
    (folder / CARD).write_text(to_toml(card.model_copy(update={"arguments": arguments})))
    with pytest.raises(WeightsError, match="does not fit"):
        load_extractor(folder)


def test_unknown_names_list_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model is called 'nonsense'"):
        find_model("nonsense")
    with pytest.raises(ModelNotFound, match="holds no"):
        find_model(tmp_path)
    for name in ("no_such_module:Thing", "json:Thing", ":Thing", ".relative:Thing"):
        with pytest.raises(ModelNotFound, match="cannot load"):
            load_extractor(name)


def test_nothing_is_called_that_is_no_extractor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "canary.py").write_text("from pathlib import Path\ndef sing():\n    Path('sang').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))
    with pytest.raises(InputError, match="no extractor"):
        load_extractor("canary:sing")
    assert not (tmp_path / "sang").exists()


def test_an_installed_package_does_not_look_for_models_beside_itself(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`site-packages/models` may be anybody's; a checkout's own is used while there is no `_models`."""
    package = tmp_path / "site-packages" / "simsearch"
    package.mkdir(parents=True)
    monkeypatch.setattr("simsearch.extract.zoo.find.PACKAGE", package)
    shutil.copytree(tiny, package.parent / "models" / "tiny")
    assert find_model("tiny") == package.parent / "models" / "tiny"
    shutil.copytree(tiny, package / "_models" / "tiny")
    assert find_model("tiny") == package / "_models" / "tiny"


@pytest.mark.parametrize("at_least", [32, 112, 200, 256])
@pytest.mark.parametrize("jpeg", [True, False])
def test_the_golden_files_try_full_and_reduced_decoding(at_least: int, jpeg: bool) -> None:
    files = [data for data in golden_files(at_least) if data.startswith(b"\xff\xd8") == jpeg]
    decoded = [decode(data, at_least=at_least) for data in files]
    assert {one.image.width < one.width for one in decoded} == ({True, False} if jpeg else {False})


def test_the_default_model_is_in_the_zoo() -> None:
    assert "mini" in {card.name for card in list_models()}


@pytest.mark.parametrize("card", list_models(), ids=lambda card: card.name)
def test_every_model_of_the_zoo_keeps_what_its_card_says(card: ModelCard) -> None:
    folder = find_model(card.name)
    assert load_card(folder) == card
    assert (folder / "README.md").is_file()
    if card.weights.file is None:
        pytest.skip(f"{card.name}: the weights are not in the repository")
    assert weights_path(card, folder).stat().st_size <= 12_000_000
    for dtype in ("float32", "auto"):
        from simsearch.extract.neural.extractor import NeuralExtractor

        extractor = NeuralExtractor(folder, device="cpu", dtype=dtype)
        assert check_golden(extractor, folder) <= card.tolerance
