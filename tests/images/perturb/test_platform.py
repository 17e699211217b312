"""Laws that every edit of today's platforms keeps, and what each one does to pixels."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.spatial import ConvexHull

from simsearch.errors import InputError
from simsearch.images.perturb import CATEGORIES, CHAINS, FAMILIES, PLATFORM, by_name, chains, dejavu_sans_bold, platform
from simsearch.images.perturb.chains import drawn
from simsearch.images.perturb.edits import compression
from tests.images.pictures import array, scene

EDITS = (*PLATFORM, *CHAINS)
WITHOUT_CHANCE = {
    *("letterbox", "pillarbox", "flip_horizontal", "flip_vertical", "turn", "swirl", "barrel", "pincushion"),
    *("pixelation", "blur", "gamma", "vignette", "quantisation", "posterisation", "webp_compression"),
    *("black_and_white", "sepia", "hue", "warmth", "inversion", "thumbnail"),
}
OF_COLOUR_ALONE = {"black_and_white", "hue", "channel_swap"}  # they leave a greyscale image as it is
NEUTRAL = (
    *("overlay_image_0", "overlay_image_30(opacity=0)", "blend_image_0", "emoji_0", "logo_0", "logo_30(opacity=0)"),
    *("watermark_text_0", "watermark_shape_0", "watermark_tiled_text_0", "watermark_tiled_shape_0"),
    *("caption_above_0", "caption_below_0", "meme_0", "screenshot_phone_0", "screenshot_desktop_0"),
    *("collage_1x1", "side_by_side_1", "padding_0", "letterbox_0", "pillarbox_0", "perspective_0", "turn_0"),
    *("swirl_0", "barrel_0", "pincushion_0", "pixelation_1", "blur_0", "gamma_1", "vignette_0"),
    *("posterisation_8", "re_encoding_0", "chain_0"),
    *("sepia_0", "duotone_0", "hue_0", "warmth_0", "thumbnail_10000", "captioned_frame_0", "laid_on_image_100"),
)
WRITES = ("watermark_text", "watermark_tiled_text", "caption_above", "caption_below", "meme", "captioned_frame",
          "screenshot_phone", "screenshot_desktop")  # fmt: skip


@pytest.fixture
def photo():
    """Smooth and asymmetric, with some texture."""
    grain = np.random.default_rng(1).normal(0, 6, (130, 192, 3))
    return Image.fromarray(np.clip(array(scene(192, 130)) + grain, 0, 255).astype(np.uint8))


def edited(name, image, seed=0, **more):
    return by_name(name, **more).apply(image, np.random.default_rng(seed))


def flat(value, size=(120, 80)):
    return Image.new("RGB", size, value if isinstance(value, tuple) else (value,) * 3)


def changed(before, after):
    return (array(before) != array(after)).any(axis=-1)


def is_at(inner, outer, x, y):
    return outer.crop((x, y, x + inner.width, y + inner.height)).tobytes() == inner.tobytes()


def test_names_and_categories():
    assert len({edit.name for edit in EDITS}) == len(EDITS)
    assert {family.category for family in FAMILIES} == set(CATEGORIES) - {"own"}
    assert {edit.family for edit in EDITS} == {family.name for family in FAMILIES[15:]}
    assert [edit.name for edit in CHAINS] == [f"chain_{k}" for k in range(1, 7)]


@pytest.mark.parametrize("edit", EDITS, ids=lambda p: p.name)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_edit_is_deterministic_and_keeps_its_promises(edit, mode, photo):
    image = photo.convert(mode)
    before = image.tobytes()
    once, again = (edit.apply(image, np.random.default_rng(7)) for _ in range(2))
    assert (once.size, once.tobytes()) == (again.size, again.tobytes())
    assert image.tobytes() == before
    assert once.mode == mode
    assert once is not image
    kept = mode == "L" and edit.family in OF_COLOUR_ALONE
    assert ((once.size, once.tobytes()) == (image.size, before)) == kept
    assert by_name(edit.name) == edit
    assert pickle.loads(pickle.dumps(edit)) == edit


@pytest.mark.parametrize("edit", EDITS, ids=lambda p: p.name)
def test_seeds_matter_exactly_where_there_is_chance(edit, photo):
    image = photo.resize((48, 32))
    made = {edit.apply(image, np.random.default_rng(seed)).tobytes() for seed in range(8)}
    assert (len(made) > 1) == (edit.family not in WITHOUT_CHANCE)


@pytest.mark.parametrize("name", NEUTRAL)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_neutral_strength_changes_nothing(name, mode, photo):
    image = photo.convert(mode)
    out = edited(name, image)
    assert (out.size, out.tobytes()) == (image.size, image.tobytes())
    assert out is not image


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 400), (400, 3), (7, 9)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_tiny_and_extreme_images_are_edited_too(size, mode):
    image = scene(*size).convert(mode)
    for edit in EDITS:
        out = edit.apply(image, np.random.default_rng(3))
        assert out.mode == mode
        assert 0 not in out.size


@pytest.mark.parametrize(
    ("template", "strengths"),
    [
        ("overlay_image_{}(place=centre)", (5, 20, 50, 100)),
        ("overlay_image_25(opacity={})", (0.2, 0.5, 1)),
        ("blend_image_{}", (5, 20, 50, 100)),
        ("emoji_{}(place=centre,kind=smile)", (10, 30, 60, 100)),
        ("emoji_20(kind=cool,count={})", (1, 4, 16)),
        ("logo_{}(place=top_left)", (10, 30, 60)),
        ("watermark_text_{}", (10, 40, 100)),
        ("watermark_shape_{}", (10, 40, 100)),
        ("watermark_tiled_text_{}", (10, 40, 100)),
        ("watermark_tiled_shape_{}", (10, 40, 100)),
        ("meme_{}", (10, 20, 40)),
        ("perspective_{}", (5, 15, 30, 45)),
        ("swirl_{}", (10, 30, 90)),
        ("barrel_{}", (5, 20, 60)),
        ("pincushion_{}", (5, 15, 33)),
        ("pixelation_{}", (2, 4, 8, 32)),
        ("blur_{}", (0.5, 1, 2, 5, 20)),
        ("gamma_{}", (1.2, 1.5, 2, 4)),
        ("gamma_{}", (0.9, 0.7, 0.4)),
        ("vignette_{}", (0.2, 0.5, 1)),
        ("quantisation_{}", (256, 64, 16, 4, 2)),
        ("posterisation_{}", (7, 5, 3, 1)),
        ("webp_compression_{}", (95, 60, 20, 1)),
        ("sepia_{}", (20, 60, 100)),
        ("duotone_{}", (20, 60, 100)),
        ("hue_{}", (20, 60, 120, 180)),
        ("warmth_{}", (10, 30, 80)),
        ("warmth_{}", (-10, -30, -80)),
    ],
)
def test_stronger_edits_change_more(template, strengths, photo):
    change = [np.abs(array(edited(template.format(s), photo)) - array(photo)).mean() for s in strengths]
    assert change == sorted(change)
    assert len(set(change)) == len(change)


@pytest.mark.parametrize(
    ("template", "strengths"),
    [
        *((f"{name}_{{}}", (5, 20, 60)) for name in ("caption_above", "caption_below", "padding", "letterbox")),
        *((f"{name}_{{}}", (5, 20, 60)) for name in ("pillarbox", "screenshot_phone", "screenshot_desktop")),
        ("captioned_frame_{}", (5, 20, 60)),
        ("side_by_side_{}", (2, 3, 5)),
    ],
)
def test_stronger_layouts_take_a_larger_canvas(template, strengths, photo):
    areas = [np.prod(edited(template.format(s), photo).size) for s in strengths]
    assert photo.width * photo.height < areas[0] < areas[1] < areas[2]


@pytest.mark.parametrize("name", WRITES)
def test_the_font_reaches_whoever_writes(name, photo):
    font = dejavu_sans_bold()
    outs = [edited(f"{name}_30", photo, font=font), edited(f"{name}_30", photo)]
    assert outs[0].size == outs[1].size
    assert outs[0].tobytes() != outs[1].tobytes()
    assert {edit.family for edit in platform(font) if edit.parameters.get("font") == font} == set(WRITES)
    assert by_name("chain_3", font=font).parameters == {"edits": 3, "font": font}


# Overlays


@pytest.mark.parametrize("percent", [1, 10, 25, 50, 100])
def test_another_image_takes_its_share_of_the_area(percent, tmp_path):
    flat(255).save(tmp_path / "white.png")
    out = array(edited(f"overlay_image_{percent}(picture={tmp_path / 'white.png'})", flat(0, (481, 321))))
    hit = (out == 255).all(axis=-1)
    assert hit.mean() == pytest.approx(percent / 100, rel=0.02)
    ys, xs = np.nonzero(hit)
    assert hit[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all()
    assert (np.ptp(xs) + 1) / (np.ptp(ys) + 1) == pytest.approx(481 / 321, rel=0.05)


@pytest.mark.parametrize("percent", [5, 30, 50, 90])
@pytest.mark.parametrize("place", ["any", "centre", "bottom_right"])
def test_the_image_takes_its_share_of_the_one_that_it_is_laid_on(percent, place, tmp_path):
    flat(255).save(tmp_path / "white.png")
    name = f"laid_on_image_{percent}(place={place},picture={tmp_path / 'white.png'})"
    out = array(edited(name, flat((10, 60, 90), (481, 321))))
    hit = (out == (10, 60, 90)).all(axis=-1)
    assert out.shape[:2] == (321, 481)
    assert hit.mean() == pytest.approx(percent / 100, rel=0.02)
    ys, xs = np.nonzero(hit)
    assert hit[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all()
    assert (out[~hit] == 255).all()


@pytest.mark.parametrize("opacity", [0.25, 0.5, 0.9])
def test_opacity_is_the_weight_of_what_lies_above(opacity, tmp_path):
    flat((200, 100, 20)).save(tmp_path / "a.png")
    expected = np.array([10, 20, 30]) + opacity * (np.array([200, 100, 20]) - [10, 20, 30])
    for name in (f"overlay_image_100(opacity={opacity},", f"blend_image_{100 * opacity:g}("):
        out = array(edited(f"{name}picture={tmp_path / 'a.png'})", flat((10, 20, 30))))
        assert np.abs(out - expected).max() <= 1


@pytest.mark.parametrize("template", ["watermark_text_{}", "watermark_tiled_text_{}", "watermark_tiled_shape_{}"])
def test_a_watermark_changes_no_pixel_more_than_its_opacity(template):
    ground = flat(128, (300, 200))
    most = [np.abs(array(edited(template.format(p), ground)) - 128).max() for p in (20, 50, 100)]
    assert most == [pytest.approx(p / 100 * 127, abs=1) for p in (20, 50, 100)]


def test_a_single_watermark_lies_in_the_middle_and_a_tiled_one_everywhere():
    ground = flat(90, (300, 200))
    for name in ("watermark_text_50(text=Ours)", "watermark_shape_50(kind=ring)"):
        ys, xs = np.nonzero(changed(ground, edited(name, ground)))
        assert abs(xs.min() + xs.max() + 1 - 300) <= 2
        assert abs(ys.min() + ys.max() + 1 - 200) <= 2
    for name in ("watermark_tiled_text_50(size=0.2)", "watermark_tiled_shape_50"):
        hit = changed(ground, edited(name, ground))
        assert all(part.any() for row in np.array_split(hit, 3) for part in np.array_split(row, 3, axis=1))
        assert hit.mean() < 0.6


def test_emoji_and_logos_are_as_wide_as_asked():
    ground = flat(77, (400, 300))
    for name in ("emoji_40(kind=smile)", "logo_40(kind=ring)"):
        ys, xs = np.nonzero(changed(ground, edited(name, ground)))
        assert np.ptp(xs) + 1 == pytest.approx(120, abs=6)
        assert np.ptp(ys) + 1 == pytest.approx(120, abs=6)


@pytest.mark.parametrize("place", ["top_left", "top_right", "bottom_left", "bottom_right"])
def test_a_corner_is_where_it_is_said_to_be(place):
    ground = flat(77, (400, 300))
    y, x = ndimage.center_of_mass(changed(ground, edited(f"logo_20(place={place})", ground)))
    assert (y < 150) == ("top" in place)
    assert (x < 200) == ("left" in place)
    y, x = ndimage.center_of_mass(changed(ground, edited("emoji_20(place=centre,kind=smile)", ground)))
    assert (round(y), round(x)) == (150, 200)


# Layouts


@pytest.mark.parametrize(("name", "x", "y", "size"), [
    ("padding_25", 48, 32, (288, 194)),
    ("letterbox_50", 0, 65, (192, 260)),
    ("pillarbox_50", 96, 0, (384, 130)),
    ("caption_above_20", 0, 26, (192, 156)),
    ("caption_below_20", 0, 0, (192, 156)),
    ("captioned_frame_10", 19, 13, (230, 182)),
])  # fmt: skip
def test_the_image_stays_whole_on_its_larger_canvas(name, x, y, size, photo):
    for image in (photo, photo.convert("L")):
        out = edited(name, image)
        assert out.size == size
        assert is_at(image, out, x, y)


def test_bars_have_the_fill_asked_for(photo):
    for fill, value in (("black", 0), ("white", 255)):
        bars = array(edited(f"letterbox_30(fill={fill})", photo))[:39]
        assert (bars == value).all()
    soft = array(edited("pillarbox_30(fill=blur)", photo))[:, :58]
    assert np.abs(np.diff(soft, axis=1)).mean() < np.abs(np.diff(array(photo), axis=1)).mean() / 4
    assert np.abs(soft.mean((0, 1)) - array(photo)[:, :90].mean((0, 1))).max() < 40


@pytest.mark.parametrize(("theme", "ground"), [("light", 255), ("dark", 0)])
def test_a_caption_is_ink_on_plain_ground(theme, ground):
    bar = array(edited(f"caption_above_30(theme={theme})", flat(128, (400, 300))))[:90]
    assert (bar[0] == ground).all()
    assert 0.02 < (bar == 255 - ground).all(axis=-1).mean() < 0.3
    assert (bar == ground).all(axis=-1).mean() > 0.5
    assert (bar.std(axis=-1) == 0).all()


@pytest.mark.parametrize(("theme", "ground"), [("light", 255), ("dark", 0)])
def test_a_captioned_frame_is_plain_but_for_a_line_and_the_words_below(theme, ground):
    out = array(edited(f"captioned_frame_20(theme={theme})", flat(128, (400, 300))))
    assert out.shape == (300 + 4 * 60, 400 + 2 * 80, 3)
    assert (out[60:360, 80:480] == 128).all()
    beside = out[60:360, :80, 0]
    assert ((beside == 255 - ground).sum(axis=1) == 1).all()  # the line; all else is ground
    assert ((beside == ground).sum(axis=1) == 79).all()
    below = out[380:]
    assert 0.02 < (below == 255 - ground).all(axis=-1).mean() < 0.3
    assert (below == ground).all(axis=-1).mean() > 0.6


def test_a_meme_has_rimmed_letters_at_top_and_bottom_only():
    out = array(edited("meme_20", flat(128, (400, 300))))
    for rows in (out[:72], out[-72:]):
        assert (rows == 255).all(axis=-1).mean() > 0.01
        assert (rows == 0).all(axis=-1).mean() > 0.005
    assert (out[72:-72] == 128).all()


@pytest.mark.parametrize("percent", [10, 25, 50, 80])
@pytest.mark.parametrize("size", [(192, 130), (90, 200)])
def test_a_screenshot_shows_the_whole_image_among_its_share_of_interface(percent, size, photo):
    image = photo.resize(size)
    phone = edited(f"screenshot_phone_{percent}", image)
    assert phone.width == image.width
    assert 1 - image.height / phone.height == pytest.approx(percent / 100, abs=0.01)
    desktop = edited(f"screenshot_desktop_{percent}", image)
    for one, whole in zip(image.size, desktop.size, strict=True):
        assert 1 - one / whole == pytest.approx(percent / 100, abs=0.01)
    for shot in (phone, desktop):
        tops = [y for y in range(shot.height - image.height + 1) if is_at(image, shot, 0, y)]
        assert len(tops) == 1
        above, below = array(shot)[: tops[0]], array(shot)[tops[0] + image.height :]
        assert above.std() > 5
        assert below.std() > 5


@pytest.mark.parametrize("cells", [2, 3, 5])
def test_a_collage_holds_the_image_once_in_a_cell(cells, photo):
    out = edited(f"collage_{cells}x{cells}", photo)
    assert out.size == photo.size
    xs, ys = (np.linspace(0, side, cells + 1).round().astype(int) for side in photo.size)
    found = 0
    for x0, x1 in itertools.pairwise(xs):
        for y0, y1 in itertools.pairwise(ys):
            found += is_at(photo.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC), out, x0, y0)
    assert found == 1
    row = edited(f"side_by_side_{cells}", photo)
    assert row.size == (cells * photo.width, photo.height)
    assert sum(is_at(photo, row, i * photo.width, 0) for i in range(cells)) == 1


# Geometry


def test_flips_and_turns_move_pixels_without_loss(photo):
    values = array(photo)
    np.testing.assert_array_equal(array(edited("flip_horizontal", photo)), values[:, ::-1])
    np.testing.assert_array_equal(array(edited("flip_vertical", photo)), values[::-1])
    for quarters in range(4):
        np.testing.assert_array_equal(array(edited(f"turn_{90 * quarters}", photo)), np.rot90(values, quarters))


@pytest.mark.parametrize(
    ("name", "kind", "strength"),
    [
        ("swirl_90", "swirl", 90),
        ("swirl_-45", "swirl", -45),
        ("barrel_25", "lens", 0.25),
        ("pincushion_30", "lens", -0.3),
    ],
)
@pytest.mark.parametrize("size", [(192, 130), (90, 121), (481, 321)])
def test_warps_show_what_their_formula_says(name, kind, strength, size):
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
    r = np.hypot(x, y)
    if kind == "lens":
        factor = 1 + strength * r**2 / (np.hypot(*size) / 2) ** 2
        u, v = x * factor, y * factor
    else:
        turn = np.radians(strength) * np.maximum(0, 1 - (r / (max(size) / 2)) ** 2) ** 2
        u, v = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    inside = (np.abs(u) < width / 2 - 3) & (np.abs(v) < height / 2 - 3)
    assert inside.mean() > 0.5
    warp = by_name(name)
    for place, expected in ((x, u), (y, v)):  # images of floats whose pixels tell where they lie
        out = np.asarray(warp.edit(Image.fromarray(place.astype(np.float32)), None, **warp.parameters))
        assert np.abs(out - expected)[inside].max() < 0.2 + 0.001 * max(size)


def test_a_swirl_turns_counter_clockwise():
    image = flat(0, (101, 101))
    image.paste((255, 255, 255), (59, 49, 62, 52))  # right of the centre goes up
    y, x = ndimage.center_of_mass(array(edited("swirl_60", image))[..., 0])
    assert y < 46
    assert x < 60


def test_barrel_leaves_black_corners_and_pincushion_none():
    assert array(edited("barrel_20", flat(255)))[[0, 0, -1, -1], [0, -1, 0, -1]].max() == 0
    assert array(edited("pincushion_20", flat(255))).min() == 255


@pytest.mark.parametrize("percent", [5, 20, 45])
def test_perspective_gives_a_convex_quadrilateral_with_corners_near_those_of_the_image(percent):
    for seed in range(5):
        out = array(edited(f"perspective_{percent}", flat(255, (160, 120)), seed))[..., 0] > 127
        points = np.argwhere(out)
        hull = ConvexHull(points)
        assert hull.volume == pytest.approx(out.sum(), rel=0.05)
        for corner in ((0, 0), (119, 0), (0, 159), (119, 159)):
            inwards = np.abs(points - corner) / (120, 160)
            assert inwards.max(axis=1).min() <= percent / 100 + 0.02


# Tone and detail


@pytest.mark.parametrize("side", [2, 5, 16, 500])
def test_pixelation_is_the_mean_of_each_square(side, photo):
    values = array(photo)
    expected = np.empty(values.shape)
    for y in range(0, photo.height, side):
        for x in range(0, photo.width, side):
            expected[y : y + side, x : x + side] = values[y : y + side, x : x + side].mean((0, 1))
    assert np.abs(array(edited(f"pixelation_{side}", photo)) - expected).max() <= 1


@pytest.mark.parametrize("radius", [1, 2, 5])
def test_blur_is_a_gaussian_of_that_deviation(radius, photo):
    expected = ndimage.gaussian_filter(array(photo).astype(float), (radius, radius, 0), mode="nearest")
    inner = np.abs(array(edited(f"blur_{radius}", photo)) - expected)[15:-15, 15:-15]
    assert inner.max() < 5
    assert inner.mean() < 1


@pytest.mark.parametrize("exponent", [0.5, 1.5, 3])
def test_gamma_is_a_power(exponent, photo):
    expected = 255 * (array(photo) / 255) ** exponent
    assert np.abs(array(edited(f"gamma_{exponent}", photo)) - expected).max() <= 0.501


@pytest.mark.parametrize("strength", [0.3, 1])
def test_a_vignette_takes_its_share_from_the_corners_and_nothing_from_the_centre(strength):
    out = array(edited(f"vignette_{strength}", flat(200, (201, 101))))[..., 0]
    assert out[50, 100] == 200
    assert np.abs(out[[0, 0, -1, -1], [0, -1, 0, -1]] - 200 * (1 - strength)).max() <= 4
    assert (np.diff(out[50, 100:]) <= 0).all()
    assert (np.diff(out[50:, 100]) <= 0).all()


@pytest.mark.parametrize("colours", [2, 8, 64, 256])
def test_quantisation_leaves_that_many_colours(colours, photo):
    out = array(edited(f"quantisation_{colours}", photo))
    kept = np.unique(out.reshape(-1, 3), axis=0)
    assert colours / 4 <= len(kept) <= colours
    four = Image.fromarray(np.array([[0, 80], [160, 250]], np.uint8).repeat(20, 0).repeat(20, 1))
    assert edited("quantisation_4", four).tobytes() == four.tobytes()


@pytest.mark.parametrize("bits", [1, 3, 6])
def test_posterisation_keeps_the_leading_bits(bits, photo):
    step = 2 ** (8 - bits)
    np.testing.assert_array_equal(array(edited(f"posterisation_{bits}", photo)), array(photo) // step * step)


# Files


def test_webp_is_lossy_but_close(photo):
    out = edited("webp_compression_90", photo)
    assert 0 < np.abs(array(out) - array(photo)).mean() < 5


@pytest.mark.parametrize(("name", "side"), [("webp_compression_50", 16383), ("jpg_compression_50", 65500)])
def test_what_the_format_cannot_hold_is_refused(name, side):
    assert edited(name, Image.new("L", (side, 1))).size == (side, 1)
    with pytest.raises(InputError, match=f"{side + 1}x1: a .* side has at most {side} pixels; scale it down"):
        edited(name, Image.new("L", (side + 1, 1)))


@pytest.mark.parametrize("kind", ["any", "jpg", "webp"])
def test_re_encoding_gives_the_size_of_its_last_generation(kind, photo):
    for seed in range(4):
        out = edited(f"re_encoding_3(kind={kind})", photo, seed)
        assert 0.5 <= out.width / photo.width <= 1
        assert out.width / photo.width == pytest.approx(out.height / photo.height, abs=0.01)


def test_re_encoding_sends_on_what_it_received(photo):
    generations = compression.generations(np.random.default_rng(3), 3)
    out = photo
    for one in generations:
        size = [round(one.ratio * side) for side in photo.size]
        name = f"{one.kind}_compression_{one.quality}"
        out = edited(name, out.resize(size, Image.Resampling.BICUBIC))
    assert edited("re_encoding_3", photo, seed=3).tobytes() == out.tobytes()


# Chains


@pytest.mark.parametrize("k", range(1, 7))
def test_a_chain_is_its_mild_edits_one_after_the_other(k, photo):
    rng = np.random.default_rng(k)
    steps = drawn(rng, k)
    assert steps == chains(k, seed=k)
    assert len({step.family for step in steps}) == k
    out = photo
    for step in steps:
        out = step.apply(out, rng)
    assert edited(f"chain_{k}", photo, seed=k).tobytes() == out.tobytes()


def test_an_image_without_pixels_is_refused():
    with pytest.raises(InputError, match="0x5 has no pixels to perturb; leave it out"):
        edited("blur_1", Image.new("RGB", (0, 5)))
