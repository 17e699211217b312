"""Templates, sweeps, transfer, times and examples, on small worlds."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simsearch.benchmark.data import nearest
from simsearch.benchmark.data.array_cache import ArrayCache
from simsearch.benchmark.protocols.examples import THUMBNAILS
from simsearch.benchmark.protocols.paper import Rules
from simsearch.benchmark.protocols.templates import TemplateEnds, template_figures
from simsearch.decide.roc_curve import auc
from simsearch.errors import InputError
from simsearch.runtime.processes import Pool
from tests.benchmark.world import CORNERS, FAKE, MEANS, measured, photographs, picture, run
from tests.fake import FakeExtractor


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("protocols") / "photos")


def test_variants_are_found_by_their_template(tmp_path):
    folder = tmp_path / "memes"
    folder.mkdir()
    lines = ["image,template"]
    for template in range(4):
        original = picture(template)
        for variant in range(1 + template):  # template 0 has no variant, template 3 has three
            name = f"{template}-{variant}.png"
            original.resize((160 - 8 * variant, 120)).save(folder / name)
            lines.append(f"{name},{'meme ' * template}x")
    lines.append("lost.png,x")
    (folder / "memes.csv").write_text("\n".join(lines))
    results = run(photographs(tmp_path / "photos"), tmp_path / "out", templates=folder / "memes.csv", fpr=(0.5,))
    (found,) = results.templates
    assert (found.name, found.templates, found.positives + found.negatives) == ("memes", 2, 6)
    assert found.auc.value == found.auc_right_image.value == found.operating[0].recall.value == 1
    photos = results.other_photographs[0]
    assert (photos.count, [(file.name, file.code) for file in photos.rejected]) == (10, [("lost.png", "not_found")])
    (folder / "memes.csv").write_text("image,kind\na,b\n")
    with pytest.raises(InputError, match="has no column template"):
        run(tmp_path / "photos", tmp_path / "out", templates=folder / "memes.csv")


def test_intervals_of_templates_draw_whole_templates(rng):
    """Two templates of many equal variants are two trials, not two hundred."""
    near = np.concatenate([np.zeros(150), np.full(50, 0.9)])
    of = np.repeat([0, 1], [150, 50])
    ends = TemplateEnds(near, near, np.full(40, 0.5), of, np.arange(40))
    found = template_figures(ends, ("m", "l1", "memes"), 2, Rules((0.1,), 500, 0))
    assert found.auc.value == auc(near, ends.negatives) == 0.75
    assert (found.auc.low, found.auc.high) == (0, 1)
    assert found.operating[0].measured_fpr.value == 0
    assert found.operating[0].recall.supported


def test_sweeps_change_one_parameter_at_a_time(world, tmp_path):
    pytest.importorskip("imagehash")
    sweeps = {"hash_length": {"dhash": (2, 8), "ahash": (3,)}, "database_size": (4, 6), "splits": 2}
    results = run(world, tmp_path, models=(CORNERS, "dhash"), seeds=(0, 1, 2), sweeps=sweeps, protocols=("paper",))
    points = {(point.sweep, point.family, point.value): point for point in results.sweeps}
    assert list(points) == [
        *(("hash_length", "dhash", 4), ("hash_length", "dhash", 64), ("hash_length", "ahash", 9)),
        *(("database_size", "corners", 4), ("database_size", "corners", 6)),
        *(("database_size", "dhash", 4), ("database_size", "dhash", 6)),
    ]
    whole = [split for split in results.paper if split.method == "dhash"][:2]
    for point in (points["hash_length", "dhash", 64], points["database_size", "dhash", 6]):
        assert point.method == "dhash"
        assert point.auc.mean == pytest.approx(np.mean([split.auc.value for split in whole]))
    assert points["hash_length", "dhash", 64].auc_on_grid != points["database_size", "dhash", 6].auc_on_grid
    assert points["database_size", "dhash", 4].auc.lowest >= points["database_size", "dhash", 6].auc.lowest - 1e-9
    with pytest.raises(InputError, match="a database of 3 images: the sweep takes from 4, those that are edited, to 6"):
        run(world, tmp_path, sweeps={"database_size": (3,)})


def test_the_same_set_transfers_to_itself(world, tmp_path):
    same = shutil.copytree(world, tmp_path / "again")
    results = run(world, tmp_path / "out", models=(FAKE, CORNERS), transfer=same, seeds=(2, 3))
    assert [row.method for row in results.transfer] == ["counting", "corners"]
    for row, split in zip(results.transfer, (s for s in results.paper if s.seed == 2), strict=True):
        assert (row.fpr_here, row.recall_here) == (row.fpr_there, row.recall_there)
        assert row.recall_here.value == split.operating[0].recall.value
    assert results.other_photographs[0].digest == results.photographs.digest


def test_times_are_of_each_method_and_stay_what_they_were(world, tmp_path):
    first = run(world, tmp_path, models=(FAKE, CORNERS, MEANS), protocols=("times",)).times
    assert [time.method for time in first] == ["counting", "corners", "means"]
    assert all(0 < t.ms_low <= t.ms <= t.ms_high < t.ms_with_decoding + t.ms_high for t in first)
    assert {time.images for time in first} == {2}
    assert run(world, tmp_path, models=(FAKE, CORNERS, MEANS), protocols=("times",)).times == first


def test_examples_show_both_pictures(world, tmp_path):
    results = run(world, tmp_path, models=("tests.fake:BlindExtractor", FAKE), protocols=("paper",), fpr=(0.1,))
    kinds = {example.kind for example in results.examples if example.method == "blind"}
    assert kinds == {"closest_stranger", "false_match", "missed_copy"}
    for example in results.examples:
        for thumbnail in (example.query_thumbnail, example.image_thumbnail):
            assert thumbnail.startswith(f"{THUMBNAILS}/")
            assert (tmp_path / thumbnail).read_bytes()[:2] == b"\xff\xd8"
        if example.kind == "missed_copy":
            assert example.query == example.image
            assert example.distance > example.threshold
        if example.kind == "false_match":
            assert example.distance <= example.threshold
    missed = [
        example.edit for example in results.examples if (example.kind, example.method) == ("missed_copy", "blind")
    ]
    assert len(missed) == len(set(missed))


def test_chains_and_their_thresholds_are_in_the_results(world, tmp_path):
    results = run(world, tmp_path, chains=3, protocols=())
    assert [(point.method, point.k) for point in results.chains] == [("counting", k) for k in (1, 2, 3)]
    assert results.paper == results.perception == results.copy_detection == ()


def test_networks_are_compared_by_every_distance(world, tmp_path, tiny):
    results = run(world, tmp_path, models=(f"{tiny}/",), compare_distances=True, protocols=("paper",))
    assert results.methods[0].metrics == ("js", "cosine", "l1", "l2")
    assert [(mean.method, mean.metric) for mean in results.means] == [
        ("tiny", metric) for metric in ("js", "cosine", "l1", "l2")
    ]
    assert measured(
        run(world, tmp_path, models=(f"{tiny}/",), compare_distances=True, protocols=("paper",))
    ) == measured(results)


def test_distances_between_rows_of_networks_are_measured_outside_the_workers(world, tmp_path, monkeypatch, tiny):
    under_way = []
    each, measure = Pool.map, nearest._measured

    def mapped(pool, *arguments, **options):
        under_way.append(pool)
        try:
            return each(pool, *arguments, **options)
        finally:
            under_way.pop()

    def checked(row_cache, spec, *rest):
        assert not under_way or spec.device == "cpu"
        measured_with.append(spec.device)
        return measure(row_cache, spec, *rest)

    measured_with = []
    monkeypatch.setattr(Pool, "map", mapped)
    monkeypatch.setattr(nearest, "_measured", checked)
    folder = photographs(tmp_path / "memes", 8, start=40)
    lines = [f"{'ab'[i % 2]}/{i:02}.png,{i // 2}" for i in range(8)]
    (folder / "memes.csv").write_text("\n".join(["image,template", *lines]))
    run(world, tmp_path / "out", models=(f"{tiny}/", CORNERS), chains=1, templates=folder / "memes.csv", device="auto")
    assert set(measured_with) == {"auto", "cpu"}


def test_a_store_gives_back_what_it_was_given(tmp_path, rng):
    store = ArrayCache(tmp_path)
    arrays = {
        "bits": rng.integers(0, 256, (3, 5), dtype=np.uint8),
        "sift": rng.integers(0, 256, (2, 128)).astype(np.float32),
        "row": rng.random((1, 7), np.float32),
        "none": np.empty((0, 128), np.float32),
        "nan": np.array([np.nan, np.inf], np.float32),
        "double": rng.random((2, 2)),
        "strided": rng.random((4, 6))[::2, ::3],
        "scalar": np.array(3),
    }
    store.write("rows", "ab" * 32, arrays)
    found = store.read("rows", "ab" * 32)
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable
    assert store.read("rows", "cd" * 32) is None
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.stat().st_size < 256 + 1024, "whole numbers below 256 take a byte each"
    data = path.read_bytes()
    for damaged in (b"", data[:-1], data + b"x", b"{}\n", data.replace(b"sift", b"soft"), data[:-1] + b"\x01"):
        path.write_bytes(damaged)
        assert store.read("rows", "ab" * 32) is None


def test_jobs_under_way_are_few_and_their_bytes_bounded(monkeypatch):
    lock, running, most, most_bytes = threading.Lock(), [], [], []

    def work(job):
        with lock:
            running.append(job)
            most.append(len(running))
            most_bytes.append(sum(running))
        time.sleep(0.002)
        with lock:
            running.remove(job)
        return -job

    pool = Pool(3, budget=10)
    jobs = [1, 4, 4, 9, 25, 2, 3, 5, 1, 1] * 3
    with ThreadPoolExecutor(8) as threads:
        monkeypatch.setattr(pool, "_started", lambda: threads)
        done = list(pool.run(work, jobs, cost=int))
    assert sorted(done) == sorted((job, -job) for job in jobs)
    assert max(most_bytes) <= 25, "a job larger than the budget runs alone"
    assert all(total <= 10 or count == 1 for total, count in zip(most_bytes, most, strict=True))


def test_results_of_jobs_come_in_their_order():
    with Pool(0) as pool:
        seen = []
        assert pool.map(abs, [-3, 2, -1], progress=lambda *at: seen.append(at)) == [3, 2, 1]
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_extractor_without_a_name_of_its_own_is_told_apart(world, tmp_path):
    """Two classes of one name would be confused in every table."""
    with pytest.raises(InputError, match="fake stands twice among the models"):
        run(world, tmp_path, models=("tests.fake:FakeExtractor", f"{__name__}:Same"))


class Same(FakeExtractor):
    pass
