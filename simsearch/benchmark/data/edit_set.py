"""The edits of a run: by name, so that they can be sent to a worker; and the copies that they make.

A copy depends on the seed, the photograph's content and the edit's name, on nothing else: not on the split, the other
photographs or their order. So all splits share the rows, and stored ones stay valid when photographs are added.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL.Image import Image

from simsearch import naming
from simsearch.benchmark.data.array_cache import digest
from simsearch.errors import InputError
from simsearch.images import perturb
from simsearch.images.perturb import PAPER, PLATFORM, Perturbation, by_name

ORIGINAL = "original"

SETS = {"paper": PAPER, "platform": PLATFORM}
_PICTURES_APART = "where pictures lie does not decide what is drawn"  # since rows were first stored
_MADE_BY = ("pillow", "numpy", "scipy")


@dataclass(frozen=True, slots=True)
class Edits:
    """The edits of a run, by name, so that they can be sent to a worker, and with the text's font.

    Attributes:
        names: By copy id, as of `copy_id`.
        font: A TrueType file for text, or None for the font inside Pillow.
        seed: Of noise, letters and places.
        stamp: Digest of all else that determines copies.
    """

    names: Mapping[str, str] = field(hash=False)
    font: Path | None
    seed: int
    stamp: str

    @classmethod
    def of(cls, names: Sequence[str], *, font: Path | None = None, seed: int = 0) -> Edits:
        """Return the edits of these names.

        Raises:
            InputError: There is no such edit.
        """
        for name in names:
            by_name(name, font=font)
        return cls({copy_id(name): name for name in names}, font, seed, made_by(font))

    def perturbation(self, copy: str) -> Perturbation:
        """Return the edit behind a copy id."""
        return _edit(self.names[copy], self.font)


def edit_names(requested: Sequence[str]) -> list[str]:
    """Return the names of single edits, the sets `paper` and `platform` expanded.

    Raises:
        InputError: An edit is named twice.

    Example:
        >>> len(edit_names(["paper", "scaling_0.5"]))
        59
    """
    names = [one for name in requested for one in ([edit.name for edit in SETS[name]] if name in SETS else [name])]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError(f"edits {', '.join(twice)} are asked for twice; name each once")
    return names


def copy_id(name: str) -> str:
    """Return the id of a copy's stored rows: the edit's name, and a digest of the user's part in it.

    That is the source of the module of a user's own edit, and the pictures that an edit takes.

    Example:
        >>> copy_id("jpg_compression_30")
        'jpg_compression_30'
    """
    head, arguments = naming.parse(name)
    parts = [part for part in (module_source(head), _pictures(arguments.get("picture"))) if part is not None]
    if "picture" in arguments:
        parts.append(_PICTURES_APART)
    return f"{name}@{digest(*parts)[:12]}" if parts else name


def module_source(name: str) -> str | None:
    """Return the source, in hex, of the module in `module:name`; None where it has none, or for other names."""
    module, colon, _ = name.partition(":")
    spec = importlib.util.find_spec(module) if colon else None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        return None
    return Path(spec.origin).read_bytes().hex()


def _pictures(place: str | None) -> list[tuple[str, int, int]] | None:
    """Return names, sizes and times of the files in a folder; None without one."""
    if place is None:
        return None
    files = [path for path in (Path(place), *sorted(Path(place).rglob("*"))) if path.is_file()]
    return [(str(path), (facts := path.stat()).st_size, facts.st_mtime_ns) for path in files]


def copy_of(image: Image, copy: str, edits: Edits, sha256: str) -> Image:
    """Return the edited copy of that id, or the image itself for `ORIGINAL`.

    Raises:
        InputError: The edit is not possible on this image.
    """
    if copy == ORIGINAL:
        return image
    edit = edits.perturbation(copy)
    content = [int(sha256[i : i + 8], 16) for i in range(0, 32, 8)]
    rng = np.random.default_rng([edits.seed, zlib.crc32(_without_pictures(edit.name).encode()), *content])
    try:
        return edit.apply(image, rng)
    except InputError as error:
        raise InputError(f"{edit.name}: {error}") from error


def _without_pictures(name: str) -> str:
    """Return the name without the folder of pictures, which differs from machine to machine."""
    head, arguments = naming.parse(name)
    return naming.written(head, {key: value for key, value in arguments.items() if key != "picture"})


@functools.cache
def made_by(font: Path | None) -> str:
    """Return a digest of all that determines copies: the code of the edits, the libraries below it, the font."""
    edits = sorted(Path(perturb.__file__).parent.rglob("*.py"))
    code = [path.read_bytes().hex() for path in (*edits, Path(naming.__file__))]
    versions = [importlib.metadata.version(name) for name in _MADE_BY]
    return digest(code, versions, None if font is None else font.read_bytes().hex())


@functools.cache
def _edit(name: str, font: Path | None) -> Perturbation:
    return by_name(name, font=font)
