"""Count how often photographs of strangers come near each other: the calibrations that come with the package.

    scripts/make_calibrations.py --data ../shared/data    writes simsearch/decide/calibrations.json

The strangers are the photographs of strangers/calibration, textures left out, of sources that have nothing to do with
each other; every one is asked as it is and in two edits drawn from configs/today.yaml and the paper's.
"""

from __future__ import annotations

import argparse
import json
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from measure_pairs import edits_of, read
from simsearch import load_extractor
from simsearch.decide.calibration import Calibration
from simsearch.images.quality import quality
from simsearch.library.calibration.background import background_of
from simsearch.library.calibration.comparison import Group, Rule
from simsearch.library.calibration.count import count

MODELS = {
    "ahash": ("hamming",),
    "dhash": ("hamming",),
    "phash": ("hamming",),
    "whash": ("hamming",),
    "pdq": ("hamming",),
    "mini": ("js", "cosine", "l2"),
    "mini(bits=96)": ("hamming",),
    "mini(bits=256)": ("hamming",),
}
EDITS = 2  # of each photograph
WHAT = "photographs of ImageNet classes and scenes, as they are and edited, against those of other sources"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--output", type=Path, default=Path("simsearch/decide/calibrations.json"))
    arguments = parser.parse_args()
    photographs = list(read(arguments.data / "strangers" / "calibration.tar"))
    with tarfile.open(arguments.data / "strangers" / "calibration.tar") as tar:
        members = [member.name for member in tar if member.isfile()]
    names, numbers = np.unique([name.split("_")[0] for name in members], return_inverse=True)
    sources = np.searchsorted(names, [name.split("_")[0] for name, _ in photographs])
    edits, rng = edits_of(Path("configs/today.yaml")), np.random.default_rng(0)
    copies, of = [], []
    for i, (_, image) in enumerate(photographs):
        for j in rng.choice(len(edits), EDITS, replace=False).tolist():
            copies.append(edits[j][1].apply(image, np.random.default_rng((i, j))))
            of.append(i)
    images = np.concatenate([np.arange(len(photographs)), of])
    plain = [image for _, image in photographs]
    qualities = np.array([quality(np.asarray(image.convert("RGB"))) for image in (*plain, *copies)])
    asked = Asked(plain, copies, images, sources, qualities, numbers)
    found = [one for model in MODELS for one in calibrations(model, asked)]
    lines = ",\n".join(json.dumps(one.to_dict()) for one in found)
    arguments.output.write_text(f'{{"calibrations": [\n{lines}\n]}}\n')


class Asked(NamedTuple):
    """Photographs and their edits.

    Attributes:
        plain: The photographs.
        copies: Edits of them.
        images: Number of the photograph of each.
        sources: Of the photographs.
        qualities: Of each picture.
        background: Sources of the background rows of models, which are of the same photographs.
    """

    plain: list[Image]
    copies: list[Image]
    images: NDArray[np.int64]
    sources: NDArray[np.int64]
    qualities: NDArray[np.int64]
    background: NDArray[np.int64]


def calibrations(model: str, of: Asked) -> list[Calibration]:
    began, extractor = time.monotonic(), load_extractor(model, device="cpu")
    plain, sources = of.plain, of.sources
    rows = extractor.embed(plain)
    asked = Group(
        np.concatenate([rows, extractor.embed(of.copies)]),
        of.images,
        sources[of.images],
        np.arange(len(of.images)) < len(plain),
        of.qualities,
    )
    background = background_of(model, extractor.fingerprint)
    if background is not None and len(background) != len(of.background):
        raise SystemExit(f"{model} has {len(background)} background rows, which are not of these photographs")
    if rows.dtype == np.float32:  # as a library keeps them
        rows = rows.astype(np.float16)
    held = Group.of(rows, sources=sources)
    told = []
    for metric in MODELS[model]:
        rule = Rule(metric, extractor.bits if metric == "hamming" else None, one_set=True)
        normalised_by = None if background is None else Group.of(background, sources=of.background)
        counted = count(asked, held, rule, background=normalised_by)
        told.append(
            counted.calibration(extractor.fingerprint, metric, origin="package", what=WHAT, sizes=(len(plain), 0))
        )
        curve = told[-1].curve
        print(
            f"{model} by {metric}: {curve.total:,} pairs, rates from {curve.least:.1e}, "
            f"{len(counted.copies.distances)} left out as copies, {counted.density}, normalised at most "
            f"{counted.normalised and -counted.normalised.strengths[0]}, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return told


if __name__ == "__main__":
    main()
