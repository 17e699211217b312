"""What today's platforms do to images: the families beyond the paper's and their usual strengths."""

from __future__ import annotations

from simsearch.images.perturb.edits import compression as codec
from simsearch.images.perturb.edits import geometry as shape
from simsearch.images.perturb.edits import layout, overlay, recolour
from simsearch.images.perturb.edits import pixels as tone
from simsearch.images.perturb.edits import screenshot as screen
from simsearch.images.perturb.edits import synthetic as drawn
from simsearch.images.perturb.edits import watermark as mark
from simsearch.images.perturb.family import Choice, Family, Free, Option, Range

_NONE = Range(0, 0)
_PERCENT = Range(0, 100)
_CHROME = Range(0, 90)
_UNIT = Range(0, 1)
_ANGLE = Range(-180, 180)
_SHARE = Range(0.01, 1)
_PLACE = Choice(overlay.PLACES)
_THEME = Choice(layout.THEMES)
_FILL = Choice(layout.FILLS)
_PICTURE = Free("an image file, a folder or a tar of images")
_EMOJI = Choice(("any", *drawn.EMOJI))
_LOGO = Choice(("any", *drawn.LOGOS))
_TEXT = Free("the words to write")
_OVER: dict[str, Option] = {"opacity": _UNIT, "place": _PLACE}

FAMILIES = (
    Family(
        "overlay_image_{}", "another image over {} %", overlay.overlay_image, "percent", ("10", "25", "50"), _PERCENT,
        "overlay", _OVER | {"picture": _PICTURE},
    ),
    Family(
        "laid_on_image_{}", "laid over another image at {} %", overlay.laid_on_image, "percent", ("30", "50"),
        Range(0.1, 100), "overlay", {"place": _PLACE, "picture": _PICTURE},
    ),
    Family(
        "blend_image_{}", "blended with another, {} %", overlay.blend_image, "percent", ("20", "40"), _PERCENT,
        "overlay", {"picture": _PICTURE},
    ),
    Family(
        "emoji_{}", "emoji of {} %", overlay.emoji, "percent", ("20", "40", "60"), _PERCENT, "overlay",
        {"place": _PLACE, "kind": _EMOJI, "count": Range(1, 100, whole=True)},
    ),
    Family(
        "logo_{}", "logo of {} %", overlay.logo, "percent", ("10", "20", "30"), _PERCENT, "overlay",
        _OVER | {"kind": _LOGO},
    ),
    Family(
        "watermark_text_{}", "watermark word, {} %", mark.watermark_text, "percent", ("30", "60"), _PERCENT, "overlay",
        {"text": _TEXT, "angle": _ANGLE}, writes=True,
    ),
    Family(
        "watermark_shape_{}", "watermark sign, {} %", mark.watermark_shape, "percent", ("30", "60"), _PERCENT,
        "overlay", {"kind": _LOGO, "angle": _ANGLE},
    ),
    Family(
        "watermark_tiled_text_{}", "tiled watermark words, {} %", mark.watermark_tiled_text, "percent", ("30", "60"),
        _PERCENT, "overlay", {"text": _TEXT, "angle": _ANGLE, "size": _SHARE}, writes=True,
    ),
    Family(
        "watermark_tiled_shape_{}", "tiled watermark signs, {} %", mark.watermark_tiled_shape, "percent", ("30", "60"),
        _PERCENT, "overlay", {"kind": _LOGO, "angle": _ANGLE, "size": _SHARE},
    ),
    Family(
        "caption_above_{}", "caption bar above, {} %", layout.caption_above, "percent", ("15", "30"), _PERCENT, "text",
        {"theme": _THEME}, writes=True,
    ),
    Family(
        "caption_below_{}", "caption bar below, {} %", layout.caption_below, "percent", ("15", "30"), _PERCENT, "text",
        {"theme": _THEME}, writes=True,
    ),
    Family(
        "meme_{}", "meme capitals, {} %", layout.meme, "percent", ("10", "20", "30"), Range(0, 48), "text", writes=True,
    ),
    Family(
        "captioned_frame_{}", "meme frame with caption, {} %", layout.captioned_frame, "percent", ("10", "20"),
        _PERCENT, "text", {"theme": _THEME}, writes=True,
    ),
    Family(
        "screenshot_phone_{}", "phone screenshot, {} % frame", screen.screenshot_phone, "percent", ("25", "50"),
        _CHROME, "layout", {"theme": _THEME}, writes=True,
    ),
    Family(
        "screenshot_desktop_{}", "desktop screenshot, {} % frame", screen.screenshot_desktop, "percent", ("20", "40"),
        _CHROME, "layout", {"theme": _THEME}, writes=True,
    ),
    Family(
        "collage_{}x{}", "collage of {}x{}", layout.collage, "cells", ("2", "3"), Range(1, 10, whole=True), "layout",
        {"picture": _PICTURE},
    ),
    Family(
        "side_by_side_{}", "one of {} side by side", layout.side_by_side, "pictures", ("2", "3"),
        Range(1, 10, whole=True), "layout", {"picture": _PICTURE},
    ),
    Family(
        "padding_{}", "border of {} %", layout.padding, "percent", ("5", "15", "30"), _PERCENT, "layout",
        {"fill": _FILL},
    ),
    Family(
        "letterbox_{}", "letterbox of {} %", layout.letterbox, "percent", ("10", "25"), _PERCENT, "layout",
        {"fill": _FILL},
    ),
    Family(
        "pillarbox_{}", "pillarbox of {} %", layout.pillarbox, "percent", ("25", "50"), _PERCENT, "layout",
        {"fill": _FILL},
    ),
    Family(
        "crop_anywhere_{}", "{} % of each side cropped off anywhere", shape.crop_anywhere, "percent",
        ("10", "30", "50"), Range(0, 99), "geometry",
    ),
    Family(
        "thumbnail_{}", "thumbnail of {} pixels", shape.thumbnail, "side", ("48", "96"), Range(1, 10000, whole=True),
        "geometry",
    ),
    Family(
        "perspective_{}", "seen aslant by {} %", shape.perspective, "percent", ("10", "20", "30"), Range(0, 45),
        "geometry",
    ),
    Family("flip_horizontal", "mirrored left to right", shape.flip_horizontal, "", ("",), _NONE, "geometry"),
    Family("flip_vertical", "mirrored top to bottom", shape.flip_vertical, "", ("",), _NONE, "geometry"),
    Family(
        "turn_{}", "quarter turns, {}°", shape.turn, "degrees", ("90", "180", "270"),
        Range(0, 270, whole=True, multiple=90), "geometry",
    ),
    Family("swirl_{}", "swirled by {}°", shape.swirl, "degrees", ("30", "60", "120"), Range(-720, 720), "geometry"),
    Family("barrel_{}", "barrel distortion {} %", shape.barrel, "percent", ("10", "30"), _PERCENT, "geometry"),
    Family(
        "pincushion_{}", "pincushion distortion {} %", shape.pincushion, "percent", ("10", "30"), Range(0, 33),
        "geometry",
    ),
    Family(
        "pixelation_{}", "squares of {} pixels", tone.pixelation, "side", ("4", "8", "16"), Range(1, 1000, whole=True),
        "filter",
    ),
    Family("blur_{}", "blur of radius {}", tone.blur, "radius", ("1", "2", "3", "5"), _PERCENT, "filter"),
    Family("gamma_{}", "gamma {}", tone.gamma, "exponent", ("0.5", "0.7", "1.5", "2"), Range(0.01, 10), "colour"),
    Family("vignette_{}", "vignette of {}", tone.vignette, "strength", ("0.4", "0.8"), _UNIT, "colour"),
    Family(
        "quantisation_{}", "{} colours", tone.quantisation, "colours", ("8", "16", "64"), Range(2, 256, whole=True),
        "colour",
    ),
    Family(
        "posterisation_{}", "{} bits a channel", tone.posterisation, "bits", ("2", "3"), Range(1, 8, whole=True),
        "colour",
    ),
    Family(
        "black_and_white", "black and white", recolour.black_and_white, "", ("",), _NONE, "colour",
        {"mix": Choice(recolour.MIXES)},
    ),
    Family("sepia_{}", "sepia, {} %", recolour.sepia, "percent", ("50", "100"), _PERCENT, "colour"),
    Family("duotone_{}", "two tones, {} %", recolour.duotone, "percent", ("50", "100"), _PERCENT, "colour"),
    Family("hue_{}", "hue turned by {}°", recolour.hue, "degrees", ("-30", "30", "90", "180"), _ANGLE, "colour"),
    Family("warmth_{}", "warmer by {} %", recolour.warmth, "percent", ("-25", "25"), Range(-90, 90), "colour"),
    Family(
        "channel_swap", "channels swapped", recolour.channel_swap, "", ("",), _NONE, "colour",
        {"order": Choice(recolour.ORDERS)},
    ),
    Family("inversion", "inverted", recolour.inversion, "", ("",), _NONE, "colour"),
    Family(
        "webp_compression_{}", "WebP quality {}", codec.webp_compression, "quality", ("10", "50", "90"),
        Range(1, 100, whole=True), "compression", heading="WebP",
    ),
    Family(
        "re_encoding_{}", "sent on {} times", codec.re_encoding, "times", ("2", "4"), Range(0, 20, whole=True),
        "compression", {"kind": Choice(codec.KINDS)},
    ),
)  # fmt: skip
