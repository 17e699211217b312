"""Laws of quantisers: the side of each hyperplane, the same for any batch, saved whole, refused for other models."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simsearch.distance import hamming
from simsearch.errors import InputError, MetricError, ModelError, RowError
from simsearch.extract.hashes.formats import to_vectors
from simsearch.extract.quantise import hyperplanes
from simsearch.extract.quantise.fit import fit_quantiser
from simsearch.extract.quantise.hyperplanes import (
    KINDS,
    MAPS,
    Quantiser,
    load_quantiser,
    mapped_rows,
    packed,
    probes,
    unstable,
)
from tests.search.rows import clustered

FITTED = ("hyperplanes", "pca", "itq")


def fitted(kind="itq", bits=20, how="hellinger", seed=0, rows=None):
    rows = clustered(300, 24, seed=3) if rows is None else rows
    return fit_quantiser(rows, kind=kind, bits=bits, how=how, model="f" * 64, source="test", seed=seed)


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize("how", MAPS)
@pytest.mark.parametrize("bits", [1, 8, 19, 24])
def test_a_bit_says_on_which_side_of_its_plane_the_row_lies(kind, how, bits):
    rows, made = clustered(50, 24, seed=8), fitted(kind, bits, how)
    points = mapped_rows(rows, how)
    expected = [
        [sum(p * (x - c) for p, x, c in zip(plane, point, made.centre, strict=True)) for plane in made.planes]
        for point in points
    ]
    np.testing.assert_allclose(made.margins(rows), expected, atol=1e-12)
    np.testing.assert_array_equal(to_vectors(made.encode(rows), bits=bits), np.array(expected) > 0)
    np.testing.assert_allclose(np.linalg.norm(made.planes, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("how", MAPS)
@pytest.mark.parametrize("power", [-1073, -1000, -500, 500, 1022])
def test_how_large_a_row_is_does_not_count(how, power):
    rows = np.random.default_rng(4).integers(0, 4, (20, 24)).astype(np.float64)
    np.testing.assert_array_equal(mapped_rows(np.ldexp(rows, power), how), mapped_rows(rows, how))
    assert fitted(how=how).encode(np.ldexp(rows, power)).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_the_code_of_a_row_does_not_depend_on_the_rows_beside_it(size, seed):
    rows, made = clustered(60, 24, seed=seed), fitted("hyperplanes", 70)
    whole = made.margins(rows)
    parts = [made.margins(rows[i : i + size]) for i in range(0, len(rows), size)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("kind", FITTED)
def test_fitting_again_gives_the_same(kind):
    one, other = fitted(kind), fitted(kind)
    assert one.digest == other.digest
    assert one.digest != fitted(kind, bits=19).digest
    assert (one.digest != fitted(kind, seed=1).digest) == (kind != "pca")


def test_itq_loses_less_than_the_directions_that_it_turned():
    rows = clustered(400, 24, seed=4)

    def loss(made):
        margins = made.margins(rows)
        return np.square(np.sign(margins) * np.abs(margins).mean() - margins).sum()

    assert loss(fitted("itq", 16, rows=rows)) < loss(fitted("pca", 16, rows=rows))


def test_the_more_hyperplanes_the_nearer_is_the_share_of_bits_to_the_angle():
    rows = clustered(100, 24, seed=6)
    errors = []
    for bits in (32, 512, 8192):
        made = fitted("hyperplanes", bits, rows=rows)
        codes = made.encode(rows)
        points = mapped_rows(rows, "hellinger") - made.centre
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        angles = np.arccos(np.clip(points @ points.T, -1, 1)) / np.pi
        errors.append(np.abs(hamming(codes, codes, bits=bits) - angles).mean())
    assert errors[1] < 0.5 * errors[0]
    assert errors[2] < 0.5 * errors[1]


def test_digest_and_file(tmp_path):
    made = fitted()
    path = tmp_path / "deep" / "q.safetensors"
    made.save(path)
    read = load_quantiser(path)
    assert (read.digest, read.kind, read.map, read.model, read.source) == (
        made.digest,
        "itq",
        "hellinger",
        "f" * 64,
        "test",
    )
    for changed in (
        Quantiser(made.kind, "unit", made.centre, made.planes, made.model, ""),
        Quantiser(made.kind, made.map, made.centre + np.float32(1e-6), made.planes, made.model, ""),
        Quantiser(made.kind, made.map, made.centre, -made.planes, made.model, ""),
    ):
        assert changed.digest != made.digest


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "q.safetensors"
    with pytest.raises(ModelError, match="no whole quantiser"):
        load_quantiser(path)
    fitted().save(path)
    whole = bytearray(path.read_bytes())
    for damaged in (whole[:-9], whole[:40], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        path.write_bytes(bytes(damaged))
        with pytest.raises(ModelError, match="restore"):
            load_quantiser(path)


def test_an_unstable_bit_is_one_near_its_plane():
    rows, made = clustered(50, 24, seed=8), fitted()
    margins = made.margins(rows)
    masks = to_vectors(unstable(margins, 0.01), bits=20).astype(bool)
    np.testing.assert_array_equal(masks, np.abs(margins) <= 0.01)
    nudged = packed(margins + np.random.default_rng(0).uniform(-0.01, 0.01, margins.shape))
    flipped = to_vectors(nudged ^ packed(margins), bits=20).astype(bool)
    assert flipped.any()
    assert not (flipped & ~masks).any()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_probes_are_the_likeliest_codes_in_order(bits, count, seed):
    margins = np.random.default_rng(seed).standard_normal((3, bits))
    count = min(count, 2**bits)
    found = probes(margins, count, among=bits)
    for row, codes in zip(margins, found, strict=True):
        flips = to_vectors(codes ^ packed(row[None]), bits=bits)
        assert len({tuple(flip) for flip in flips.tolist()}) == count
        costs = flips @ row**2
        everything = sorted(sum(c for i, c in enumerate(row**2) if n >> i & 1) for n in range(2**bits))
        np.testing.assert_allclose(costs, everything[:count], atol=1e-12)


def test_bad_input_is_named():
    rows = clustered(30, 24, seed=1)
    for arguments in (
        {"kind": "lsh"},
        {"kind": "head"},
        {"how": "root"},
        {"bits": 0},
        {"bits": 25},
        {"rows": rows[:20]},
    ):
        with pytest.raises(InputError):
            fitted(**arguments)
    assert fitted("hyperplanes", 500, rows=rows[:1]).bits == 500
    with pytest.raises(RowError, match="row 1"):
        fitted().encode(np.array([[1.0] * 24, [0.0] * 24]))
    with pytest.raises(RowError):
        fitted().encode(np.ones((2, 23)))
    with pytest.raises(MetricError):
        fitted().encode(-np.ones((1, 24)))
    with pytest.raises(InputError, match="within"):
        unstable(np.zeros((1, 2)), math.nan)
    with pytest.raises(InputError, match="count"):
        probes(np.zeros((1, 2)), 5)


def test_kinds_of_the_command_line_are_those_that_can_be_fitted():
    from simsearch.cli.commands.bits import FittedKind, MapName

    assert {str(kind) for kind in FittedKind} == set(KINDS) - {"head", "lda"} == set(FITTED)
    assert {str(how) for how in MapName} == set(MAPS)


def test_examples():
    assert doctest.testmod(hyperplanes).failed == 0
