"""The photographs of a benchmark: identified by content, decodable, without duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from simsearch.benchmark.results import Photographs, RejectedFile
from simsearch.errors import ImageRejected, InputError
from simsearch.images import Limits, Prepared, Preprocessing, Rejected, Source, decode, find, load_bytes
from simsearch.images.source import printable
from simsearch.images.workers.pool import prepare
from simsearch.runtime.processes import Progress

_LOOK = Preprocessing(64, "squash", 64, "bilinear", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True, slots=True)
class Picture:
    """One photograph.

    Attributes:
        name: Below the folder given, printable.
        sha256: Of the file's bytes, hex.
        source: Of the bytes.
        pixels: Width times height.
    """

    name: str
    sha256: str
    source: Source
    pixels: int

    @property
    def category(self) -> str:
        """The first folder of the name; empty where there is none."""
        folder, slash, _ = self.name.partition("/")
        return folder if slash else ""

    def load_bytes(self) -> bytes:
        """Return the file's bytes.

        Raises:
            InputError: They cannot be read, or have changed since they were hashed; it is named.
        """
        try:
            data = load_bytes(self.source, Limits().max_bytes)
        except ImageRejected as error:
            raise InputError(f"{self.name}: {error}; was it taken away during the run?") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise InputError(f"{self.name} was changed during the run; run the benchmark again")
        return data

    def load(self) -> Image:
        """Return the image, upright and RGB, in full size.

        Raises:
            InputError: As `load_bytes`, or it cannot be decoded.
        """
        try:
            return decode(self.load_bytes()).image
        except ImageRejected as error:
            raise InputError(f"{self.name}: {error}; take this file away") from error


@dataclass(frozen=True, slots=True)
class Gallery:
    """The pictures of a folder in the order of their names, and the files that cannot take part."""

    name: str
    pictures: tuple[Picture, ...]
    rejected: tuple[RejectedFile, ...]

    @property
    def facts(self) -> Photographs:
        """Their record in the results."""
        digest = hashlib.sha256("".join(sorted(picture.sha256 for picture in self.pictures)).encode())
        return Photographs(self.name, len(self.pictures), digest.hexdigest(), self.rejected)

    def only(self, names: Collection[str]) -> Gallery:
        """Return the gallery of these pictures alone; missing names are rejected."""
        kept = tuple(picture for picture in self.pictures if picture.name in names)
        rejected = tuple(file for file in self.rejected if file.name in names)
        there = {picture.name for picture in kept} | {file.name for file in rejected}
        lost = tuple(RejectedFile(name, "not_found", "there is no such file") for name in names if name not in there)
        return Gallery(self.name, kept, (*rejected, *lost))

    def without(self, refused: dict[str, str]) -> Gallery:
        """Return the gallery without refused pictures, given their messages by SHA-256."""
        kept = tuple(picture for picture in self.pictures if picture.sha256 not in refused)
        out = [
            RejectedFile(picture.name, "cannot_be_edited", refused[picture.sha256])
            for picture in self.pictures
            if picture.sha256 in refused
        ]
        return Gallery(self.name, kept, (*self.rejected, *out))


def look_at(path: Path, *, workers: int, progress: Progress | None = None) -> Gallery:
    """Read every file under a path once: decoded in killable workers, hashed, exact copies left out.

    Args:
        path: A folder, a tar or a file.
        workers: Decoding processes; 0 decodes here.
        progress: Called with (files read, None).

    Raises:
        InputError: The path does not exist.
    """
    pictures: dict[str, Picture] = {}
    rejected: list[RejectedFile] = []
    for number, found in enumerate(prepare(find([path]), _LOOK, workers=workers), start=1):
        name = printable(found.source.name)
        if isinstance(found, Rejected):
            rejected.append(RejectedFile(name, found.code.value, found.message))
        elif isinstance(found, Prepared):
            sha256 = found.sha256.hex()
            picture = Picture(name, sha256, found.source, found.width * found.height)
            if (first := pictures.setdefault(sha256, picture)) is not picture:
                rejected.append(RejectedFile(name, "exact_copy", f"the same bytes as {first.name}"))
        if progress is not None:
            progress(number, None)
    return Gallery(path.absolute().name, tuple(pictures.values()), tuple(rejected))
