"""The interface of all extractors: images to rows."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
from numpy.typing import NDArray

from simsearch.distance import METRICS
from simsearch.errors import InputError, RowError
from simsearch.extract.image_input import are_several, as_rgb
from simsearch.images.preprocess import Preprocessing

if TYPE_CHECKING:
    from PIL.Image import Image

    from simsearch.images.source import Limits, Rejected, Source
    from simsearch.images.workers.prepared import Prepared

Kind = Literal["hash", "keypoints", "network", "user"]
_DECODED_AT_ONCE = 32  # whole pictures in memory, whatever the number of paths
_MOST_PARTS = 1 << 16  # rows of an image: a library numbers them by 16 bits


class Extractor(ABC):
    """The interface of extractors, which map images to rows: networks, hashes and a user's own class.

    A subclass sets the six attributes and writes `embed_pixels`; the rest follows. Lower-case attribute values
    are data that a library stores beside its rows.

    Attributes:
        name: For users, unique among the models in use.
        fingerprint: Hex digest of all that determines a row's values; rows with different fingerprints do not compare.
        dimension: Length d of a row (bytes b for packed bits).
        non_negative: Whether rows are never negative, so that js is defined on them.
        metric: The recommended distance.
        preprocessing: From an image to the pixels of `embed_pixels`.
        several: Whether an image has any number of rows, also none, which only `parts` returns.
        works_ahead: Batches that `start` may begin before the rows of the first are fetched; 0 where it blocks.
        cutoff: Which of the distances from an image's rows to their nearest rows in another image stands for both
            images: 1 is the smallest, 5 the fifth.
        kind: Of the method; a user's own class is "user".
        label: In tables, in place of the name up to its parentheses; empty for the name itself.
    """

    name: str
    fingerprint: str
    dimension: int
    non_negative: bool
    metric: str
    preprocessing: Preprocessing
    several: bool = False
    works_ahead: int = 0
    cutoff: int = 1
    kind: Kind = "user"
    label: str = ""

    def __repr__(self) -> str:
        try:
            facts = [f"{self.name!r}", f"dimension {self.dimension}", self.metric, self._where()]
            return f"{type(self).__name__}({', '.join(filter(None, facts))}, fingerprint {self.fingerprint[:12]})"
        except AttributeError:  # before a subclass has set them
            return object.__repr__(self)

    def _where(self) -> str:
        """Return device and precision, where they vary."""
        return ""

    @property
    def gives_codes(self) -> bool:
        """Whether its rows are packed codes, uint8."""
        return METRICS[self.metric].of_codes

    @property
    def bits(self) -> int | None:
        """Length of a code, for packed bits that may not fill their last byte; None where they do and elsewhere."""
        return None

    @abstractmethod
    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return one row an image.

        Args:
            pixels: (n, s, s, 3) uint8 RGB, made by `preprocessing.apply`.

        Returns:
            (n, d) float32, or (n, b) uint8 for packed bits.
        """

    def least_batch(self, batch_size: int) -> int:  # noqa: ARG002
        """Return how many images a batch must have for its rows to be, to the bit, those of any larger one.

        Args:
            batch_size: Of whole batches.
        """
        return 1

    def start(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[Any]]:
        """Begin to embed pixels; return a callable waiting for their rows: `start(pixels)()` is `embed_pixels(pixels)`.

        Here all is done at once; an extractor on a device of its own overrides it and works on meanwhile.
        """
        rows = self.embed_pixels(pixels)
        return lambda: rows

    def prepare(
        self,
        sources: Iterable[Source | Rejected],
        *,
        workers: int,
        limits: Limits,
        stop: Callable[[], bool] | None = None,
    ) -> Iterator[Prepared | Rejected]:
        """Yield each input with the pixels that `embed_pixels` takes, or rejected; as `simsearch.images.prepare`."""
        from simsearch.images.workers.pool import prepare

        return prepare(sources, self.preprocessing, workers=workers, limits=limits, stop=stop)

    def rows(self, images: Sequence[Image]) -> NDArray[Any]:
        """Return one row for each RGB PIL image: (n, d), as `embed_pixels`."""
        size = self.preprocessing.size
        pixels = np.empty((len(images), size, size, 3), np.uint8)
        for i, image in enumerate(images):
            pixels[i] = self.preprocessing.apply(image)
        return self.embed_pixels(pixels)

    def parts(self, images: Sequence[Image]) -> list[NDArray[Any]]:
        """Return the rows of each RGB PIL image, as `rows`: arrays (p_i, d), each p_i 1 unless it gives `several`.

        Raises:
            RowError: The extractor gave rows of another shape than it declares.
        """
        return list(checked_rows(self, self.rows(images), len(images))[:, None, :])

    @final
    def embed(self, images: Any, *, limits: Limits | None = None) -> NDArray[Any]:
        """Return one row an image.

        Args:
            images: One image or an iterable of them, mixed at will: a path (str or Path; bytes that do not seem to be
                a picture), the bytes of a file, an open file, a PIL image, a (h, w), (h, w, 1), (h, w, 3) or (h, w, 4)
                array of uint8, uint16, bool or floats in [0, 1], or a (1, h, w) or (3, h, w) tensor of these; arrays
                and tensors may have one dimension more in front. Bytes that anybody may have sent go into an
                `io.BytesIO`, which is never taken for a path.
            limits: What decoding a file may cost: pixels, bytes, seconds, memory.

        Returns:
            (n, d) float32, or (n, b) uint8 for packed bits; n = 1 for a single image.

        Raises:
            ImageRejected: An image cannot be decoded; the message names it.
            InputError: A value is no image, or the extractor gives several rows an image.
            RowError: The extractor gave rows of another shape than it declares.
        """
        require_one_row(self)
        stream = iter(images if are_several(images) else [images])
        parts = [np.empty((0, self.dimension), np.uint8 if self.gives_codes else np.float32)]
        while decoded := [
            as_rgb(image, self.preprocessing, limits) for image in itertools.islice(stream, _DECODED_AT_ONCE)
        ]:
            parts.append(checked_rows(self, self.rows(decoded), len(decoded)))
        return np.concatenate(parts)

    def runtime(self) -> dict[str, str]:
        """Return the runtime, which may change a row within its tolerance: device, dtype, versions."""
        return {}

    def admit(self) -> None:  # noqa: B027 - a model without golden rows has nothing to be compared with
        """Require that this runtime reproduces the model's golden rows.

        Raises:
            ModelError: They differ by more than the card's tolerance.
        """


class SeveralExtractor(Extractor):
    """Maps each image to any number of rows, such as its keypoints or segments; a subclass writes `parts`.

    Its fingerprint covers everything that decides a row; `preprocessing` only says how a file is decoded.
    """

    several = True

    @abstractmethod
    def parts(self, images: Sequence[Image]) -> list[NDArray[Any]]:
        """Return the rows of each RGB PIL image: arrays (p_i, d) float32, or (p_i, b) uint8 for packed bits."""

    @final
    def rows(self, images: Sequence[Image]) -> NDArray[Any]:  # noqa: ARG002
        """Raise InputError, since an image has not exactly one row: use `parts`."""
        raise _several(self)

    @final
    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:  # noqa: ARG002
        """Raise InputError, since an image has not exactly one row: use `parts`."""
        raise _several(self)


def checked_parts(extractor: Extractor, parts: Sequence[NDArray[Any]], count: int) -> list[NDArray[Any]]:
    """Return the rows of `count` images (p_i, d), floats as float32 and without those that are all zeros.

    Raises:
        RowError: They have another shape than the extractor declares, or are more than a library can number.
    """
    shapes = [np.shape(one) for one in parts]
    if len(parts) != count or not all(len(s) == 2 and s[1] == extractor.dimension for s in shapes):
        raise RowError(
            f"{extractor.name} gave parts of shapes {shapes[:4]} for {count} images and a dimension of "
            f"{extractor.dimension}; its parts must return one array (p, {extractor.dimension}) an image"
        )
    if (most := max((shape[0] for shape in shapes), default=0)) > _MOST_PARTS:
        raise RowError(f"{extractor.name} gave {most:,} rows for an image; {_MOST_PARTS:,} are the most")
    floats = [one.dtype.kind == "f" for one in parts]
    return [
        one[one.any(axis=1)].astype(np.float32, copy=False) if is_float else one
        for one, is_float in zip(parts, floats, strict=True)
    ]


def require_one_row(extractor: Extractor) -> None:
    """Require that the extractor gives one row an image, as storing and ranking rows needs.

    Raises:
        InputError: It gives several.
    """
    if extractor.several:
        raise _several(extractor)


def _several(extractor: Extractor) -> InputError:
    return InputError(
        f"{extractor.name} gives several rows an image, or none, where one is needed: use its parts(images) with "
        "simsearch.search.multi_vector.distances.image_distances, or a model with one row an image"
    )


def checked_pixels(extractor: Extractor, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels that are those of an extractor's preprocessing.

    Raises:
        InputError: They have another shape or type.
    """
    side = extractor.preprocessing.size
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (side, side, 3):
        raise InputError(
            f"pixels are {pixels.dtype} {pixels.shape}; {extractor.name} takes uint8 (n, {side}, {side}, 3)"
        )
    return pixels


def checked_rows(extractor: Extractor, rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return the rows of `count` images, floats as float32.

    Raises:
        RowError: They have another shape than the extractor declares, so that rows and images would be confused.
    """
    if rows.shape != (count, extractor.dimension):
        raise RowError(
            f"{extractor.name} gave rows of shape {rows.shape} for {count} images and a dimension of "
            f"{extractor.dimension}; its embed_pixels must return ({count}, {extractor.dimension})"
        )
    return rows.astype(np.float32, copy=False) if rows.dtype.kind == "f" else rows
