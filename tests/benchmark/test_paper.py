"""The paper's protocol in worlds that one can check by eye."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from simsearch.benchmark.edits import Photograph, edited_copies, embed_photographs, photographs
from simsearch.benchmark.paper import PaperRows, Protocol, Split, run_paper, score_paper, split_photographs
from simsearch.decide.metrics import auc
from simsearch.errors import InputError
from simsearch.images.perturb import PAPER, by_name
from tests.fake import FakeExtractor, OtherExtractor

MILD = (
    by_name("jpg_compression_50"),
    by_name("scaling_0.8"),
    by_name("gaussian_noise_0.01"),
    by_name("text_length_10"),
)
SMALL = Protocol(n_attacked=4, edits=MILD, repeats=20, device="cpu")


@pytest.fixture
def photos(rng):
    coarse = rng.integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    return [Image.fromarray(c).resize((160, 120), Image.Resampling.BICUBIC) for c in coarse]


def world(database, positives, negatives, edits):
    """One-dimensional rows, so that l1 is the difference of two numbers."""
    images = [Photograph(f"photo {i}", Image.new("RGB", (1, 1))) for i in range(2 * len(database))]
    split = Split(tuple(images[: len(database)]), tuple(images[len(database) :]), tuple(range(2 * len(positives))))
    as_rows = [np.array(values, np.float32)[..., None] for values in (database, positives, negatives)]
    return PaperRows(FakeExtractor(), split, *as_rows), Protocol(
        n_attacked=len(positives), edits=[by_name(edit) for edit in edits], fpr=0.25, repeats=10, device="cpu"
    )


def test_a_world_of_two_photographs_and_two_edits():
    rows, protocol = world(
        database=[10, 20],
        positives=[[10.5, 18], [21, 23]],  # the second copy of 10 is nearer to 20
        negatives=[[12, 22.5], [30, 16]],  # 2 from 10, 2.5 from 20, 10 from 20, 4 from 20
        edits=["scaling_0.5", "jpg_compression_30"],
    )
    result = score_paper(rows, "l1", protocol)
    near, right, far = [0.5, 2, 1, 3], [0.5, 8, 1, 3], [2, 2.5, 10, 4]
    assert result.auc.value == auc(near, far) == (4 + 3.5 + 4 + 2) / 16
    assert result.auc_right_image.value == auc(right, far) == (4 + 1 + 4 + 2) / 16
    assert result.grid == (0.5, 10)
    assert 2 <= result.threshold < 2.5  # one stranger of four is let in
    assert result.measured_fpr == 0.25
    assert result.recall.value == 3 / 4
    assert result.recall_right_image.value == 2 / 4
    assert result.right_image_first.value == 3 / 4
    assert not result.supported
    scaling, jpeg = result.attacks
    assert (scaling.name, scaling.auc, scaling.recall, scaling.right_image_first) == ("scaling_0.5", 1, 1, 1)
    assert (jpeg.family, jpeg.auc, jpeg.auc_right_image) == ("jpg_compression", 3 / 4, 1 / 4)
    assert (jpeg.recall, jpeg.recall_right_image, jpeg.right_image_first) == (1 / 2, 0, 1 / 2)
    closest = result.closest_strangers[0]
    assert (closest.name, closest.edit, closest.nearest, closest.distance) == ("photo 2", "scaling_0.5", "photo 0", 2)
    assert [stranger.name for stranger in result.closest_strangers] == ["photo 2", "photo 3"]
    assert json.loads(json.dumps(result.to_dict()))["attacks"][1]["name"] == "jpg_compression_30"


def test_mild_copies_are_found_and_strangers_are_not(photos):
    seen = []
    results = run_paper(
        [FakeExtractor(), OtherExtractor()], photos, protocol=SMALL, progress=lambda *at: seen.append(at)
    )
    assert seen == [(i, 8) for i in range(1, 9)]
    one, other = results
    assert (one.database, one.attacked, one.edits, one.metric) == (6, 4, 4, "js")
    assert one.auc == one.auc_right_image
    assert one.auc.value == one.right_image_first.value == one.recall.value == 1
    assert dataclasses.replace(other, extractor=one.extractor, fingerprint=one.fingerprint) == one


def test_the_same_seed_gives_the_same_result_for_any_number_of_workers(photos):
    one, again = (
        run_paper([FakeExtractor()], photos, metric="cosine", protocol=dataclasses.replace(SMALL, workers=workers))[0]
        for workers in (1, 3)
    )
    assert one == again
    assert one.metric == "cosine"
    other = run_paper([FakeExtractor()], photos, metric="cosine", protocol=dataclasses.replace(SMALL, seed=1))[0]
    assert other != one


def test_the_halves_do_not_share_a_photograph(photos):
    images = photographs(photos)
    split = split_photographs(images, SMALL)
    assert {p.name for p in split.database + split.control} == {p.name for p in images}
    assert len(split.database) == len(split.control) == 6
    attacked = split.database[:4] + split.control[:4]
    assert [images[number] for number in split.numbers] == list(attacked)


def test_an_edit_depends_on_the_seed_the_photograph_and_its_own_name_only(photos):
    image = Photograph("a", photos[0])
    noise, text = by_name("gaussian_noise_0.01"), by_name("text_length_10")

    def pixels(number, edits, seed=0):
        (copies,) = edited_copies([(number, image)], edits, seed)
        return [copy.tobytes() for copy in copies]

    both = pixels(3, [noise, text])
    assert pixels(3, [text, noise]) == both[::-1]
    assert pixels(3, [text]) == both[1:]
    assert pixels(4, [text]) != both[1:]
    assert pixels(3, [text], seed=1) != both[1:]


def test_copies_come_in_order_and_are_not_all_made_at_once(photos):
    asked = []

    def chosen():
        for number, image in enumerate(photographs(photos)):
            asked.append(number)
            yield number, image

    stream = edited_copies(chosen(), [by_name("scaling_0.5")], 0, workers=2)
    (first,) = next(stream)
    assert first.tobytes() == photos[0].resize((80, 60), Image.Resampling.BICUBIC).tobytes()
    assert len(asked) <= 4
    stream.close()


def test_a_folder_is_read_in_the_order_of_its_names(photos, tmp_path):
    for name, photo in zip("cab", photos, strict=False):
        photo.save(tmp_path / f"{name}.png")
    found = photographs(tmp_path)
    assert [p.name for p in found] == ["a.png", "b.png", "c.png"]
    (rows,) = embed_photographs([FakeExtractor()], found)
    np.testing.assert_array_equal(rows, FakeExtractor().rows([photos[1], photos[2], photos[0]]))
    assert [p.name for p in photographs([tmp_path / "b.png", photos[0]])] == ["b.png", "image 1"]


def test_what_cannot_be_measured_is_refused_by_name(photos, tmp_path):
    with pytest.raises(InputError, match="12 photographs make halves of 6, too few to edit 100"):
        run_paper([FakeExtractor()], photos)
    with pytest.raises(InputError, match="each its own name"):
        run_paper([FakeExtractor(), FakeExtractor()], photos, protocol=SMALL)
    for i in range(12):
        photos[i].save(tmp_path / f"{i}.png")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"notes.txt: unknown_format.*take this file away"):
        run_paper([FakeExtractor()], tmp_path, protocol=dataclasses.replace(SMALL, n_attacked=6))


def test_a_photograph_too_small_for_an_edit_is_named(photos):
    small = [*photos[:3], Image.new("RGB", (12, 9))]
    protocol = dataclasses.replace(SMALL, n_attacked=2, edits=[by_name("text_length_50")])
    with pytest.raises(InputError, match=r"image 3, text_length_50: .* do not fit .* take this file away"):
        run_paper([FakeExtractor()], small, protocol=protocol)


@pytest.mark.slow
def test_the_published_numbers_of_dhash_are_met(data):
    """Vallez et al. report AUC 0.9415 on their grid, 0.8726 for the right image, recall 0.810 at 0.5 %."""
    pytest.importorskip("imagehash")
    from simsearch.extract.hashes import DHash

    (result,) = run_paper([DHash()], data / "bsds500", protocol=Protocol(device="cpu", repeats=50))
    assert len(PAPER) == result.edits == 58
    assert (result.database, result.attacked) == (250, 100)
    assert result.auc_on_grid == pytest.approx(0.9415, abs=0.015)
    assert result.auc_right_image.value == pytest.approx(0.8726, abs=0.02)
    assert result.recall.value == pytest.approx(0.810, abs=0.03)
