"""The grammar of names: options in parentheses, a user's own functions, and what help texts list."""

from __future__ import annotations

import doctest
import importlib
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from simsearch import naming
from simsearch.errors import InputError
from simsearch.images.perturb import CHAINS, FAMILIES, PAPER, PLATFORM, Perturbation, by_name, listing, names
from simsearch.images.perturb.edits import second_image
from tests.images.pictures import scene

MODULE = """
from PIL import Image, ImageOps

def upside_down(image, rng):
    return ImageOps.flip(image)

def fog(image, rng, strength=0.5, colour="white", twice=False, times=1):
    assert isinstance(strength, float) and isinstance(twice, bool) and isinstance(times, int)
    return Image.blend(image, Image.new(image.mode, image.size, colour), strength)

def grain(image, rng):
    return Image.fromarray(rng.integers(0, 256, (4, 5, 3), "uint8"))

def in_place(image, rng):
    image.paste(0, (0, 0, *image.size))
    return image

def nothing(image, rng):
    image.load()

def transparent(image, rng):
    return image.convert("RGBA")

def empty(image, rng):
    return Image.new(image.mode, (0, 3))

def broken(image, rng):
    raise ZeroDivisionError("by design")

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module in the working directory."""
    name = f"own_edits_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield name
    sys.modules.pop(name, None)


def edited(name, image, seed=0):
    return by_name(name).apply(image, np.random.default_rng(seed))


def test_options_are_set_in_parentheses_and_defaults_do_not_show():
    edit = by_name("overlay_image_15( place = centre , opacity=0.5 )")
    assert edit.name == "overlay_image_15(opacity=0.5,place=centre)"
    assert edit.parameters == {"percent": 15.0, "opacity": 0.5, "place": "centre"}
    assert (edit.family, edit.category) == ("overlay_image", "overlay")
    assert by_name(edit.name) == edit
    for same in ("overlay_image_15()", "overlay_image_15(opacity=1)", "overlay_image_15(place=any,opacity=1.0)"):
        assert by_name(same) == by_name("overlay_image_15")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_every_strength_has_one_family_and_a_name_that_leads_back(family):
    for strength in family.strengths:
        name = family.template.replace("{}", strength)
        assert [other.name for other in FAMILIES if other.strength_in(name) is not None] == [family.name]
        edit = by_name(name)
        assert (edit.name, edit.family, edit.category) == (name, family.name, family.category)
        for key in family.options:
            assert key in family.edit.__kwdefaults__


def test_the_edges_of_a_range_are_allowed_and_what_lies_beyond_is_not():
    image = scene(20, 14)
    for family in FAMILIES:
        low, high = family.allowed.low, family.allowed.high
        if family.parameter and family.name not in ("text_length", "median_filter"):  # neither fits on 20 x 14 pixels
            for strength in (low, high):
                text = str(int(strength)) if family.allowed.whole else str(strength)
                out = family.at(text).apply(image, np.random.default_rng(0))
                assert out.mode == "RGB"
            for strength in (low - 1, high + 1, "nan", "inf", "", "x"):
                with pytest.raises(InputError):
                    family.at(str(strength))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("turn_45", "turn_45: 45 must be a multiple of 90 from 0 to 270"),
        ("overlay_image_101", "must be from 0 to 100"),
        ("collage_2x3", "no perturbation 'collage_2x3'"),
        ("flip_horizontal_2", "no perturbation"),
        ("emoji_20(size=3)", "emoji_20: no option 'size'; it takes place, kind, count"),
        ("blur_2(kind=box)", "no option 'kind'; it takes none"),
        ("emoji_20(kind=frown)", "emoji_20, kind: 'frown' must be one of any, smile"),
        ("emoji_20(count=1.5)", "'1.5' is no whole number"),
        ("logo_20(opacity=2)", "logo_20, opacity: 2 must be from 0 to 1"),
        ("emoji_20(kind)", "'kind' must be key=value"),
        ("emoji_20(kind=smile,kind=cool)", "each key once"),
        ("emoji_20(kind=smile", "is no name; write name or name(key=value,key=value)"),
        ("", "is no name"),
        ("chain_17", "must be from 0 to 16"),
    ],
)
def test_a_wrong_name_is_refused(name, message):
    with pytest.raises(InputError) as caught:
        by_name(name)
    assert message in str(caught.value)


def test_names_are_read_and_written():
    for head, arguments in (("a", {}), ("b:c", {"x": "1"}), ("d_5", {"p": "/a b/c(1).png", "q": "-0.5"})):
        assert naming.parse(naming.written(head, arguments)) == (head, arguments)


def test_names_and_listing_hold_everything():
    assert names() == tuple(edit.name for edit in (*PAPER, *PLATFORM, *CHAINS))
    assert len(set(names())) == len(names())
    text = listing()
    for family in FAMILIES:
        assert family.template in text
        assert family.summary.endswith(".")
        assert f"      {family.summary}" in text.splitlines()
    assert "  turn_{}: a multiple of 90 from 0 to 270, as 90, 180, 270" in text.splitlines()
    assert "  flip_vertical" in text.splitlines()
    headings = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert headings == ["noise", "filter", "compression", "geometry", "colour", "text", "overlay", "layout", "chain"]


# A user's own


def test_a_users_function_joins(module):
    image = scene()
    edit = by_name(f"{module}:upside_down")
    assert (edit.name, edit.family, edit.category) == (f"{module}:upside_down", f"{module}:upside_down", "own")
    assert edit.apply(image, np.random.default_rng(0)).tobytes() == edited("flip_vertical", image).tobytes()
    assert pickle.loads(pickle.dumps(edit)) == edit == by_name(edit.name)
    grain = by_name(f"{module}:grain")
    outs = [grain.apply(image, np.random.default_rng(seed)).tobytes() for seed in (0, 0, 1)]
    assert outs[0] == outs[1] != outs[2]


def test_a_users_function_takes_parameters(module):
    edit = by_name(f"{module}:fog(strength=0.25,twice=true,colour=black,times=2)")
    assert edit.parameters == {"strength": 0.25, "twice": True, "colour": "black", "times": 2}
    assert edit.name == f"{module}:fog(colour=black,strength=0.25,times=2,twice=True)"
    assert by_name(edit.name) == edit
    assert abs(np.asarray(edit.apply(Image.new("L", (3, 3), 200), np.random.default_rng(0))).mean() - 150) <= 1


def test_a_users_function_cannot_change_the_original(module):
    image = scene()
    before = image.tobytes()
    assert not np.asarray(edited(f"{module}:in_place", image)).any()
    assert image.tobytes() == before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "nothing returned NoneType, no image; return a PIL image of mode RGB as it was given"),
        ("transparent", "transparent returned an image of 60x40, mode RGBA; return a PIL image of mode RGB"),
        ("empty", "empty returned an image of 0x3, mode RGB"),
    ],
)
def test_what_a_users_function_returns_is_checked(module, function, message):
    with pytest.raises(InputError, match=f"{module}:{message}"):
        edited(f"{module}:{function}", scene())


def test_a_users_error_stays_and_names_the_function(module):
    with pytest.raises(ZeroDivisionError) as caught:
        edited(f"{module}:broken", scene())
    assert caught.value.__notes__ == [f"raised by the perturbation {module}:broken"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{}:number", "is no function: write def number(image, rng), returning the edited image"),
        ("{}:missing", "cannot load '{}:missing'"),
        ("{}:fog(depth=3)", "cannot be called as function(image, rng, depth)"),
        ("no_such_module_here:edit", "write it as package.module:function"),
        (":edit", "write it as package.module:function"),
        ("os:abort", "os:abort cannot be called as function(image, rng)"),
    ],
)
def test_a_function_that_does_not_fit_is_refused_before_it_is_called(module, name, message):
    with pytest.raises(InputError) as caught:
        by_name(name.format(module))
    assert message.format(module) in str(caught.value)


def test_a_perturbation_made_by_hand_is_ones_own():
    edit = Perturbation("same", "same", {}, lambda image, rng: image.copy())
    assert edit.category == "own"


# Other images from files


def test_a_file_is_scaled_to_cover_and_cropped_at_its_centre(tmp_path):
    wide = Image.new("RGB", (90, 30), "red")
    wide.paste((0, 0, 255), (30, 0, 60, 30))
    wide.save(tmp_path / "wide.png")
    out = second_image.other(np.random.default_rng(0), (20, 20), str(tmp_path / "wide.png"))
    assert out.size == (20, 20)
    assert (np.asarray(out)[:, 2:-2] == (0, 0, 255)).all()


def test_a_picture_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    for path, message in (
        (tmp_path / "none.png", "none.png"),
        (tmp_path / "empty", "holds no file to take a picture from; name an image or a folder of images"),
        (tmp_path / "notes.txt", "notes.txt: .*; take this file away"),
    ):
        with pytest.raises(InputError, match=message):
            edited(f"blend_image_50(picture={path})", scene())


@pytest.mark.parametrize("module", sorted(name for name in sys.modules if name.startswith("simsearch.images.perturb")))
def test_the_examples_hold(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0
