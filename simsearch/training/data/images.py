"""Photographs decoded once into memory: as pictures for Pillow's edits, as squares for those of the device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from simsearch.errors import ImageRejected, InputError
from simsearch.images.decode import AS_SEEN, decode
from simsearch.images.find import find
from simsearch.images.source import Limits, Rejected, Source, load_bytes
from simsearch.runtime.cpu import default_workers
from simsearch.runtime.processes import memory


@dataclass(frozen=True, slots=True)
class Pictures:
    """RGB pictures of any shape in one block of memory, which worker processes share.

    Attributes:
        pixels: Uint8, one picture after the other, each (h, w, 3).
        starts: (n + 1,) int64, where each begins.
        sizes: (n, 2) int64, width and height.
        names: Printable path of each.
    """

    pixels: Tensor
    starts: Tensor
    sizes: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def image(self, i: int) -> Image.Image:
        """Return picture i."""
        width, height = self.sizes[i].tolist()
        flat = self.pixels[int(self.starts[i]) : int(self.starts[i + 1])].numpy()
        return Image.fromarray(flat.reshape(height, width, 3))

    def squares(self, side: int) -> Tensor:
        """Return all pictures squashed to squares (n, 3, side, side) uint8."""
        out = torch.empty((len(self), 3, side, side), dtype=torch.uint8)
        for i in range(len(self)):
            out[i] = square(self.image(i), side)
        return out

    def part(self, chosen: Sequence[int]) -> Pictures:
        """Return the chosen pictures as a block of their own."""
        return pictures_of([self.image(i) for i in chosen], [self.names[i] for i in chosen])


def pictures_of(images: Sequence[Image.Image], names: Sequence[str]) -> Pictures:
    """Return RGB images as one block.

    Example:
        >>> pictures_of([Image.new("RGB", (3, 2))], ["red"]).sizes.tolist()
        [[3, 2]]
    """
    sizes = torch.tensor([image.size for image in images], dtype=torch.int64).reshape(-1, 2)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), (3 * sizes.prod(dim=1)).cumsum(0)])
    block = torch.empty(int(starts[-1]), dtype=torch.uint8)
    for image, start, end in zip(images, starts.tolist(), starts[1:].tolist(), strict=False):
        block[start:end] = torch.from_numpy(np.array(image)).view(-1)
    return Pictures(block, starts, sizes, tuple(names))


def square(image: Image.Image, side: int) -> Tensor:
    """Return a picture squashed to (3, side, side) uint8."""
    squashed = image.resize((side, side), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(squashed)).permute(2, 0, 1)


def load_pictures(
    paths: Iterable[str | PathLike[str]], *, side: int, most: int | None = None, seed: int = 0
) -> tuple[Pictures, list[Rejected]]:
    """Return all images in folders, files and tars, each content once, and the rejected inputs.

    Args:
        paths: Folders, images or WebDataset tars.
        side: Longest side at which a picture is held; larger ones are scaled down.
        most: How many inputs are read, chosen by chance; by default all.
        seed: Of that choice.

    Raises:
        InputError: There are no images, or they do not fit into half of this machine's memory.
    """
    sources, rejected = list[Source](), list[Rejected]()
    for found in find(paths):
        if isinstance(found, Rejected):
            rejected.append(found)
        else:
            sources.append(found)
    if most is not None and most < len(sources):
        chosen = np.random.default_rng(seed).choice(len(sources), most, replace=False)
        sources = [sources[i] for i in sorted(chosen)]
    _make_sure_they_fit(len(sources), side)
    with ThreadPoolExecutor(default_workers()) as pool:  # Pillow releases the GIL
        loaded = list(pool.map(lambda source: _loaded(source, side), sources))
    kept: dict[str, tuple[Image.Image, str]] = {}
    for source, one in zip(sources, loaded, strict=True):
        if isinstance(one, Rejected):
            rejected.append(one)
        else:
            kept.setdefault(one[0], (one[1], source.printable))
    if not kept:
        why = f": {rejected[0].code}: {rejected[0].message}" if rejected else ""
        raise InputError(f"found no photographs ({len(rejected)} of {len(sources)} rejected{why}); give others")
    images, names = zip(*kept.values(), strict=True)
    return pictures_of(images, names), rejected


def _loaded(source: Source, side: int) -> tuple[str, Image.Image] | Rejected:
    try:
        data = load_bytes(source, Limits().max_bytes)
        image = decode(data, at_least=side, **AS_SEEN).image
    except ImageRejected as error:
        return Rejected(source, error.code, error.message)
    scale = side / max(image.size)
    if scale < 1:
        width, height = (max(1, round(scale * length)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return hashlib.sha256(data).hexdigest(), image


def _make_sure_they_fit(count: int, side: int) -> None:
    needed, there = 2 * count * 3 * side * side, memory() // 2  # pictures and squares
    if needed > there:
        raise InputError(
            f"{count:,} photographs of {side} pixels a side take up to {needed / 2**30:.0f} GiB and half of this "
            f"machine's memory is {there / 2**30:.0f} GiB; give a smaller `side` or fewer images"
        )
