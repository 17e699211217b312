"""What all perceptual hashes share: a name with its parameters, a fingerprint, rows, and their turned forms."""

from __future__ import annotations

import hashlib
import importlib
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import field, fields
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import DependencyMissing, InputError
from simsearch.extract.extractor import Extractor
from simsearch.extract.hashes.isometry import Isometry, turn_image
from simsearch.images.preprocess import Preprocessing
from simsearch.naming import written

if TYPE_CHECKING:
    from PIL.Image import Image

PACKAGES = {"imagehash": "ImageHash", "pdqhash": "pdqhash", "cv2": "OpenCV's contrib modules", "pywt": "PyWavelets"}
_ADVICE = 'pip install -e ".[benchmark]"'


class Hash(Extractor):
    """A perceptual hash: a pure function of one whole picture and a few parameters.

    A subclass is a keyword-only dataclass whose fields are its parameters, made by `between` and `one_of`. It says
    `base`, `recipe`, `shape` and `values`; name, fingerprint and dimension follow. It does its own resizing from the
    whole picture: `preprocessing` matters only to callers who have pixels already and is large enough to change little.

    Attributes:
        base: Name without parameters.
        recipe: All that decides the values, each parameter named in braces; the fingerprint is its SHA-256.
        packages: The modules that it needs besides those that simsearch always has.
    """

    kind = "hash"
    base: ClassVar[str]
    recipe: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    preprocessing = Preprocessing(512, "squash", 512, "lanczos", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    def __post_init__(self) -> None:
        """Raise InputError for a parameter out of range and DependencyMissing for a missing package."""
        identify(self)
        self.dimension = self._to_rows(np.zeros((1, prod(self.shape)), np.bool_)).shape[1]
        for package in self.packages:
            needed(package, self.base)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one picture's values."""

    @abstractmethod
    def values(self, image: Image) -> NDArray[Any]:
        """Return the values of an RGB picture, of `shape`: bool, or float64."""

    def turn(self, values: NDArray[Any], isometry: Isometry) -> NDArray[Any] | None:
        """Return the values (n, *shape) of the turned pictures, or None where they do not follow from the values."""
        return values if isometry is Isometry.IDENTITY else None

    def rows(self, images: Sequence[Image]) -> NDArray[Any]:
        """Return one row for each RGB PIL image: (n, d)."""
        values = [self.values(image).ravel() for image in images]
        return self._to_rows(np.stack(values) if values else np.empty((0, prod(self.shape)), np.bool_))

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return one row for each image of (n, s, s, 3) uint8: (n, d)."""
        from PIL.Image import fromarray

        return self.rows([fromarray(image) for image in pixels])

    def turned_rows(self, rows: NDArray[Any], isometry: Isometry) -> NDArray[Any] | None:
        """Return the rows (n, d) of the turned pictures from the rows alone, or None where these do not tell."""
        values = self.turn(self._to_values(rows).reshape(len(rows), *self.shape), isometry)
        return None if values is None else self._to_rows(values.reshape(len(rows), -1))

    def isometries(self, images: Sequence[Image], *, exact: bool = False) -> dict[Isometry, NDArray[Any]]:
        """Return the rows (n, d) of RGB pictures in all eight forms.

        Args:
            images: RGB pictures.
            exact: Hash every turned picture. By default each picture is hashed once and the other rows follow from
                that row where the hash allows it; the class says how closely.
        """
        rows = self.rows(images)
        answer = {}
        for isometry in Isometry:
            turned = None if exact else self.turned_rows(rows, isometry)
            answer[isometry] = self.rows([turn_image(i, isometry) for i in images]) if turned is None else turned
        return answer

    def runtime(self) -> dict[str, str]:
        """Return the versions of Pillow, which resizes, and of what does the hashing."""
        versions = {package: str(needed(package, self.base).__version__) for package in self.packages}
        return {"pillow": str(importlib.import_module("PIL").__version__), **versions}

    @abstractmethod
    def _to_rows(self, values: NDArray[Any]) -> NDArray[Any]: ...

    @abstractmethod
    def _to_values(self, rows: NDArray[Any]) -> NDArray[Any]: ...


class BitHash(Hash):
    """A hash of bits, packed into bytes with zeros behind the last one, compared by hamming.

    Attributes:
        bits: Length of a code. Where it does not fill its last byte, `distance.hamming(a, b, bits=bits)` is the share
            of differing bits; what counts 8 bits a byte, as a library does, gives this times bits / (8 * dimension).
    """

    metric = "hamming"
    non_negative = True

    @property
    def bits(self) -> int:
        """The number of bits in a code."""
        return prod(self.shape)

    def _to_rows(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        return np.packbits(values, axis=1)

    def _to_values(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        return np.unpackbits(rows, axis=1, count=self.bits).astype(np.bool_)


class FloatHash(Hash):
    """A hash of real numbers; `metric` says how they compare."""

    non_negative = False

    def _to_rows(self, values: NDArray[Any]) -> NDArray[np.float32]:
        return values.astype(np.float32)

    def _to_values(self, rows: NDArray[Any]) -> NDArray[Any]:
        return rows


def between(default: float, low: float, high: float) -> Any:
    """Return a dataclass field for a number in [low, high], of the type of its default."""
    return field(default=default, metadata={"low": low, "high": high})


def one_of(default: str, *others: str) -> Any:
    """Return a dataclass field for one of several words."""
    return field(default=default, metadata={"words": (default, *others)})


def identify(method: Any) -> None:
    """Give a method, a dataclass of its parameters with `base` and `recipe`, its name and its fingerprint.

    The name tells the parameters that are not the default ones.

    Raises:
        InputError: A parameter is out of range.
    """
    values = _checked_parameters(method)
    changed = {f.name: str(values[f.name]).lower() for f in fields(method) if values[f.name] != f.default}
    method.name = written(method.base, changed)
    method.fingerprint = hashlib.sha256(method.recipe.format(**values).encode()).hexdigest()


def needed(package: str, who: str) -> Any:
    """Return an optional package.

    Raises:
        DependencyMissing: It is not installed.
    """
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise DependencyMissing(f"{who} needs {PACKAGES[package]}: {_ADVICE}") from error
    if package == "cv2" and not hasattr(module, "img_hash"):  # plain OpenCV has the same name and lacks the module
        raise DependencyMissing(
            f"{who} needs {PACKAGES[package]}, and a plain OpenCV is installed: remove it, {_ADVICE}"
        )
    return module


def _checked_parameters(method: Any) -> dict[str, Any]:
    values = {}
    for f in fields(method):
        value, allowed = getattr(method, f.name), f.metadata
        if type(value) is not type(f.default):
            raise InputError(f"{method.base}: {f.name}={value!r} must be of type {type(f.default).__name__}")
        if "low" in allowed and not allowed["low"] <= value <= allowed["high"]:
            raise InputError(f"{method.base}: {f.name}={value} must lie in {allowed['low']} to {allowed['high']}")
        if "words" in allowed and value not in allowed["words"]:
            raise InputError(f"{method.base}: {f.name}={value!r} must be one of {', '.join(allowed['words'])}")
        values[f.name] = value
    return values
