"""Preprocessing as a value: the one resize between a decoded picture and a network, with a digest for fingerprints."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import InputError
from simsearch.images.decode import Decoding
from simsearch.images.formats.colour import Alpha
from simsearch.images.formats.colour_profile import Icc

Fit = Literal["squash", "crop", "squash_crop", "inside"]

OUTSIDE = (255, 0, 255)
"""The colour of what is beside and below a picture that lies inside its square."""
Kernel = Literal["bilinear", "bicubic", "lanczos", "box"]

KERNELS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}
_LATER = {"icc": "ignore"}  # fields that older cards do not have, with what they mean there


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What is done to a picture before the network sees it; part of a model's identity.

    Attributes:
        size: Side of the square that the network takes.
        fit: `squash` ignores the aspect ratio; `crop` resizes the shorter side to `resize` and keeps the centre;
            `squash_crop` resizes both sides to `resize` and keeps the centre; `inside` resizes the longer side to
            `size` and keeps the aspect ratio: the picture is at the top left, `OUTSIDE` is beside or below it.
        resize: The side before a crop; equal to `size` for squash and inside.
        kernel: The resampling kernel, always with antialiasing.
        mean: Subtracted from values in 0..1, later, on the device.
        std: Divides them, later, on the device.
        exif: Pictures are turned upright by their EXIF orientation.
        alpha: What transparent pixels are laid on: a `white` page, or the page that keeps the `contrast`, as
            `colour.to_rgb` defines it.
        icc: `srgb` converts colours by the profile that a picture carries; `ignore` takes them as they are stored.
    """

    size: int
    fit: Fit
    resize: int
    kernel: Kernel
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    exif: bool = True
    alpha: Alpha = "white"
    icc: Icc = "ignore"

    def __post_init__(self) -> None:
        whole = self.fit in {"squash", "inside"}
        if self.size < 1 or self.resize < self.size or (whole and self.resize != self.size):
            raise InputError(f"size {self.size} with resize {self.resize} does not fit {self.fit!r}")
        if self.fit not in get_args(Fit) or self.kernel not in KERNELS:
            raise InputError(f"no such fit or kernel: {self.fit!r}, {self.kernel!r}")
        if self.alpha not in get_args(Alpha):
            raise InputError(f"alpha = {self.alpha!r} is not known; give {_either(Alpha)}")
        if self.icc not in get_args(Icc):
            raise InputError(f"icc = {self.icc!r} is not known; give {_either(Icc)}")

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the canonical JSON of `identity`."""
        fields = self.identity | {"mean": [float(v) for v in self.mean], "std": [float(v) for v in self.std]}
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def identity(self) -> dict[str, Any]:
        """Every field that decides a row's meaning.

        A field that came later is left out at the value that stands for what was done before there was one, so that
        digests and fingerprints of older cards stay as they are.
        """
        fields = asdict(self)
        return {key: value for key, value in fields.items() if _LATER.get(key) != value}

    @property
    def decoding(self) -> Decoding:
        """The arguments of `decode`."""
        return {"at_least": self.at_least, "exif": self.exif, "alpha": self.alpha, "icc": self.icc}

    @property
    def as_seen(self) -> Preprocessing:
        """The same with colours and transparency as a viewer shows them: what models that are made now are given."""
        return replace(self, alpha="contrast", icc="srgb")

    @property
    def at_least(self) -> int:
        """The shorter side that decoding must deliver; of JPEGs it delivers twice that, or all that there is.

        Inside, five eighths of the longer one: of 320 that is what `mini` needs too, so that both see one decoding.
        """
        return 5 * self.resize // 8 if self.fit == "inside" else self.resize

    def apply(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return the pixels that the network takes, uint8 (size, size, 3), from an RGB picture."""
        # No `reducing_gap`: for a 12-megapixel PNG it saves a tenth of the time and moves pixels by up to 11 levels.
        size = self.inside(image.size) if self.fit == "inside" else (self.size, self.size)
        small = image.resize(size, KERNELS[self.kernel], box=self.box(image.size))
        if size[0] != size[1]:
            picture, small = small, Image.new("RGB", (self.size, self.size), OUTSIDE)
            small.paste(picture)
        return np.array(small)  # a copy that may be written to, as torch asks

    def inside(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return the (width, height) of a picture of another size, once its longer side is `size`."""
        wide, high = (max(1, round(self.size * side / max(size))) for side in size)
        return wide, high

    def box(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return the part of a picture of that (width, height) that becomes the square: left, top, right, bottom.

        What a resize of the shorter side and a centre crop would keep: resizing only that part gives the same pixels,
        since the kernel still reads beyond the box.
        """
        if self.fit in {"squash", "inside"}:
            return 0.0, 0.0, float(size[0]), float(size[1])
        shorter = min(size)
        squashed = self.fit == "squash_crop"
        whole = [self.resize if squashed else int(self.resize * side / shorter) for side in size]
        starts = [round((side - self.size) / 2) for side in whole]
        scales = [side / resized for side, resized in zip(size, whole, strict=True)]
        left, top = (start * scale for start, scale in zip(starts, scales, strict=True))
        return left, top, left + self.size * scales[0], top + self.size * scales[1]


def _either(names: Any) -> str:
    return " or ".join(map(repr, get_args(names)))
