"""Photographs and their edited copies, made once and shared by all extractors that are compared."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsearch.errors import ImageRejected, InputError
from simsearch.extract.extractor import Extractor
from simsearch.extract.pipeline import default_workers
from simsearch.images import Limits, Rejected, Source, decode, find, load_bytes, to_rgb
from simsearch.images.perturb import Perturbation
from simsearch.images.source import printable

Images: TypeAlias = str | Path | Sequence[str | Path | Image.Image]
Progress: TypeAlias = Callable[[int, int], None]

_BATCH = 64


@dataclass(frozen=True, slots=True)
class Photograph:
    """One image of a benchmark: its name below the folder given, and where it is or the image itself."""

    name: str
    content: Source | Image.Image

    def load(self) -> Image.Image:
        """The image, upright and RGB.

        Raises:
            InputError: It cannot be decoded; it is named.
        """
        if isinstance(self.content, Image.Image):
            return to_rgb(self.content)
        limits = Limits()
        try:
            return decode(load_bytes(self.content, limits.max_bytes), limits=limits).image
        except ImageRejected as error:
            raise InputError(f"{self.name}: {error}; a benchmark needs every image, take this file away") from error


def photographs(images: Images) -> list[Photograph]:
    """The photographs of a folder in the order of their names, or of a sequence of paths and PIL images as given.

    Raises:
        InputError: A path does not exist or cannot be read.
    """
    if isinstance(images, (str, Path)):
        images = [images]
    found: list[Photograph] = []
    for image in images:
        if isinstance(image, Image.Image):
            found.append(Photograph(f"image {len(found)}", image))
            continue
        for source in find([image]):
            if isinstance(source, Rejected):
                raise InputError(f"{source.source.printable}: {source.code}: {source.message}; take this file away")
            found.append(Photograph(printable(source.name), source))
    return found


def edited_copies(
    chosen: Iterable[tuple[int, Photograph]], edits: Sequence[Perturbation], seed: int, *, workers: int | None = None
) -> Iterator[list[Image.Image]]:
    """For each (number, photograph) its edited copies, in the order of the edits; made ahead by a few threads.

    A copy depends on the seed, the photograph's number and the edit's name, on nothing else.

    Args:
        chosen: Photographs with the numbers that seed their edits.
        edits: The edits, each made from the clean image.
        seed: Decides noise, letters and places.
        workers: Threads (Pillow and numpy work without the interpreter's lock); by default the cores.

    Raises:
        InputError: A photograph cannot be decoded or edited; it is named.
    """
    threads = workers or default_workers()
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[list[Image.Image]]] = deque()
        try:
            for number, photograph in chosen:
                waiting.append(pool.submit(_copies, photograph, number, edits, seed))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def embed_photographs(extractors: Sequence[Extractor], images: Sequence[Photograph]) -> list[NDArray[np.generic]]:
    """For each extractor the rows (n, d) of all photographs; each is decoded once.

    Raises:
        InputError: An image cannot be decoded.
    """
    rows: list[list[NDArray[np.generic]]] = [[] for _ in extractors]
    for start in range(0, len(images), _BATCH):
        batch = [image.load() for image in images[start : start + _BATCH]]
        for parts, extractor in zip(rows, extractors, strict=True):
            parts.append(extractor.rows(batch))
    return [np.concatenate(parts) for parts in rows]


def check_extractors(extractors: Sequence[Extractor]) -> None:
    """Refuse extractors that share a name, under which their results would be confused.

    Raises:
        InputError: Two have the same name, or there are none.
    """
    names = [extractor.name for extractor in extractors]
    if not names or len(set(names)) < len(names):
        raise InputError(f"extractors are named {names}; give at least one and each its own name")


def _copies(photograph: Photograph, number: int, edits: Sequence[Perturbation], seed: int) -> list[Image.Image]:
    image = photograph.load()
    copies = []
    for edit in edits:
        rng = np.random.default_rng([seed, number, zlib.crc32(edit.name.encode())])
        try:
            copies.append(edit.apply(image, rng))
        except InputError as error:
            raise InputError(f"{photograph.name}, {edit.name}: {error}; take this file away") from error
    return copies
