"""Hash values as text and as vectors, and back: hexadecimal, base64, and 0/1 arrays of any length."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import InputError

_FLOAT = np.dtype("<f4")  # the same text on every machine


def to_hex(rows: NDArray[np.uint8]) -> list[str]:
    """Return packed codes (n, bytes) as hexadecimal texts, two digits a byte; the last bits of a code stand last.

    Example:
        >>> to_hex(np.array([[0xF8, 0x0A]], np.uint8))
        ['f80a']
    """
    return [row.tobytes().hex() for row in _codes(rows)]


def from_hex(texts: Sequence[str], *, bits: int) -> NDArray[np.uint8]:
    """Return hexadecimal texts as packed codes (n, bytes).

    Args:
        texts: What `to_hex` gives; capital letters are allowed.
        bits: Length of a code.

    Raises:
        InputError: A text is not hexadecimal, is not as long as such a code, or has bits behind the last one.

    Example:
        >>> from_hex(["F80A"], bits=16)
        array([[248,  10]], dtype=uint8)
    """
    return _parsed(texts, bits, bytes.fromhex, "hexadecimal")


def to_base64(rows: NDArray[np.uint8]) -> list[str]:
    """Return packed codes (n, bytes) as base64 texts.

    Example:
        >>> to_base64(np.array([[0xF8, 0x0A]], np.uint8))
        ['+Ao=']
    """
    return [base64.b64encode(row.tobytes()).decode() for row in _codes(rows)]


def from_base64(texts: Sequence[str], *, bits: int) -> NDArray[np.uint8]:
    """Return base64 texts as packed codes (n, bytes).

    Args:
        texts: What `to_base64` gives.
        bits: Length of a code.

    Raises:
        InputError: A text is not base64, is not as long as such a code, or has bits behind the last one.

    Example:
        >>> from_base64(["+Ao="], bits=16)
        array([[248,  10]], dtype=uint8)
    """
    return _parsed(texts, bits, _decoded, "base64")


def to_vectors(rows: NDArray[np.uint8], *, bits: int) -> NDArray[np.uint8]:
    """Return packed codes (n, bytes) as vectors (n, bits) of 0 and 1.

    Raises:
        InputError: The codes are not as long as that, or have bits behind the last one.

    Example:
        >>> to_vectors(np.array([[0b10100000]], np.uint8), bits=3)
        array([[1, 0, 1]], dtype=uint8)
    """
    return np.unpackbits(_checked(_codes(rows), bits), axis=1, count=bits)


def from_vectors(vectors: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return vectors (n, bits) of 0 and 1, or bool, as packed codes (n, bytes), zeros behind the last bit.

    Raises:
        InputError: They are not (n, bits), or hold another value.

    Example:
        >>> from_vectors(np.array([[1, 0, 1]]))
        array([[160]], dtype=uint8)
    """
    bits = vectors.astype(np.bool_)
    if vectors.ndim != 2 or not np.array_equal(bits, vectors):
        raise InputError(f"vectors of shape {vectors.shape} must be (n, bits) and hold 0 and 1 only")
    return np.packbits(bits, axis=1)


def floats_to_base64(rows: NDArray[np.floating]) -> list[str]:
    """Return float rows (n, d) as base64 texts of little-endian float32.

    Example:
        >>> floats_to_base64(np.array([[1.0, -2.0]]))
        ['AACAPwAAAMA=']
    """
    return [base64.b64encode(row.tobytes()).decode() for row in np.ascontiguousarray(rows, _FLOAT)]


def floats_from_base64(texts: Sequence[str], *, dimension: int) -> NDArray[np.float32]:
    """Return base64 texts of little-endian float32 as rows (n, d).

    Raises:
        InputError: A text is not base64, or is not as long as such a row.

    Example:
        >>> floats_from_base64(["AACAPwAAAMA="], dimension=2)
        array([[ 1., -2.]], dtype=float32)
    """
    codes = _parsed(texts, 8 * _FLOAT.itemsize * dimension, _decoded, "base64")
    return codes.view(_FLOAT).astype(np.float32).reshape(len(texts), dimension)


def _codes(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if rows.ndim != 2 or rows.dtype != np.uint8:
        raise InputError(f"codes of {rows.dtype} {rows.shape} must be packed: uint8 (n, bytes)")
    return rows


def _checked(rows: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    width = -(-bits // 8)
    if rows.shape[1] != width:
        raise InputError(f"codes of {rows.shape[1]} bytes do not have {bits} bits, which fill {width}")
    if bits % 8 and (rows[:, -1] & (0xFF >> bits % 8)).any():
        raise InputError(f"a code has ones behind its {bits} bits; was it made with another length?")
    return rows


def _parsed(texts: Sequence[str], bits: int, parse: Callable[[str], bytes], what: str) -> NDArray[np.uint8]:
    width = -(-bits // 8)
    codes = np.empty((len(texts), width), np.uint8)
    for i, text in enumerate(texts):
        try:
            code = parse(text)
        except (ValueError, binascii.Error) as error:
            raise InputError(f"text {i}, {text[:80]!r}, is not {what}: {error}") from error
        if len(code) != width:
            raise InputError(f"text {i}, {text[:80]!r}, holds {len(code)} bytes and {bits} bits fill {width}")
        codes[i] = np.frombuffer(code, np.uint8)
    return _checked(codes, bits)


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
