"""Methods by name: what a user writes, and what comes of it."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest

from simsearch import Extractor, Library
from simsearch.errors import InputError, ModelNotFound
from simsearch.extract import load, load_extractor
from simsearch.extract.load import CLASSES, class_of, is_method_name, known_methods, parameters_of
from simsearch.extract.zoo.find import list_models
from simsearch.naming import split_names
from tests.images.pictures import encoded, scene

pytest.importorskip("imagehash")
pytest.importorskip("cv2")
pytest.importorskip("pdqhash")


@pytest.mark.parametrize("name", CLASSES)
def test_every_name_leads_to_its_class_and_back(name):
    extractor = load_extractor(name)
    assert extractor.name == name
    assert f"{type(extractor).__module__}:{type(extractor).__name__}" == CLASSES[name]
    assert extractor.fingerprint == load_extractor(name).fingerprint
    assert (len(extractor.fingerprint), extractor.metric) == (64, type(extractor).metric)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("phash", "phash"),
        (" phash() ", "phash"),
        ("phash(size=8)", "phash"),
        ("phash( shift=1, size = 16 )", "phash(shift=1,size=16)"),
        ("phash(size=16,first=False)", "phash(first=false,size=16)"),
        ("whash(mode=db4,scale=64)", "whash(mode=db4,scale=64)"),
        ("haar(weights=painted,count=60)", "haar(count=60,weights=painted)"),
        ("sift(count=100)", "sift(count=100)"),
        ("orb(cutoff=5,count=100)", "orb(count=100,cutoff=5)"),
    ],
)
def test_the_name_is_canonical(written, canonical):
    extractor = load_extractor(written)
    assert extractor.name == canonical
    assert load_extractor(canonical).name == canonical
    assert load_extractor(canonical).fingerprint == extractor.fingerprint


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("mini", ["mini"]),
        ("a,b(c=1,d=2)", ["a", "b(c=1,d=2)"]),
        (" sift(count=1, cutoff=2) , package.module:Class", ["sift(count=1, cutoff=2)", "package.module:Class"]),
        ("./folder,dhash", ["./folder", "dhash"]),
    ],
)
def test_commas_in_parentheses_do_not_split(text, names):
    assert split_names(text) == names


@pytest.mark.parametrize("text", ["", "a,,b", "a,", "a(b=1", "a)b(", "a(b))"])
def test_a_list_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="cannot read the names"):
        split_names(text)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch(size=1)", "'nosuch' takes no parameters"),
        ("mini(size=1)", "'mini' takes no parameters"),
        ("phash(length=3)", "no parameter 'length'; it has size=8, factor=4, first=true, shift=0"),
        ("pdq(size=3)", "no parameter 'size'; it has none"),
        ("phash(size=x)", "size must be a whole number, as size=8, and is 'x'"),
        ("phash(size=8.5)", "size must be a whole number"),
        ("phash(first=1)", "first must be true or false, as first=true, and is '1'"),
        ("phash(size=1000000)", "size=1000000 must lie in 2 to 64"),
        ("phash(size)", "must be key=value"),
        ("phash(size=)", "size must be a whole number, as size=8, and is ''"),
        ("phash(size=8,size=9)", "each key once"),
        ("phash(size=8,)", "must be key=value"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(name, message):
    with pytest.raises(InputError, match=message):
        load_extractor(name)


@pytest.mark.parametrize("name", ["no.such.module:Class", "./no-folder"])
def test_a_class_or_folder_that_is_not_there_is_named_as_elsewhere(name):
    with pytest.raises(ModelNotFound):
        load_extractor(name)


def test_networks_and_classes_are_methods_too(tiny):
    assert load_extractor(str(tiny), device="cpu").name == "tiny"
    assert load_extractor("simsearch.extract.hashes.ahash:AHash").name == "ahash"
    assert not is_method_name(str(tiny))
    assert not is_method_name("simsearch.extract.hashes.ahash:AHash")


@pytest.mark.parametrize("name", CLASSES)
def test_every_method_says_its_kind_and_has_a_label_of_its_own(name):
    keypoints = {"sift", "orb", "daisy", "latch", "points"}
    found = class_of(name)
    assert found.kind == ("keypoints" if name in keypoints else "hash")
    assert found.label
    assert [other for other in CLASSES if class_of(other).label == found.label] == [name]


def test_networks_say_their_kind_and_bits_of_them_are_a_hash(tiny):
    assert (load_extractor(str(tiny), device="cpu").kind, load_extractor(str(tiny), device="cpu").label) == (
        "network",
        "",
    )
    assert load_extractor("mini(bits=96)", device="cpu").kind == "hash"
    assert Extractor.kind == "user"


def test_the_listing_tells_what_works_here():
    listing = {entry.name: entry for entry in known_methods()}
    assert set(CLASSES) < set(listing)
    assert listing["mini"].usable
    fetched = {card.name for card in list_models() if card.weights.file is None}
    here = [entry for name, entry in listing.items() if name not in fetched]
    assert all(entry.usable and not entry.advice and entry.summary for entry in here)
    assert all(f"models pull {name}" in listing[name].advice for name in fetched)
    assert dict(listing["phash"].parameters) == {"size": 8, "factor": 4, "first": True, "shift": 0}


def test_the_listing_tells_what_to_install(monkeypatch):
    real = importlib.import_module

    def without_pdqhash(name, *rest):
        if name == "pdqhash":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without_pdqhash)
    listing = {entry.name: entry for entry in known_methods()}
    assert [name for name in CLASSES if not listing[name].usable] == ["pdq", "pdq_float"]
    assert listing["pdq"].advice == 'pdq needs pdqhash: pip install -e ".[benchmark]"'


def test_weights_that_are_not_here_are_told(monkeypatch, tmp_path, tiny):
    (tmp_path / "far").mkdir()
    card = (tiny / "model.toml").read_text().replace('file = "weights.safetensors"', 'url = "https://example.org/far"')
    (tmp_path / "far" / "model.toml").write_text(card.replace('name = "tiny"', 'name = "far"'))
    monkeypatch.setattr("simsearch.extract.zoo.find.model_roots", lambda: [tmp_path])
    far = known_methods()[-1]
    assert (far.name, far.usable) == ("far", False)
    assert "https://example.org/far" in far.advice


def test_a_parameter_without_default_is_refused():
    class Needy:
        def __init__(self, *, size: int) -> None: ...

    with pytest.raises(InputError, match="give 'size' a default"):
        parameters_of(Needy)


@pytest.mark.parametrize("name", ["phash(first=false)", "pdq_float"])
def test_a_library_of_hashes_opens_again_by_the_name_it_keeps(name, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for seed in range(4):
        (photos / f"{seed}.png").write_bytes(encoded(scene(80, 60, seed=seed)))
    with Library.create(tmp_path / "library", model=name) as library:
        library.add([photos])
    with Library.open(tmp_path / "library") as library:
        assert library.channel.model == name
        found = library.search([scene(80, 60, seed=seed) for seed in range(4)], k=1)
        assert [Path(answer.matches[0].path).name for answer in found] == [f"{seed}.png" for seed in range(4)]
        assert np.max([answer.matches[0].distance for answer in found]) < 0.1


def test_the_examples_hold():
    assert doctest.testmod(load, optionflags=doctest.ELLIPSIS).failed == 0
