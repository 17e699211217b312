"""Rows are made once, kept, and the same however they came about."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.benchmark.data import methods
from simsearch.benchmark.data.array_cache import ArrayCache
from simsearch.benchmark.data.copies import EmbedJob, RowRequest, work
from simsearch.benchmark.data.edit_set import ORIGINAL, Edits, copy_id, copy_of, edit_names
from simsearch.benchmark.data.methods import enter
from simsearch.benchmark.data.nearest import Sides, nearest
from simsearch.benchmark.data.photographs import look_at
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.benchmark.settings import settings_of
from simsearch.distance import js
from simsearch.errors import DependencyMissing, InputError
from simsearch.images.perturb import PAPER, dejavu_sans_bold
from simsearch.search.multi_vector.distances import image_distances
from tests.benchmark.world import (
    CALLS,
    CORNERS,
    EDGES,
    FAKE,
    MEANS,
    MILD,
    SLOPES,
    TAILS,
    measured,
    photographs,
    picture,
    run,
)
from tests.fake import FakeExtractor


@pytest.fixture(autouse=True)
def _count_anew():
    CALLS.clear()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("engine") / "photos")


def stored(output):
    return {
        path.relative_to(output): path.read_bytes() for path in (output / "cache" / "rows").rglob("*") if path.is_file()
    }


def shelf_of(output):
    return RowCache(ArrayCache(output / "cache"), Edits.of(MILD, font=dejavu_sans_bold()))


def test_every_split_shares_the_rows(world, tmp_path):
    one, two, both = (tmp_path / name for name in ("one", "two", "both"))
    models = (FAKE, CORNERS, MEANS)
    run(world, one, models=models, seeds=(0,))
    run(world, two, models=models, seeds=(1,))
    run(world, both, models=models, seeds=(0, 1))
    shelves, makers = [shelf_of(o) for o in (one, two, both)], [enter(m, settings_of({})).spec for m in models]
    shared = 0
    for entry in makers:
        for photo in look_at(world, workers=0).pictures:
            first, second, union = (row_cache.stored(entry.key, photo) for row_cache in shelves)
            assert set(union) == set(first) | set(second)
            for copy in set(first) & set(second):
                np.testing.assert_array_equal(first[copy], second[copy])
                np.testing.assert_array_equal(first[copy], union[copy])
                shared += copy != ORIGINAL
    assert shared


def test_a_run_again_computes_nothing_and_gives_the_same(world, tmp_path):
    first = run(world, tmp_path, models=(FAKE, CORNERS), protocols=("paper", "copy_detection"), seeds=(0, 1))
    assert 0 < CALLS["counting"] == CALLS["corners"] <= 12 * (1 + len(MILD)), "no copy twice for both splits"
    CALLS.clear()
    again = run(world, tmp_path, models=(FAKE, CORNERS), protocols=("paper", "copy_detection"), seeds=(0, 1))
    assert not CALLS
    assert measured(again) == measured(first)


def test_another_method_or_edit_computes_only_its_own(world, tmp_path):
    run(world, tmp_path, protocols=("paper",))
    before = dict(CALLS)
    run(world, tmp_path, models=(FAKE, CORNERS), protocols=("paper",))
    assert CALLS["counting"] == before["counting"]
    assert CALLS["corners"] == 6 + 8 * 4
    run(world, tmp_path, protocols=("paper",), edits=(*MILD, "jpg_compression_10"))
    assert CALLS["counting"] == before["counting"] + 8


def test_a_damaged_part_is_made_again(world, tmp_path):
    first = run(world, tmp_path, protocols=("paper",))
    whole = stored(tmp_path)
    damaged = sorted(tmp_path / path for path in whole)[:3]
    for path, data in zip(damaged, (b"", b"x", whole[damaged[2].relative_to(tmp_path)][:-1]), strict=True):
        path.write_bytes(data)
    shutil.rmtree(tmp_path / "cache" / "distances")
    CALLS.clear()
    assert measured(run(world, tmp_path, protocols=("paper",))) == measured(first)
    assert 0 < CALLS["counting"] <= 3 * 5
    assert stored(tmp_path) == whole


def test_an_interrupted_run_goes_on_where_it_stopped(world, tmp_path):
    uninterrupted = run(world, tmp_path / "whole", models=(FAKE, CORNERS))
    total = CALLS["corners"]

    @contextmanager
    def stop_in(name):
        def advance(done, whole):
            if name == "copies" and done > whole / 2:
                raise KeyboardInterrupt

        yield advance

    CALLS.clear()
    with pytest.raises(KeyboardInterrupt):
        run(world, tmp_path / "cut", models=(FAKE, CORNERS), stages=stop_in)
    assert 0 < CALLS["corners"] < total
    assert measured(run(world, tmp_path / "cut", models=(FAKE, CORNERS))) == measured(uninterrupted)
    assert CALLS["corners"] == total, "nothing is made twice"


def test_any_number_of_workers_gives_the_same(world, tmp_path):
    chosen = {"models": (FAKE, CORNERS), "chains": 2, "seeds": (0, 1)}
    alone = run(world, tmp_path / "alone", **chosen)
    assert measured(run(world, tmp_path / "two", workers=2, **chosen)) == measured(alone)
    assert stored(tmp_path / "two") == stored(tmp_path / "alone")


def test_a_copy_depends_on_seed_content_and_its_own_name_only(world):
    image, other = picture(0), "ab" * 32

    def pixels(name, seed=0, sha256="cd" * 32):
        return copy_of(image, copy_id(name), Edits.of([name, "scaling_0.8"], seed=seed), sha256).tobytes()

    assert pixels("text_length_10") == pixels("text_length_10")
    assert len({pixels("text_length_10"), pixels("text_length_10", 1), pixels("text_length_10", 0, other)}) == 3
    assert pixels("jpg_compression_50") == pixels("jpg_compression_50", 1, other)
    assert copy_of(image, ORIGINAL, Edits.of([]), other) is image


def test_sets_of_edits_stand_for_their_names():
    assert edit_names(["paper"]) == [edit.name for edit in PAPER]
    assert edit_names(["scaling_0.5", "platform"])[0] == "scaling_0.5"
    with pytest.raises(InputError, match=r"scaling_0\.4 are asked for twice"):
        edit_names(["paper", "scaling_0.4"])


def test_a_users_own_edit_joins_and_is_made_again_when_its_module_changes(world, tmp_path, monkeypatch):
    (tmp_path / "own_edit.py").write_text("def half(image, rng):\n    return image.resize((80, 60))\n")
    monkeypatch.syspath_prepend(tmp_path)
    edits = ("scaling_0.8", "tests.benchmark.world:darker", "own_edit:half")
    results = run(world, tmp_path / "out", edits=edits, protocols=("paper",))
    assert [(attack.name, attack.category) for attack in results.paper[0].attacks][1:] == [
        ("tests.benchmark.world:darker", "own"),
        ("own_edit:half", "own"),
    ]
    before = copy_id("own_edit:half")
    CALLS.clear()
    with (tmp_path / "own_edit.py").open("a") as file:
        file.write("# changed\n")
    assert copy_id("own_edit:half") != before
    run(world, tmp_path / "out", edits=edits, protocols=("paper",))
    assert CALLS["counting"] == 8, "of each attacked photograph one copy"


def test_rows_are_made_again_when_what_they_are_made_with_changes(world, tmp_path, monkeypatch):
    source = "from tests.fake import FakeExtractor\n\n\nclass Mine(FakeExtractor):\n    name = 'mine'\n"
    (tmp_path / "own_model.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    before = enter("own_model:Mine", settings_of({})).spec.key
    assert enter("own_model:Mine", settings_of({})).spec.key == before
    (tmp_path / "own_model.py").write_text(source + "    dimension = 192\n")
    assert enter("own_model:Mine", settings_of({})).spec.key != before

    for place in (tmp_path / "over.png", tmp_path / "pictures" / "one.png"):
        place.parent.mkdir(exist_ok=True)
        picture(50).save(place)
        name = f"overlay_image_25(picture={place if place.parent == tmp_path else place.parent})"
        first = copy_id(name)
        assert first == copy_id(name)
        picture(51).save(place)
        assert copy_id(name) != first
        assert Edits.of([name]).perturbation(copy_id(name)).name == name


def test_distances_are_those_of_brute_force(world, tmp_path):
    """One row by js, bits that do not fill their bytes, several rows: nearest, own, nearest other."""
    run(world, tmp_path, models=(FAKE, CORNERS, MEANS, TAILS))
    photos, row_cache = look_at(world, workers=0).pictures, shelf_of(tmp_path)
    queries = tuple(p for p in photos if MILD[0] in row_cache.stored(enter(FAKE, settings_of({})).spec.key, p))
    sides = Sides.of(photos[:7], queries)
    for name in (FAKE, CORNERS, MEANS, TAILS):
        entry = enter(name, settings_of({}))
        found = nearest(row_cache, entry.spec, entry.method.metric, sides, MILD)
        originals = [entry.extractor.parts([p.load()])[0] for p in photos[:7]]
        for i, photo in enumerate(queries):
            for e, edit in enumerate(MILD):
                rows = entry.extractor.parts([copy_of(photo.load(), edit, row_cache.edits, photo.sha256)])[0]
                if name == FAKE:
                    distances = js(rows, np.concatenate(originals))[0].astype(np.float32)
                elif name == CORNERS:
                    differ = [np.unpackbits(rows[0] ^ one[0]).sum() for one in originals]
                    distances = (np.array(differ) / 12).astype(np.float32)
                elif name == TAILS:
                    distances = image_distances([rows], originals, metric="hamming", bits=12)[0]
                else:
                    distances = image_distances([rows], originals, metric="l2")[0]
                assert found.distance[i, e] == pytest.approx(distances.min(), abs=1e-6)
                assert found.position[i, e] == (distances.argmin() if np.isfinite(distances.min()) else -1)
                own = photos.index(photo)
                if own < 7:
                    assert found.own[i, e] == pytest.approx(distances[own], abs=1e-6)
                    distances[own] = np.inf
                else:
                    assert np.isnan(found.own[i, e])
                assert found.other[i, e] == pytest.approx(distances.min(), abs=1e-6)


@pytest.mark.parametrize("model", [SLOPES, EDGES])
def test_a_row_of_zeros_is_far_from_everything(world, tmp_path, model):
    folder = shutil.copytree(world, tmp_path / "photos")
    for name, colour in (("black", 0), ("white", 255)):
        Image.new("RGB", (160, 120), (colour,) * 3).save(folder / "a" / f"{name}.png")
    edits = ("jpg_compression_50", "scaling_0.8")
    results = run(folder, tmp_path / "out", models=(model,), edits=edits, attacked=7)
    photos, entry = look_at(folder, workers=0).pictures, enter(model, settings_of({}))
    flat = np.array(["/0" not in photo.name and "/1" not in photo.name for photo in photos])
    assert flat.sum() == 2
    row_cache = RowCache(ArrayCache(tmp_path / "out" / "cache"), Edits.of(edits, font=dejavu_sans_bold()))
    for database in (photos, tuple(photo for photo, dark in zip(photos, flat, strict=True) if dark)):
        found = nearest(row_cache, entry.spec, entry.method.metric, Sides.of(database, photos), edits)
        assert np.isinf(found.distance[flat]).all()
        assert np.isinf(found.own[flat]).all()
        assert (found.position[flat] == -1).all()
        assert np.isinf(found.other[flat]).all()
        assert np.isfinite(found.distance[~flat]).all() == (database is photos)
    assert results.paper[0].attacked == 7


def test_rows_of_a_job_are_those_of_the_method_alone(world, tmp_path):
    photo = look_at(world, workers=0).pictures[0]
    row_cache, entry = shelf_of(tmp_path), enter(CORNERS, settings_of({}))
    network = RowRequest("fake", "k", ("scaling_0.8",), FakeExtractor.preprocessing)
    done = work(EmbedJob(photo, (RowRequest(CORNERS, entry.spec.key, (ORIGINAL, "scaling_0.8")), network), row_cache))
    copy = copy_of(photo.load(), "scaling_0.8", row_cache.edits, photo.sha256)
    original, small = row_cache.rows(entry.spec.key, photo, (ORIGINAL, "scaling_0.8"))
    np.testing.assert_array_equal(original, entry.extractor.parts([photo.load()])[0])
    np.testing.assert_array_equal(small, entry.extractor.parts([copy])[0])
    (pixels,) = done.pixels.values()
    np.testing.assert_array_equal(pixels[1], FakeExtractor.preprocessing.apply(copy))


def test_a_missing_method_is_listed_and_the_others_run(world, tmp_path, monkeypatch):
    load = methods.load_method

    def lacking(name, device="auto"):
        if name == "orb":
            raise DependencyMissing("ORB needs OpenCV: pip install it")
        return load(name, device)

    monkeypatch.setattr(methods, "load_method", lacking)
    results = run(world, tmp_path, models=("orb", FAKE), protocols=("paper",))
    orb, fake = results.methods
    assert (orb.name, orb.kind, orb.label, orb.missing) == (
        "orb",
        "keypoints",
        "ORB",
        "ORB needs OpenCV: pip install it",
    )
    assert (fake.name, fake.kind, fake.missing, fake.dimension) == ("counting", "user", None, 192)
    assert {split.method for split in results.paper} == {"counting"}
    with pytest.raises(InputError, match="no method can run: orb: ORB needs"):
        run(world, tmp_path, models=("orb",))


def test_what_cannot_be_used_is_listed_and_the_run_goes_on(world, tmp_path):
    folder = shutil.copytree(world, tmp_path / "photos")
    (folder / "notes.jpg").write_text("no image")
    shutil.copyfile(folder / "a" / "00.png", folder / "b" / "again.png")
    Image.new("RGB", (12, 9), "red").save(folder / "a" / "tiny.png")
    results = run(folder, tmp_path / "out", edits=(*MILD, "text_length_50"), attacked=6, seeds=(0, 1, 2))
    rejected = {file.name: (file.code, file.message) for file in results.photographs.rejected}
    assert rejected["notes.jpg"][0] == "unknown_format"
    assert rejected["b/again.png"] == ("exact_copy", "the same bytes as a/00.png")
    assert rejected["a/tiny.png"][0] == "cannot_be_edited"
    assert "do not fit" in rejected["a/tiny.png"][1]
    assert results.photographs.count == 12
    assert all(split.database == 6 for split in results.paper)


def test_too_few_photographs_are_refused(world, tmp_path):
    with pytest.raises(InputError, match=r"12 photographs make halves of 6, too few to edit 100.*--attacked 6"):
        run(world, tmp_path, attacked=100)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="0 photographs cannot be split"):
        run(tmp_path / "empty", tmp_path)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ((FAKE, FAKE), "the same value"),
        (("no-such",), "no method is called"),
        (("tests.fake:SIDE",), "is no extractor"),
    ],
)
def test_wrong_names_are_refused(world, tmp_path, models, message):
    with pytest.raises(InputError, match=message):
        run(world, tmp_path, models=models)


def test_metrics_are_checked_before_anything_is_computed(world, tmp_path):
    for metrics, message in (
        ({"counting": ("hamming",)}, "compared by js, not by hamming"),
        ({"corners": ("l1",)}, "compared by hamming, not by l1"),
        ({"other": ("js",)}, "not among the models"),
    ):
        with pytest.raises(InputError, match=message):
            run(world, tmp_path, models=(FAKE, CORNERS), metrics=metrics)
    assert not CALLS


def test_a_users_file_changed_during_the_run_is_noticed(tmp_path):
    photo = look_at(photographs(tmp_path / "p", 2), workers=0).pictures[0]
    path = Path(tmp_path / "p" / photo.name)
    picture(99).save(path)
    with pytest.raises(InputError, match="was changed during the run"):
        photo.load()
