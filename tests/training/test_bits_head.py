"""Laws of a head trained for bits: it learns to leave out what edits change, and is fitted alike again."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.distance import hamming
from simsearch.errors import InputError
from simsearch.extract.quantiser_fit import fit_quantiser
from simsearch.training.bits_head import fit_head


def rows_of(rng, n, copies=2, d=24):
    """Rows whose first half says which image it is and whose second half is the edit's."""
    own = rng.standard_normal((n, 1, d // 2))
    edits = rng.standard_normal((n, copies + 1, d // 2))
    rows = np.concatenate([np.repeat(own, copies + 1, axis=1), edits], axis=2)
    return rows[:, 0], rows[:, 1:]


def head(clean, edited, **changes):
    arguments = {"bits": 12, "how": "unit", "model": "f" * 64, "steps": 200, "batch": 128}
    return fit_head(clean, edited, **(arguments | changes))


def found(quantiser, clean, edited):
    """Share of copies whose own image is the nearest."""
    distances = hamming(quantiser.encode(edited[:, 0]), quantiser.encode(clean), bits=quantiser.bits)
    return (distances.argmin(axis=1) == np.arange(len(clean))).mean()


def test_it_finds_more_copies_than_the_planes_that_it_began_with(rng):
    clean, edited = rows_of(rng, 400)
    tried = rows_of(rng, 100)
    start = fit_quantiser(clean, kind="itq", bits=12, how="unit", model="f" * 64)
    trained = head(clean, edited)
    assert found(trained, *tried) > found(start, *tried) + 0.3
    assert trained.kind == "head"
    np.testing.assert_allclose(np.linalg.norm(trained.planes, axis=1), 1, atol=1e-6)


def test_training_again_gives_the_same(rng):
    rows = rows_of(rng, 60)
    assert head(*rows, steps=5).digest == head(*rows, steps=5).digest != head(*rows, steps=5, seed=1).digest


def test_copies_must_fit_the_images(rng):
    clean, edited = rows_of(rng, 60)
    for wrong in (edited[:-1], edited[:, :0], edited[:, 0], edited[..., :-1]):
        with pytest.raises(InputError, match="e copies"):
            head(clean, wrong)
