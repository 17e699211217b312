"""What edits, categories and distances are called when they are told to a person."""

from __future__ import annotations

_EDITS = {
    "gaussian_noise": "noise of variance {}",
    "s&p_noise": "salt and pepper on {}",
    "speckle_noise": "speckle of variance {}",
    "gaussian_filter": "Gaussian blur {}",
    "median_filter": "median filter {}",
    "jpg_compression": "JPEG quality {}",
    "webp_compression": "WebP quality {}",
    "re_encoding": "sent on {} times",
    "scaling": "scaled to {} of its size",
    "thumbnail": "thumbnail of {} pixels",
    "cropping": "{} % of each side cropped",
    "rotation": "turned by {}°",
    "shearing": "sheared by {}°",
    "crop_anywhere": "{} % of each side cropped off anywhere",
    "perspective": "seen aslant by {} %",
    "flip_horizontal": "mirrored left to right",
    "flip_vertical": "mirrored top to bottom",
    "turn": "quarter turns, {}°",
    "swirl": "swirled by {}°",
    "barrel": "barrel distortion {} %",
    "pincushion": "pincushion distortion {} %",
    "contrast_enhancement": "contrast × {}",
    "color_enhancement": "colour × {}",
    "brightness_enhancement": "brightness × {}",
    "sharpness_enhancement": "sharpness × {}",
    "gamma": "gamma {}",
    "vignette": "vignette of {}",
    "quantisation": "{} colours",
    "posterisation": "{} bits a channel",
    "black_and_white": "black and white",
    "sepia": "sepia, {} %",
    "duotone": "two tones, {} %",
    "hue": "hue turned by {}°",
    "warmth": "warmer by {} %",
    "channel_swap": "channels swapped",
    "inversion": "inverted",
    "pixelation": "squares of {} pixels",
    "blur": "blur of radius {}",
    "text_length": "{} letters of text",
    "caption_above": "caption bar above, {} %",
    "caption_below": "caption bar below, {} %",
    "captioned_frame": "meme frame with caption, {} %",
    "meme": "meme capitals, {} %",
    "overlay_image": "another image over {} %",
    "laid_on_image": "laid over another image at {} %",
    "blend_image": "blended with another, {} %",
    "emoji": "emoji of {} %",
    "logo": "logo of {} %",
    "watermark_text": "watermark word, {} %",
    "watermark_shape": "watermark sign, {} %",
    "watermark_tiled_text": "tiled watermark words, {} %",
    "watermark_tiled_shape": "tiled watermark signs, {} %",
    "screenshot_phone": "phone screenshot, {} % frame",
    "screenshot_desktop": "desktop screenshot, {} % frame",
    "collage": "collage of {}",
    "side_by_side": "one of {} side by side",
    "padding": "border of {} %",
    "letterbox": "letterbox of {} %",
    "pillarbox": "pillarbox of {} %",
    "chain": "{} mild edits in a row",
}
_FAMILIES = {"s&p_noise": "salt and pepper", "jpg_compression": "JPEG", "webp_compression": "WebP"}
_ENDING = "_and_rescaling"


def edit_title(name: str, family: str = "") -> str:
    """What an edit does, in words; a name that is not known is given as it is.

    Args:
        name: Of the perturbation.
        family: Its family; by default the longest known one that the name begins with.

    Example:
        >>> edit_title("cropping_60_and_rescaling"), edit_title("my.edits:fade")
        ('60 % of each side cropped', 'my.edits:fade')
    """
    head, bracket, options = name.partition("(")
    known = family if family in _EDITS else _family(head)
    if not known:
        return name
    strength = head.removeprefix(known).removesuffix(_ENDING).strip("_")
    title = _EDITS[known].format(strength)
    return f"{title} ({options}" if bracket else title


def strength_title(name: str, family: str) -> str:
    """The strength alone, for a heading that already names the family.

    Example:
        >>> strength_title("rotation_60_and_rescaling", "rotation"), strength_title("flip_vertical", "flip_vertical")
        ('60', '')
    """
    return name.removeprefix(family).removesuffix(_ENDING).strip("_") if name.startswith(family) else name


def family_title(family: str) -> str:
    """A family of edits in words.

    Example:
        >>> family_title("contrast_enhancement"), family_title("jpg_compression")
        ('contrast', 'JPEG')
    """
    return _FAMILIES.get(family, family.removesuffix("_enhancement").replace("color", "colour").replace("_", " "))


def _family(name: str) -> str:
    found = [family for family in _EDITS if name == family or name.startswith(f"{family}_")]
    return max(found, key=len, default="")
