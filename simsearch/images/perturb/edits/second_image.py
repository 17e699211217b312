"""The other image that an edit needs: drawn by chance, or from a file or folder of the user's."""

from __future__ import annotations

import functools
from pathlib import Path

from PIL import Image, ImageOps

from simsearch.errors import ImageRejected, InputError
from simsearch.images.decode import decode
from simsearch.images.find import find
from simsearch.images.perturb.edits import Picture, Rng
from simsearch.images.perturb.edits import synthetic as drawn
from simsearch.images.source import Limits, Source, load_bytes

_LONGEST = 1024  # pixels; files are kept in memory no larger than this


def other(rng: Rng, size: tuple[int, int], picture: str | None) -> Picture:
    """Return another RGB image of that width and height.

    Args:
        rng: Draws the picture, or chooses a file of the folder evenly.
        size: Width and height; a file is scaled and cropped at its centre to fill them.
        picture: A file, folder or tar; by default a picture is drawn.

    Raises:
        InputError: The file cannot be decoded, or the folder holds no image.
    """
    if picture is None:
        return drawn.picture(rng, size)
    files = _files(picture)
    return ImageOps.fit(_load(files[int(rng.integers(len(files)))]), size, Image.Resampling.BICUBIC)


@functools.lru_cache(maxsize=8)
def _files(picture: str) -> tuple[Source, ...]:
    found = tuple(source for source in find([Path(picture)]) if isinstance(source, Source))
    if not found:
        raise InputError(f"{picture} holds no file to take a picture from; name an image or a folder of images")
    return found


@functools.lru_cache(maxsize=64)
def _load(source: Source) -> Picture:
    limits = Limits()
    try:
        image = decode(load_bytes(source, limits.max_bytes), limits=limits).image
    except ImageRejected as error:
        raise InputError(f"{source.printable}: {error}; take this file away") from error
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BICUBIC)
    return image
