"""Pictures that PDQ can tell apart, and codes a given number of bits away from theirs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from simsearch.extract.hashes.pdq import Pdq
from simsearch.library.lists.codes import Code


def picture(seed: int, side: int = 200) -> Image.Image:
    blocks = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(blocks).resize((side, side), Image.Resampling.BICUBIC)


def saved(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path)
    return path


def pdq_of(seed: int, away: int = 0) -> Code:
    """Return the PDQ code of a picture with its first bits flipped."""
    rows, _ = Pdq().with_quality([picture(seed)])
    flipped = np.unpackbits(rows[0])
    flipped[:away] ^= 1
    return Code("pdq", np.packbits(flipped).tobytes())
