"""Measure how many bits of an image change when it is embedded otherwise: precision, batch size, threads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from compare_models import SIDE
from simsearch.distance import js
from simsearch.extract.load import load_extractor
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.quantise.extractor import QuantisedExtractor
from simsearch.extract.quantise.hyperplanes import Quantiser, unstable
from simsearch.extract.zoo.find import find_model
from simsearch.naming import quantised_name
from simsearch.runtime.provenance import write_record
from simsearch.training.data.images import load_pictures

NEAR = 1e-3  # of a plane, where rows have length 1: the bits that a mask calls unstable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/strangers/dev.tar"))
    parser.add_argument("--most", type=int, default=1000)
    parser.add_argument("--bits", type=int, nargs="+", default=[96, 256])
    parser.add_argument("--output", type=Path, default=Path("results/bit_drift.json"))
    arguments = parser.parse_args()
    pictures, _ = load_pictures([arguments.photographs], side=SIDE, most=arguments.most, seed=0)
    folder = find_model(arguments.model)
    plain = NeuralExtractor(folder, device="cpu", dtype="float32")
    pixels = np.stack([plain.preprocessing.apply(pictures.image(i)) for i in range(len(pictures))])
    loaded = [load_extractor(quantised_name(arguments.model, str(bits)), device="cpu") for bits in arguments.bits]
    codes = [QuantisedExtractor(plain, one.quantiser) for one in loaded]
    rows = codes[0].floats(pixels)
    others = {
        "the same again": codes[0].floats(pixels),
        "in another order": codes[0].floats(pixels[::-1])[::-1],
        "one thread": _with_threads(1, codes[0], pixels),
        "network alone, one image at once": np.concatenate(
            [plain.embed_pixels(pixels[i : i + 1]) for i in range(len(pixels))]
        ),
        "network alone, 64 images at once": np.concatenate(
            [plain.embed_pixels(pixels[i : i + 64]) for i in range(0, len(pixels), 64)]
        ),
    }
    half = NeuralExtractor(folder, device="cpu", dtype="bfloat16")
    others["bfloat16"] = np.concatenate([half.embed_pixels(pixels[i : i + 8]) for i in range(0, len(pixels), 8)])
    told = {str(one.bits): {name: drift(one.quantiser, rows, other) for name, other in others.items()} for one in codes}
    values: dict[str, Any] = {
        "model": plain.name,
        "weights_sha256": plain.card.weights.sha256,
        "images": len(pixels),
        "beside": "float32, two threads, eight images at once as `bits` always does",
        "near": NEAR,
        "drift": told,
        "js_of_rows_in_bfloat16_99": float(np.quantile(np.diagonal(js(rows, others["bfloat16"])), 0.99)),
    }
    shown = [f"{bits} bits {told[bits]['bfloat16']['bits_flipped']:.2%}" for bits in told]
    verdict = f"bits that bfloat16 flips against float32: {', '.join(shown)}; "
    verdict += f"99 % of rows move by at most js {values['js_of_rows_in_bfloat16_99']:.4f}"
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def drift(quantiser: Quantiser, rows: NDArray[Any], other: NDArray[Any]) -> dict[str, float]:
    """Shares of bits and of images that change, and how many of the changed bits a mask calls unstable."""
    before, after = quantiser.margins(rows), quantiser.margins(other)
    flipped = (before > 0) != (after > 0)
    mask = np.unpackbits(unstable(before, NEAR), axis=1, count=quantiser.bits).astype(bool)
    return {
        "bits_flipped": float(flipped.mean()),
        "images_changed": float(flipped.any(axis=1).mean()),
        "most_bits_of_an_image": int(flipped.sum(axis=1).max()),
        "largest_margin_flipped": float(np.abs(before[flipped]).max(initial=0)),
        "flipped_that_were_near": float(mask[flipped].mean()) if flipped.any() else 1.0,
        "bits_near": float(mask.mean()),
        "largest_change_of_a_row": float(np.abs(rows - other).max() / np.abs(rows).max()),
    }


def _with_threads(count: int, extractor: QuantisedExtractor, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return extractor.floats(pixels)
    finally:
        torch.set_num_threads(before)


if __name__ == "__main__":
    main()
