"""A small world for the engine: twelve pictures on disk, methods that count their calls, and a run in a line."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from simsearch.benchmark.results import Results
from simsearch.benchmark.run import run_benchmark
from simsearch.benchmark.settings import settings_of
from simsearch.extract.extractor import SeveralExtractor
from tests.fake import FakeExtractor

FAKE = "tests.benchmark.world:Counting"
CORNERS = "tests.benchmark.world:Corners"
MEANS = "tests.benchmark.world:Means"
TAILS = "tests.benchmark.world:Tails"
SLOPES = "tests.benchmark.world:Slopes"
EDGES = "tests.benchmark.world:Edges"
MILD = ("jpg_compression_50", "scaling_0.8", "gaussian_noise_0.01", "text_length_10")
CALLS: Counter[str] = Counter()


class Counting(FakeExtractor):
    """A network that counts its images."""

    name = "counting"

    def embed_pixels(self, pixels):
        CALLS[self.name] += len(pixels)
        return super().embed_pixels(pixels)


class Corners(FakeExtractor):
    """Works on whole images: two bytes of bits, whether each eighth of the picture is bright; counts its images."""

    name = "corners"
    fingerprint = "c0"
    dimension = 2
    metric = "hamming"
    bits = 12

    def rows(self, images):
        CALLS[self.name] += len(images)
        small = [np.asarray(image.convert("L").resize((4, 3), Image.Resampling.BOX)).ravel() for image in images]
        return np.stack([np.packbits(values > values.mean()) for values in small])


class Means(SeveralExtractor):
    """Several rows an image: the mean colours of its quarters, none for a dark one."""

    name = "means"
    fingerprint = "e0"
    dimension = 3
    non_negative = True
    metric = "l2"
    preprocessing = FakeExtractor.preprocessing

    def parts(self, images):
        CALLS[self.name] += len(images)
        small = [np.asarray(image.resize((2, 2), Image.Resampling.BOX), np.float32).reshape(4, 3) for image in images]
        return [values[values.sum(axis=1) > 150] for values in small]


class Tails(SeveralExtractor):
    """Several codes of 12 bits an image, in two bytes: whether each twelfth of its left and right half is bright."""

    name = "tails"
    fingerprint = "f0"
    dimension = 2
    bits = 12
    non_negative = True
    metric = "hamming"
    preprocessing = FakeExtractor.preprocessing

    def parts(self, images):
        small = [np.asarray(image.convert("L").resize((8, 3), Image.Resampling.BOX)) for image in images]
        halves = [np.stack([values[:, :4].ravel(), values[:, 4:].ravel()]) for values in small]
        return [np.packbits(half > half.mean(), axis=1) for half in halves]


class Slopes(FakeExtractor):
    """How colours change from left to right: nothing but zeros for a flat picture."""

    name = "slopes"
    fingerprint = "a0"
    non_negative = False
    metric = "cosine"

    def embed_pixels(self, pixels):
        rows = super().embed_pixels(pixels).reshape(-1, 8, 8, 3)
        return (rows - rows[:, :, ::-1]).reshape(len(pixels), -1)


class Edges(SeveralExtractor):
    """The rows of `Slopes` one by one, of which a flat picture's are zeros."""

    name = "edges"
    fingerprint = "b0"
    dimension = 24
    non_negative = False
    metric = "l2"
    preprocessing = FakeExtractor.preprocessing

    def parts(self, images):
        return list(Slopes().rows(images).reshape(len(images), 8, 24))


def darker(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A user's own edit."""
    return image.point(lambda value: value // 2)


def picture(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def photographs(folder: Path, count: int = 12, start: int = 0) -> Path:
    for i in range(count):
        (folder / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        picture(start + i).save(folder / "ab"[i % 2] / f"{i:02}.png")
    return folder


def run(path: Path, output: Path, *, workers: int = 0, stages: Any = None, **values: Any) -> Results:
    settings = {"models": (FAKE,), "edits": MILD, "bootstrap": 20, "fpr": (0.25,), "attacked": 4, "timed": 2}
    return run_benchmark(path, settings_of(settings | values), output, workers=workers, stages=stages)


def measured(results: Results) -> Results:
    """What does not depend on the clock."""
    return dataclasses.replace(results, times=(), seconds={}, provenance={})
