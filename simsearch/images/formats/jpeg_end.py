"""JPEGs whose end is missing: taken where nothing or next to nothing of the picture is missing with it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# The share of a picture's pixels that may be missing with the end of its file. A photograph that lacks its last 16
# bytes lacks 0.1 % of them; more than one in a hundred shows as a grey bar.
MISSING = 0.01
EOI = b"\xff\xd9"
_SOS = 0xDA
_PROGRESSIVE = (0xC2, 0xCA)
_SEQUENTIAL = (0xC0, 0xC1, 0xC9)
_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)  # that has a content, or ends the image
_COEFFICIENTS = 64
_RIM = 2  # pixels
_PADDING = 16  # zeros at the end of a file: room that was set aside and never written
_OTHER_END = bytes((37 * i * i + 11 * i) % 251 for i in range(8192))  # no scan goes on like this; holds no 0xFF


def closed(data: bytes) -> bytes | None:
    """Return a JPEG that lacks its end mark with one, where its scans are all there but for `MISSING`; else None.

    What is missing is found by decoding the file with two different ends: where the pictures differ, the file says
    nothing. None as well where the end mark is there.
    """
    if not _lacks_end_alone(data):
        return None
    whole = data.rstrip(b"\0") if data.endswith(bytes(_PADDING)) else data
    if whole.endswith(b"\xff"):
        whole = whole[:-1]
    one, other = (_picture(whole + end + EOI) for end in (b"", _OTHER_END))
    return whole + EOI if _missing((one != other).any(axis=2), _unit(data)) <= MISSING else None


def _missing(differs: NDArray[np.bool_], unit: tuple[int, int]) -> float:
    """Return the share of units, in their order, from the first on in which two pictures differ.

    A unit's rim does not count: colours are smoothed across it. Behind the first, units may be equal by chance, or
    because a decoder that finds no restart mark fills all of them alike.
    """
    width, height = unit
    rows, columns = -(-differs.shape[0] // height), -(-differs.shape[1] // width)
    whole = np.zeros((rows * height, columns * width), np.bool_)
    whole[: differs.shape[0], : differs.shape[1]] = differs
    units = whole.reshape(rows, height, columns, width)[:, _RIM:-_RIM, :, _RIM:-_RIM].any(axis=(1, 3)).ravel()
    return float(1 - units.argmax() / units.size) if units.any() else 0.0


def _unit(data: bytes) -> tuple[int, int]:
    """Return width and height of a coded unit: 8 pixels for the component with the most samples."""
    frame = next(content for marker, content in _segments(data) if marker in _PROGRESSIVE + _SEQUENTIAL)
    if frame[5] == 1:
        return 8, 8
    factors = [frame[7 + 3 * i] for i in range(frame[5])]
    return 8 * max(each >> 4 for each in factors), 8 * max(each & 15 for each in factors)


def _picture(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        values = np.asarray(image)
    return values if values.ndim == 3 else values[:, :, None]


def _lacks_end_alone(data: bytes) -> bool:
    """Return whether the file ends within its last scan, every coefficient of every component having had its turn."""
    left = dict[int, NDArray[np.int64]]()  # lowest bit that is still to come, for each coefficient of each component
    progressive, last = False, 0
    for marker, content in _segments(data):
        last = marker
        if marker in _PROGRESSIVE + _SEQUENTIAL:
            progressive = marker in _PROGRESSIVE
            left = {content[6 + 3 * i]: np.full(_COEFFICIENTS, 1) for i in range(content[5])}
        elif marker == _SOS:
            count = content[0]
            first, final, bits = content[1 + 2 * count : 4 + 2 * count] if progressive else (0, _COEFFICIENTS - 1, 0)
            for i in range(count):
                left[content[1 + 2 * i]][first : final + 1] = bits & 15
    return last == _SOS and bool(left) and not any(each.any() for each in left.values())


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker with its content, up to the end of the image or of the file; scans are passed over."""
    at = 2
    while found := _MARKER.search(data, at):
        at, marker = found.start(), data[found.end() - 1]
        if marker == EOI[1]:
            yield marker, b""
            return
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)
