"""Hash values as text and vectors, and back."""

from __future__ import annotations

import base64
import doctest

import numpy as np
import pytest

from simsearch.errors import InputError
from simsearch.extract.hashes import formats as text

LENGTHS = (1, 7, 8, 9, 63, 64, 121, 256)


def codes(rng, bits, n=5):
    return np.packbits(rng.integers(0, 2, (n, bits)).astype(bool), axis=1)


@pytest.mark.parametrize("bits", LENGTHS)
def test_every_form_gives_the_code_again(bits, rng):
    rows = codes(rng, bits)
    np.testing.assert_array_equal(text.from_hex(text.to_hex(rows), bits=bits), rows)
    np.testing.assert_array_equal(text.from_base64(text.to_base64(rows), bits=bits), rows)
    np.testing.assert_array_equal(text.from_vectors(text.to_vectors(rows, bits=bits)), rows)
    assert all(len(line) == 2 * -(-bits // 8) for line in text.to_hex(rows))
    assert [base64.b64decode(line) for line in text.to_base64(rows)] == [row.tobytes() for row in rows]


@pytest.mark.parametrize("bits", LENGTHS)
def test_vectors_give_themselves_again(bits, rng):
    vectors = rng.integers(0, 2, (4, bits))
    for given in (vectors, vectors.astype(bool), vectors.astype(float)):
        np.testing.assert_array_equal(text.to_vectors(text.from_vectors(given), bits=bits), vectors)


def test_no_rows_are_no_texts():
    none = np.empty((0, 8), np.uint8)
    assert text.to_hex(none) == text.to_base64(none) == []
    assert text.from_hex([], bits=64).shape == text.from_base64([], bits=64).shape == (0, 8)
    assert text.floats_from_base64([], dimension=3).shape == (0, 3)


def test_floats_are_exact(rng):
    rows = rng.normal(size=(3, 7)).astype(np.float32)
    again = text.floats_from_base64(text.floats_to_base64(rows), dimension=7)
    np.testing.assert_array_equal(again, rows)
    assert again.dtype == np.float32
    assert text.floats_to_base64(rows.astype(">f4")) == text.floats_to_base64(rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: text.from_hex(["zz"], bits=8), "text 0, 'zz', is not hexadecimal"),
        (lambda: text.from_hex(["00", "0000"], bits=8), "text 1, '0000', holds 2 bytes and 8 bits fill 1"),
        (lambda: text.from_hex(["ff"], bits=5), "ones behind its 5 bits"),
        (lambda: text.from_base64(["!"], bits=8), "is not base64"),
        (lambda: text.from_base64(["/w=="], bits=7), "ones behind its 7 bits"),
        (lambda: text.to_vectors(np.array([[1]], np.uint8), bits=7), "ones behind its 7 bits"),
        (lambda: text.to_vectors(np.zeros((1, 2), np.uint8), bits=8), "2 bytes do not have 8 bits"),
        (lambda: text.to_hex(np.zeros((1, 2))), r"float64 \(1, 2\) must be packed"),
        (lambda: text.from_vectors(np.array([[0.5]])), "0 and 1 only"),
        (lambda: text.from_vectors(np.array([1, 0])), r"must be \(n, bits\)"),
        (lambda: text.floats_from_base64(["AACAPw=="], dimension=2), "holds 4 bytes and 64 bits fill 8"),
    ],
)
def test_what_cannot_be_read_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_examples_hold():
    assert doctest.testmod(text).failed == 0
