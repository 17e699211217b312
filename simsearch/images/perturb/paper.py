"""The 15 families and 58 strengths of Vallez, Kucharavy and Dolamic, "Needle In A Haystack, Fast", 2022."""

from __future__ import annotations

from simsearch.images.perturb.edits import geometry as shape
from simsearch.images.perturb.edits import pixels
from simsearch.images.perturb.edits.text import text
from simsearch.images.perturb.family import Family, Range

_FACTORS = ("0.5", "0.66", "1.5", "2")
_SIDES = ("3", "5", "7")
_ANGLES = ("5", "10", "20", "40", "60")
_VARIANCES = ("0.01", "0.02", "0.05")
_QUALITIES = ("10", "50", "90")
_REMOVED = ("5", "10", "20", "40", "60")
_TO_100 = Range(0, 100)
_SIDE = Range(1, 99, whole=True, odd=True)

FAMILIES = (
    Family(
        "gaussian_noise_{}", "noise of variance {}", pixels.gaussian_noise, "variance", _VARIANCES, _TO_100, "noise",
    ),
    Family(
        "s&p_noise_{}", "salt and pepper on {}", pixels.salt_and_pepper_noise, "amount", ("0.05", "0.1", "0.15"),
        Range(0, 1), "noise", heading="salt and pepper",
    ),
    Family(
        "speckle_noise_{}", "speckle of variance {}", pixels.speckle_noise, "variance", _VARIANCES, _TO_100, "noise",
    ),
    Family("gaussian_filter_{}x{}", "Gaussian blur {}x{}", pixels.gaussian_filter, "size", _SIDES, _SIDE, "filter"),
    Family("median_filter_{}x{}", "median filter {}x{}", pixels.median_filter, "size", _SIDES, _SIDE, "filter"),
    Family(
        "jpg_compression_{}", "JPEG quality {}", pixels.jpg_compression, "quality", _QUALITIES,
        Range(1, 100, whole=True), "compression", heading="JPEG",
    ),
    Family(
        "scaling_{}", "scaled to {} of its size", shape.scaling, "ratio", ("0.4", "0.8", "1.2", "1.6"), Range(0.01, 10),
        "geometry",
    ),
    Family(
        "cropping_{}_and_rescaling", "{} % of each side cropped", shape.cropping_and_rescaling, "percent", _REMOVED,
        Range(0, 99), "geometry",
    ),
    Family(
        "rotation_{}_and_rescaling", "turned by {}°", shape.rotation_and_rescaling, "degrees", _ANGLES,
        Range(-360, 360), "geometry",
    ),
    Family(
        "shearing_{}", "sheared by {}°", shape.shearing, "degrees", ("1", "2", "5", "10", "20"), Range(-80, 80),
        "geometry",
    ),
    Family(
        "contrast_enhancement_{}", "contrast × {}", pixels.contrast_enhancement, "factor", _FACTORS, _TO_100, "colour",
        heading="contrast",
    ),
    Family(
        "color_enhancement_{}", "colour × {}", pixels.color_enhancement, "factor", _FACTORS, _TO_100, "colour",
        heading="colour",
    ),
    Family(
        "brightness_enhancement_{}", "brightness × {}", pixels.brightness_enhancement, "factor", _FACTORS, _TO_100,
        "colour", heading="brightness",
    ),
    Family(
        "sharpness_enhancement_{}", "sharpness × {}", pixels.sharpness_enhancement, "factor", _FACTORS, _TO_100,
        "filter", heading="sharpness",
    ),
    Family(
        "text_length_{}", "{} letters of text", text, "length", ("10", "20", "30", "40", "50"),
        Range(1, 1000, whole=True), "text", writes=True,
    ),
)  # fmt: skip
