"""Laws of a head trained for bits: it learns to leave out what edits change, and is fitted alike again."""

from __future__ import annotations

import numpy as np
import pytest

from simsearch.distance import hamming
from simsearch.errors import InputError
from simsearch.extract.quantise.fit import fit_quantiser
from simsearch.training.hash_head import fit_head, fit_lda


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


def lda(clean, edited, **changes):
    return fit_lda(clean, edited, **({"bits": 12, "how": "unit", "model": "f" * 64} | changes))


def test_lda_leaves_out_the_directions_that_edits_move(rng):
    clean, edited = rows_of(rng, 400)
    tried = rows_of(rng, 100)
    start = fit_quantiser(clean, kind="pca", bits=12, how="unit", model="f" * 64)
    fitted = lda(clean, edited)
    assert found(fitted, *tried) > found(start, *tried) + 0.3
    assert np.linalg.norm(fitted.planes[:, 12:]) < 0.2 * np.linalg.norm(fitted.planes)  # what edits move
    np.testing.assert_allclose(np.linalg.norm(fitted.planes, axis=1), 1, atol=1e-6)
    assert (fitted.kind, fitted.digest) == ("lda", lda(clean, edited).digest)
    shares = 1 - found(fitted, *tried), 1 - found(lda(clean, edited, noise=1e6), *tried)
    assert shares[0] < shares[1]  # with boundless noise it is pca


def test_edits_that_move_nothing_still_give_planes(rng):
    clean, edited = rows_of(rng, 60)
    fitted = lda(clean, np.repeat(clean[:, None], 2, axis=1) + 1e-9 * edited)
    assert np.isfinite(fitted.planes).all()


@pytest.mark.parametrize("fit", [head, lda])
def test_copies_must_fit_the_images(rng, fit):
    clean, edited = rows_of(rng, 60)
    for wrong in (edited[:-1], edited[:, :0], edited[:, 0], edited[..., :-1]):
        with pytest.raises(InputError, match="e copies"):
            fit(clean, wrong)
    for wrong in ({"bits": 25}, {"bits": 0}):
        with pytest.raises(InputError, match="bits"):
            fit(clean, edited, **wrong)
    with pytest.raises(InputError, match="noise"):
        lda(clean, edited, noise=0)
