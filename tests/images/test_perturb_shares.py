"""The applied share of every choice that edits leave to chance, within binomial bounds."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from simsearch.images.perturb import MILD, by_name, chains
from simsearch.images.perturb.edits import compression, overlay, synthetic, watermark
from simsearch.images.perturb.edits import text as perturb_letters
from tests.images.pictures import array

GREEN = (10, 200, 30)


def ground(value=GREEN, size=(60, 40)):
    return Image.new("RGB", size, value)


def made(name, image, count):
    edit = by_name(name)
    return [array(edit.apply(image, np.random.default_rng(seed))) for seed in range(count)]


def assert_even(drawn, kinds, bound=4):
    """Each of the kinds is drawn equally often, within that many standard deviations of a binomial count."""
    counts = collections.Counter(drawn)
    n, p = counts.total(), 1 / len(kinds)
    assert set(counts) == set(kinds)
    assert max(abs(count - n * p) for count in counts.values()) < bound * math.sqrt(n * p * (1 - p))


def changed(before, after):
    return (array(before) != after).any(axis=-1)


@pytest.mark.parametrize("inner", [(3, 2), (6, 4), (1, 4)])
def test_every_free_position_is_equally_likely(inner):
    rng = np.random.default_rng(0)
    spots = [overlay.spot(rng, (8, 5), inner, "any") for _ in range(9000)]
    assert_even(spots, [(x, y) for x in range(9 - inner[0]) for y in range(6 - inner[1])])


def test_overlays_lie_anywhere(tmp_path):
    Image.new("RGB", (9, 9), "white").save(tmp_path / "white.png")
    image = ground(size=(12, 8))
    outs = made(f"overlay_image_25(picture={tmp_path / 'white.png'})", image, 1400)  # 6 x 4 pixels: 7 x 5 positions
    corners = [tuple(np.argwhere(changed(image, out))[0]) for out in outs]
    assert_even(corners, [(y, x) for y in range(5) for x in range(7)])


def test_emoji_are_of_every_kind_and_anywhere():
    image = ground(size=(64, 44))
    kinds = {kind: array(by_name(f"emoji_100(place=centre,kind={kind})").apply(image, None)) for kind in
             synthetic.EMOJI}  # fmt: skip
    outs = made("emoji_100(place=centre)", image, 300)
    drawn = [[kind for kind, other in kinds.items() if (out == other).all()] for out in outs]
    assert all(len(found) == 1 for found in drawn)
    assert_even([found[0] for found in drawn], synthetic.EMOJI)
    outs = made("emoji_50(kind=smile)", image, 600)  # 22 pixels wide: 43 positions across and 23 down
    middles = np.array([ndimage.center_of_mass(changed(image, out)) for out in outs])
    for axis, free in ((0, 23), (1, 43)):
        first = np.rint(middles[:, axis] - middles[:, axis].min())
        assert first.max() == free - 1
        assert abs(first.mean() - (free - 1) / 2) < 4.5 * math.sqrt((free**2 - 1) / 12 / 600)
        assert first.var() == pytest.approx((free**2 - 1) / 12, rel=0.2)


def test_logos_are_of_every_kind_and_in_every_corner():
    image = ground(size=(60, 44))
    shapes = {}
    for kind in synthetic.LOGOS:
        alpha = synthetic.drawn_logo(kind, (0, 0, 0), (0, 0, 0)).resize((44, 44), Image.Resampling.BICUBIC)
        shapes[kind] = np.asarray(alpha.getchannel("A")) > 40
    outs = made("logo_100(place=top_left)", image, 250)
    hits = [changed(image, out)[:, :44] for out in outs]
    assert_even([min(shapes, key=lambda kind: (shapes[kind] != hit).sum()) for hit in hits], shapes)
    outs = made("logo_30", image, 300)
    middles = [ndimage.center_of_mass(changed(image, out)) for out in outs]
    assert_even([(y > 22, x > 30) for y, x in middles], [(a, b) for a in (False, True) for b in (False, True)])


def test_one_of_several_is_drawn_evenly_and_a_named_one_always():
    rng = np.random.default_rng(0)
    for kinds in (watermark.TEXTS, synthetic.EMOJI, synthetic.LOGOS):
        assert_even([overlay.one_of(rng, kinds, "any") for _ in range(3000)], kinds)
        assert {overlay.one_of(rng, kinds, kinds[1]) for _ in range(50)} == {kinds[1]}


def test_watermarks_carry_every_text(monkeypatch):
    image = ground(size=(200, 30))
    plain = {text: array(by_name(f"watermark_text_60(text={text})").apply(image, np.random.default_rng(0))).tobytes()
             for text in watermark.TEXTS}  # fmt: skip
    outs = {out.tobytes() for out in made("watermark_text_60", image, 60)}
    assert outs == set(plain.values())


@pytest.mark.parametrize("name", ["watermark_tiled_shape_50(kind=stripes,size=0.2)", "watermark_tiled_text_80(text=X)"])
def test_every_pixel_is_as_likely_as_any_other_to_lie_under_a_tiled_watermark(name):
    image = ground(size=(40, 30))
    hits = np.mean([changed(image, out) for out in made(name, image, 500)], axis=0)
    p = hits.mean()
    assert 0.05 < p < 0.8
    assert np.abs(hits - p).max() < 5 * math.sqrt(p * (1 - p) / 500)


def test_padding_has_every_fill():
    def fill(value):
        known = {(0, 0, 0): "black", (255, 255, 255): "white", GREEN: "blur"}
        return known.get(tuple(int(v) for v in value), "colour")

    outs = made("padding_10", ground(size=(20, 20)), 800)
    assert_even([fill(out[0, 0]) for out in outs], ("black", "white", "colour", "blur"))


@pytest.mark.parametrize("name", ["caption_above_30", "caption_below_30"])
def test_captions_are_light_half_of_the_time(name):
    outs = made(name, ground(size=(24, 20)), 150)
    assert_even([bool(out[-1 if "below" in name else 0, 0, 0] > 127) for out in outs], (False, True))


def test_desktops_are_light_half_of_the_time():
    outs = made("screenshot_desktop_50", ground(size=(24, 24)), 120)
    assert_even([bool(out[14, 0, 0] > 127) for out in outs], (False, True))  # left of the heading, below the bars


def test_phones_are_light_and_their_hearts_red_half_of_the_time():
    outs = made("screenshot_phone_60", Image.new("RGB", (48, 40)), 200)
    assert_even([bool(out[0, 0, 0] > 127) for out in outs], (False, True), bound=3)
    assert_even([bool((out == (224, 36, 58)).all(axis=-1).any()) for out in outs], (False, True), bound=3)


@pytest.mark.parametrize(
    ("name", "cells"), [("collage_2x2", (2, 2)), ("collage_3x3", (3, 3)), ("side_by_side_3", (1, 3))]
)
def test_the_image_is_in_every_cell_equally_often(name, cells):
    outs = made(name, ground(size=(12, 12)), 300)
    found = []
    for out in outs:
        green = [(i, j) for i, row in enumerate(np.array_split(out, cells[0])) for j, cell in
                 enumerate(np.array_split(row, cells[1], axis=1)) if (cell == GREEN).all()]  # fmt: skip
        assert len(green) == 1
        found += green
    assert_even(found, [(i, j) for i in range(cells[0]) for j in range(cells[1])])


def test_files_of_a_folder_are_taken_evenly(tmp_path):
    colours = [(255, 0, 0), (0, 0, 255), (255, 255, 0)]
    for i, colour in enumerate(colours):
        Image.new("RGB", (30, 10), colour).save(tmp_path / f"{i}.png")
    outs = made(f"overlay_image_100(picture={tmp_path})", ground(size=(8, 8)), 600)
    assert_even([tuple(int(v) for v in out[0, 0]) for out in outs], colours)


@pytest.mark.parametrize("percent", [10, 30])
def test_the_corners_of_a_perspective_move_evenly(percent):
    # Corners move independently, so the expected area is that of the quadrilateral of expected corners.
    outs = made(f"perspective_{percent}", ground((255, 255, 255), (80, 60)), 500)
    areas = [out.mean() / 255 for out in outs]
    standard_error = np.std(areas) / math.sqrt(500)
    assert abs(np.mean(areas) - (1 - percent / 100) ** 2) < 4.5 * standard_error + 0.003
    lefts = [np.nonzero(out[..., 0].max(axis=0) > 127)[0][0] / 80 for out in outs]
    points = [np.argwhere(out[..., 0] > 127) for out in outs]
    left_top = np.array([found[found.sum(axis=1).argmin()] for found in points])
    assert abs(np.corrcoef(left_top.T)[0, 1]) < 4.5 / math.sqrt(500)
    # The leftmost of two corners drawn evenly up to p: p / 3 on average, with variance p^2 / 18.
    assert abs(np.mean(lefts) - percent / 300) < 4.5 * percent / 100 / math.sqrt(18 * 500) + 0.5 / 80


def test_generations_are_drawn_evenly():
    drawn = compression.generations(np.random.default_rng(0), 8000)
    assert_even([one.kind for one in drawn], ("jpg", "webp"))
    assert_even([one.quality for one in drawn], range(30, 91))
    assert_even([int((one.ratio - 0.5) * 20) for one in drawn], range(10))
    assert {one.kind for one in compression.generations(np.random.default_rng(0), 50, "webp")} == {"webp"}


@pytest.mark.parametrize("k", [1, 3, 6])
def test_every_mild_edit_is_in_its_share_of_chains_and_at_every_place(k):
    n, p = 800, k / len(MILD)
    drawn = [[edit.name for edit in chains(k, seed)] for seed in range(n)]
    assert all(len(set(names)) == k for names in drawn)
    counts = collections.Counter(name for names in drawn for name in names)
    assert set(counts) == set(MILD)
    assert max(abs(count - n * p) for count in counts.values()) < 4.5 * math.sqrt(n * p * (1 - p))
    for place in (0, k - 1):
        assert_even([names[place] for names in drawn], MILD)


def test_phrases_have_every_word_and_every_length():
    rng = np.random.default_rng(0)
    phrases = [perturb_letters.phrase(rng, 2, 6).split() for _ in range(2500)]
    assert_even([len(words) for words in phrases], range(2, 7))
    assert_even([word for words in phrases for word in words], set(perturb_letters.WORDS))
    assert len(set(perturb_letters.WORDS)) == len(perturb_letters.WORDS)


def test_drawn_pictures_differ_and_half_of_them_have_grain():
    pictures = [array(synthetic.picture(np.random.default_rng(seed), (64, 48))) for seed in range(800)]
    assert len({picture.tobytes() for picture in pictures}) == 800
    grainy = [bool(np.median(np.abs(ndimage.laplace(picture[..., 1].astype(float)))) > 4) for picture in pictures]
    assert_even(grainy, (False, True))
    assert np.mean([picture.std() for picture in pictures]) > 40
