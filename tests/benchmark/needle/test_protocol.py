"""The needle protocol on worlds that one can count: three sources of a few pictures, and slow numpy beside it."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from simsearch.benchmark.data.edit_set import Edits, copy_of
from simsearch.benchmark.data.methods import assemble, enter
from simsearch.benchmark.data.photographs import look_at
from simsearch.benchmark.data.sources import known_copies, read_copies, read_sources, source_of, spread_evenly
from simsearch.benchmark.needle.pairs import Originals, stranger_pairs
from simsearch.benchmark.report import write_output
from simsearch.benchmark.report.needle_tables import needle_tables, size
from simsearch.benchmark.report.tables import tables
from simsearch.benchmark.results import Results
from simsearch.benchmark.settings import settings_of
from simsearch.decide.pair_rate import Strangers
from simsearch.distance import by_name
from simsearch.errors import InputError
from simsearch.extract.embeddings.parquet import write_rows
from simsearch.extract.pipeline import embed_sources
from simsearch.extract.zoo.find import find_model
from simsearch.images import find
from simsearch.images.perturb import dejavu_sans_bold
from simsearch.search.multi_vector.distances import image_distances
from tests.benchmark.test_output import columns_agree
from tests.benchmark.world import CORNERS, EDGES, FAKE, MEANS, SLOPES, TAILS, picture, run

GROUPS = {"mild": ("jpg_compression_50", "scaling_0.8"), "hard": ("inversion", "turn_180", "laid_on_image_50")}
EDITS = (*GROUPS["mild"], *GROUPS["hard"])
SOURCES = {"city": range(7), "sea": range(20, 26), "wood": range(40, 45)}
ASKED = {"groups": GROUPS, "queries": 6, "libraries": (8, 30), "expected": (1, 0.5)}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Eighteen pictures of three sources, and four textures, one of them black."""
    folder = tmp_path_factory.mktemp("needle") / "photos"
    for source, seeds in {**SOURCES, "stripes": range(60, 64)}.items():
        (folder / source).mkdir(parents=True)
        for seed in seeds:
            picture(seed, 64, 48).save(folder / source / f"{seed:02}.png")
    Image.new("RGB", (64, 48)).save(folder / "stripes" / "black.png")
    return folder


def needle_run(world, output, *, models=(FAKE,), **needle):
    return run(world, output, models=models, protocols=("needle",), needle={**ASKED, "textures": ["stripes"], **needle})


def slow(world, output, name, metric, needle):
    """Distances of all stranger pairs, and of all copies to their originals, one image at a time."""
    entry = enter(name, settings_of({"models": (name,)}))
    method, extractor = entry.method, entry.extractor
    edits = Edits.of(EDITS, font=dejavu_sans_bold())
    gallery = look_at(world, workers=0)

    def distance(query, original):
        return float(rounded(query, original))

    def rounded(query, original):
        if method.several:
            kept = [rows if metric == "hamming" else rows[rows.any(axis=1)] for rows in (query, original)]
            return image_distances([kept[0]], [kept[1]], metric=metric, cutoff=method.cutoff, bits=method.bits)[0, 0]
        if metric == "hamming":
            return np.float32(np.unpackbits(query ^ original).sum() / method.bits)
        return by_name(metric)(query, original)[0, 0].astype(np.float32) if query.any() and original.any() else np.inf

    rows = {one.name: extractor.parts([one.load()])[0] for one in gallery.pictures}
    pairs = {
        (a, b): distance(rows[a], rows[b])
        for a, b in itertools.combinations(rows, 2)
        if a.split("/")[0] != b.split("/")[0] and "stripes" not in a + b
    }
    plain = [one for one in gallery.pictures if one.category != "stripes"]
    chosen = [plain[i] for i in spread_evenly([one.category for one in plain], needle["queries"])]
    own = {
        edit: [
            distance(extractor.parts([copy_of(one.load(), edit, edits, one.sha256)])[0], rows[one.name])
            for one in chosen
        ]
        for edit in EDITS
    }
    return pairs, own


@pytest.mark.parametrize(
    ("name", "metric"),
    [(FAKE, "js"), (CORNERS, "hamming"), (MEANS, "l2"), (TAILS, "hamming"), (SLOPES, "cosine"), (EDGES, "l2")],
)
def test_every_figure_is_what_one_counts_by_hand(world, tmp_path, name, metric):
    results = needle_run(world, tmp_path, models=(name,))
    needle = results.needle
    (one,) = needle.methods
    pairs, own = slow(world, tmp_path, name, metric, ASKED)
    assert one.metric == metric
    assert needle.pairs == len(pairs) == 7 * 6 + 7 * 5 + 6 * 5
    assert [(s.name, s.photographs, s.queries, s.textures) for s in needle.sources] == [
        *(("city", 7, 2, False), ("sea", 6, 2, False), ("stripes", 5, 0, True), ("wood", 5, 2, False))
    ]
    values = np.sort(np.array(list(pairs.values()), np.float64))
    for i, limit in enumerate(needle.limits):
        allowed = int(limit.expected / limit.library * len(values) + 1e-9)
        threshold, found = one.thresholds[i].threshold, one.thresholds[i]
        assert allowed >= 1
        assert threshold.value == np.nextafter(values[allowed], -np.inf)
        within = {pair for pair, distance in pairs.items() if distance <= threshold.value}
        assert (found.pairs, found.images) == (len(within), len({image for pair in within for image in pair}))
        assert found.support == "unsupported"
        for edit in one.edits:
            assert edit.recall[i].value == pytest.approx(np.mean(np.array(own[edit.name]) <= threshold.value))
        for group in one.groups:
            mean = np.mean([np.array(own[edit]) <= threshold.value for edit in GROUPS[group.name]])
            assert group.recall[i].value == pytest.approx(mean)
            assert group.recall[i].low <= mean <= group.recall[i].high
    strata = {(s.kind, s.name): s for s in one.strata}
    assert strata["across", ""].within[0] == one.thresholds[0].pairs
    assert strata["sources", "city, sea"].pairs == 42
    assert sum(s.within[0] for s in one.strata if s.kind == "sources") == one.thresholds[0].pairs
    assert strata["look_alikes", ""].pairs == 21 + 15 + 10
    assert strata["textures", "stripes"].pairs == 10
    assert strata["textures", "stripes, photographs"].pairs == 5 * 18
    assert strata["edited", ""].pairs == len(EDITS) * 2 * (11 + 12 + 13)
    nearest = one.nearest[0]
    assert pairs.get((nearest.one, nearest.other), pairs.get((nearest.other, nearest.one))) == values[0]
    held = {(h.source, h.library): h for h in one.held_out}
    assert set(held) == set(itertools.product(SOURCES, ASKED["libraries"]))
    assert held["wood", 8].pairs == 13 * 5


def test_methods_are_compared_on_the_same_draws_and_ties_leave_less(world, tmp_path):
    results = needle_run(world, tmp_path, models=(FAKE, CORNERS))
    needle = results.needle
    by_name_ = {method.method: method for method in needle.methods}
    for change in needle.differences:
        before, after = (
            {group.name: group for group in by_name_[key[0]].groups}[change.group]
            for key in (change.before, change.after)
        )
        for i, one in enumerate(change.change):
            assert one.value == pytest.approx(after.recall[i].value - before.recall[i].value)
            assert one.low <= one.value <= one.high
    assert [change.group for change in needle.differences] == list(GROUPS)
    twins = needle_run(world, tmp_path, models=(FAKE,)).needle.methods[0]
    assert twins == by_name_["counting"]  # nothing hangs on what else runs


def test_known_copies_count_nowhere_but_as_copies(world, tmp_path):
    folder = shutil.copytree(world, tmp_path / "photos")
    picture(20, 64, 48).convert("RGB").save(folder / "wood" / "again.jpg", quality=95)  # sea/20.png, once more
    with_copy = needle_run(folder, tmp_path / "a")
    told = needle_run(folder, tmp_path / "a", known_copies=[("20", "wood/again.jpg"), ("nobody", "20")])
    assert with_copy.needle.methods[0].nearest[0].distance < 0.1 < told.needle.methods[0].nearest[0].distance
    assert told.needle.pairs == with_copy.needle.pairs - 1
    assert told.needle.known_copies == 1
    edited = [{s.kind: s.pairs for s in one.needle.methods[0].strata}["edited"] for one in (with_copy, told)]
    assert edited[0] - edited[1] == len(EDITS) * 1  # sea/20.png is edited, its copy in the wood is not
    (tmp_path / "copies.csv").write_text("one,other\nagain.jpg,sea/20.png\n")
    listed = needle_run(folder, tmp_path / "a", known_copies=tmp_path / "copies.csv")
    assert listed.needle == told.needle
    assert listed.settings["needle"]["known_copies"] == "copies.csv"


def test_sources_come_from_a_csv_or_from_other_places(world, tmp_path):
    with (tmp_path / "sources.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["name", "source", "licence"])
        rows.writerows(
            [f"{name:02}.png", "odd" if name % 2 else "even"] for seeds in SOURCES.values() for name in seeds
        )
    needle = needle_run(world, tmp_path / "a", sources=tmp_path / "sources.csv").needle
    assert {(s.name, s.photographs) for s in needle.sources} == {("odd", 8), ("even", 10), ("stripes", 5)}
    one = needle_run(world / "city", tmp_path / "b", strangers=[world / "sea"], more=[world / "wood"]).needle
    assert [(s.name, s.queries) for s in one.sources] == [("city", 3), ("wood", 3), ("sea", 0)]
    assert one.pairs == 7 * 6 + 7 * 5 + 6 * 5
    with pytest.raises(InputError, match=r"only \['city'\]; give photographs in one folder a source"):
        needle_run(world / "city", tmp_path / "c")


def test_a_source_is_told_by_csv_folder_member_or_place():
    listed = {"x.tar::a_1.jpg": "listed", "b.jpg": "by member"}
    for name, source in {
        "x.tar::a_1.jpg": "listed",
        "y.tar::b.jpg": "by member",
        "deep/er/b.jpg": "by member",
        "x.tar::intel-scenes_00845.jpg": "intel-scenes",
        "x.tar::imagenette160_01174.jpg": "imagenette160",
        "x.tar::folder/9.jpg": "folder",
        "x.tar::0001.jpg": "given",
        "IMG_0001.jpg": "given",
        "trip/IMG_0001.jpg": "trip",
    }.items():
        assert source_of(name, "given", listed) == source, name


def test_damaged_lists_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("name,from\nx,y\n")
    with pytest.raises(InputError, match=r"a\.csv has no column source; its first line must name name, source"):
        read_sources(tmp_path / "a.csv")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_copies(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"one,other\n\xff,\xfe\n")
    with pytest.raises(InputError, match="cannot be read as CSV"):
        read_copies(tmp_path / "b.csv")
    assert known_copies(["a/1.jpg", "b/1.jpg", "c/2.jpg"], [("1", "2"), ("a/1.jpg", "a/1.jpg")]) == [(0, 2), (1, 2)]


@pytest.mark.parametrize("count", [1, 5, 9, 100])
def test_queries_are_spread_evenly(count):
    sources = ["a"] * 3 + ["b"] * 20 + ["c"] * 8
    chosen = [sources[i] for i in spread_evenly(sources, count)]
    counts = [chosen.count(source) for source in "abc"]
    assert sum(counts) == min(count, 31)
    room = [min(own, most) for own, most in zip((3, 20, 8), [max(counts)] * 3, strict=True)]
    assert all(most - own <= 1 for own, most in zip(counts, room, strict=True))


@pytest.mark.parametrize("wanted", [1, 40, 300, 10_000])
@pytest.mark.parametrize("name", [FAKE, CORNERS, MEANS])
def test_every_pair_within_the_reach_is_found_once(name, wanted):
    """More originals than a sample takes; the reach grows until enough strangers lie within it."""
    entry = enter(name, settings_of({"models": (name,)}))
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (270, 3, 4, 3), np.uint8)
    images = [Image.fromarray(one).resize((16, 12), Image.Resampling.BICUBIC) for one in coarse]
    parts = [entry.extractor.parts([image])[0] for image in images]
    library = Originals(entry.spec, entry.method.metric, parts)
    strangers = Strangers.of(rng.integers(0, 3, 270), [(0, 1), (2, 3)])
    found, reach = stranger_pairs(library, strangers, wanted, seed=0)
    counted = strangers.counts(found.left, found.right)
    assert 4 * counted.sum() >= min(wanted, strangers.pairs()[0])
    assert (found.left < found.right).all()
    whole = Originals(entry.spec, entry.method.metric, parts).near(parts, np.inf)
    expected = {(a, b): d for a, b, d in zip(*whole, strict=True) if a < b and d <= reach}
    assert (
        dict(zip(zip(found.left.tolist(), found.right.tolist(), strict=True), found.distances, strict=True)) == expected
    )


def test_distractors_are_counted_block_by_block_and_copies_of_ours_left_out(world, tmp_path, monkeypatch):
    monkeypatch.setattr("simsearch.benchmark.needle.distractors._AT_ONCE", 3)
    many = tmp_path / "many"
    many.mkdir()
    for seed in range(100, 108):
        picture(seed, 64, 48).save(many / f"{seed}.png")
    picture(0, 64, 48).convert("RGB").save(many / "near.jpg", quality=95)  # of city/00.png, which is a query
    shutil.copy(world / "sea" / "20.png", many / "same.png")
    entry = enter(FAKE, settings_of({"models": (FAKE,)}))
    rows = tmp_path / "rows.parquet"
    embedded = embed_sources(entry.extractor, find([many]), workers=0)
    write_rows(rows, embedded, model="fake", fingerprint=entry.extractor.fingerprint, dimension=192)
    other = tmp_path / "other.parquet"
    write_rows(other, iter(()), model="x", fingerprint="another", dimension=192)
    needle = needle_run(world, tmp_path / "out", distractors=[many, rows, other]).needle
    one = needle.methods[0]
    images, file = one.distractors
    assert replace(images, name=file.name) == file
    assert (images.count, images.queries) == (9, 6)
    assert (images.nearest[0].one, images.nearest[0].other) == ("city/00.png", "near.jpg")
    for i in range(len(needle.limits)):
        threshold = one.thresholds[i].threshold
        assert images.predicted[i] == pytest.approx(one.thresholds[i].pairs / needle.pairs * 9 * 6)
        assert images.observed[i] >= images.queries_hit[i] >= (threshold.value > images.nearest[0].distance)
    assert any("rows.parquet" in line for line in needle_tables(needle_run_as_results(needle)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no distractor"):
        needle_run(world, tmp_path / "out", distractors=[tmp_path / "empty"])


def needle_run_as_results(needle):
    from tests.benchmark.example_results import example

    return replace(example(), needle=needle)


def test_pictures_for_edits_come_from_the_place_named_wherever_it_lies(world, tmp_path):
    for place in ("here", "there"):
        shutil.copytree(world / "stripes", tmp_path / place)
    here, there = (
        needle_run(world, tmp_path / f"{place} out", pictures=tmp_path / place).needle for place in ("here", "there")
    )
    assert here == there
    assert [edit.name for edit in here.methods[0].edits] == list(EDITS)
    drawn = needle_run(world, tmp_path / "out").needle
    assert [edit.name for edit in drawn.methods[0].edits] == list(EDITS)


def test_results_go_to_json_and_back_and_every_page_shows_them(world, tmp_path):
    results = needle_run(world, tmp_path, models=(FAKE, CORNERS), libraries=(8, 1e5))
    again = Results.from_json(results.to_json())
    assert again == results
    assert "Infinity" not in results.to_json()
    assert "NaN" not in results.to_json()
    json.loads(results.to_json())
    lines = tables(results)
    assert columns_agree(lines)
    assert "## Copies found at one expected false match" in lines
    assert any(line.startswith("| corners |") and "‡" in line for line in lines)
    pytest.importorskip("matplotlib")
    report = write_output(results, tmp_path / "page").read_text()
    assert '<section id="needle">' in report
    assert "In a library of 100,000 strangers" in report
    assert (tmp_path / "page" / "plots" / "needle_recall.svg").exists()
    assert needle_tables(replace(results, needle=None)) == []
    assert size(results.needle.limits[0]) == "8e0"


def test_two_folders_of_one_name_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = [tmp_path / name / "export" for name in ("a", "b")]
    for folder in folders:
        shutil.copytree(find_model("mini"), folder)
    entries, methods = assemble(settings_of({"models": ("mini", "a/export", str(folders[1]))}))
    assert [method.name for method in methods] == ["mini", "a/export", "b/export"]
    assert len({entry.spec.key for entry in entries}) == 1
    with pytest.raises(InputError, match="a/export stands twice"):
        assemble(settings_of({"models": ("mini", "a/export", str(folders[0]))}))


def test_the_needle_stands_beside_other_protocols(world, tmp_path):
    both = run(world, tmp_path, protocols=("needle", "paper"), needle={**ASKED, "textures": ["stripes"]})
    alone = needle_run(world, tmp_path)
    assert both.needle == alone.needle
    assert both.paper
    assert not alone.paper
    assert alone.photographs.count == 23


def test_a_photograph_that_cannot_be_edited_leaves(world, tmp_path):
    folder = shutil.copytree(world, tmp_path / "photos")
    picture(80, 6, 3).save(folder / "city" / "000.png")  # no letter fits
    results = run(
        folder,
        tmp_path / "out",
        protocols=("needle",),
        needle={**ASKED, "groups": {"text": ("text_length_60",)}, "queries": 8, "libraries": (8,)},
        edits=("scaling_0.8",),
    )
    assert [file.name for file in results.photographs.rejected] == ["city/000.png"]


def test_rows_of_kept_copies_are_those_of_copies_made_anew(world, tmp_path):
    from simsearch.benchmark.run import run_benchmark

    values = {
        "models": (FAKE,),
        "protocols": ("needle",),
        "bootstrap": 20,
        "needle": {**ASKED, "textures": ["stripes"]},
    }
    output = tmp_path / "kept"
    first = run_benchmark(world, settings_of(values), output, workers=0, keep_copies=True)
    kept = list((output / "cache" / "copies").rglob("*"))
    assert sum(path.is_file() for path in kept) == 6
    rows = {
        path.relative_to(output): path.read_bytes() for path in (output / "cache" / "rows").rglob("*") if path.is_file()
    }
    shutil.rmtree(output / "cache" / "rows")
    again = run_benchmark(world, settings_of(values), output, workers=0, keep_copies=True)
    assert again.needle == first.needle == needle_run(world, tmp_path / "anew").needle
    assert rows == {
        path.relative_to(output): path.read_bytes() for path in (output / "cache" / "rows").rglob("*") if path.is_file()
    }
