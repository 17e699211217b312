"""`bits` and `index --bits`: fitted, printed and searched, with errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simsearch.extract.hashes.formats import from_base64, from_hex
from simsearch.extract.load import load_extractor
from simsearch.extract.quantise.hyperplanes import load_quantiser
from tests.cli.conftest import FAKE, OTHER, Run


@pytest.fixture
def fitted(run: Run, pictures: Path, tmp_path: Path) -> Path:
    path = tmp_path / "own.safetensors"
    arguments = ("--bits", 5, "--kind", "pca", "--model", FAKE, "--workers", 0, "--output", path)
    code, out, err = run("bits", "fit", pictures, *arguments)
    assert code == 0, err
    assert "from 7 images" in out
    return path


def test_images_are_fitted_encoded_and_searched_by_bits_alone(
    run: Run, pictures: Path, fitted: Path, tmp_path: Path
) -> None:
    common = (pictures, "--bits", fitted, "--model", FAKE, "--workers", 0)
    code, out, err = run("bits", "encode", *common)
    assert code == 1, err  # broken.jpg
    printed = {Path(line[4:]).name: line[:2] for line in out.splitlines()}
    extractor = load_extractor(f"{FAKE}(bits={fitted})")
    for name, text in printed.items():
        np.testing.assert_array_equal(from_hex([text], bits=5), extractor.embed(pictures / name))
    assert len(printed) == 7

    code, out, _ = run("bits", "encode", *common, "--spelling", "base64", "--json")
    for line in map(json.loads, out.splitlines()):
        np.testing.assert_array_equal(from_base64([line["base64"]], bits=5), extractor.embed(line["path"]))

    folder = tmp_path / "small.library"
    assert run("index", pictures, "--bits", fitted, "--model", FAKE, "--library", folder, "--workers", 0)[0] == 0
    model = f"{FAKE}(bits={fitted})"
    code, out, err = run("query", pictures / "3.png", "--library", folder, "--model", model, "-k", 1, "--json")
    assert code == 0, err
    [match] = json.loads(out)["matches"]
    assert (Path(match["path"]).name, match["distance"]) == ("3.png", 0)
    asked = ("query", pictures / "3.png", "--library", folder, "--model", model, "-k", 2, "--asymmetric", "--json")
    code, out, err = run(*asked)
    assert code == 0, err
    answer = json.loads(out)
    assert (Path(answer["matches"][0]["path"]).name, answer["metric"]) == ("3.png", "asymmetric")
    code, _, err = run(*asked, "--metric", "hamming")
    assert (code, "leave out --metric" in err) == (2, True)

    code, out, _ = run("compare", pictures / "1.png", pictures / "2.png", "--model", model, "--json")
    assert (json.loads(out)["distance"] * 5) % 1 == pytest.approx(0, abs=1e-9)


def test_rows_of_a_file_are_fitted_like_the_images(run: Run, pictures: Path, fitted: Path, tmp_path: Path) -> None:
    assert run("embed", pictures, "--model", FAKE, "--output", tmp_path / "rows", "--workers", 0)[0] == 0
    rows, other = tmp_path / "rows" / "part-00000.parquet", tmp_path / "other.safetensors"
    arguments = ("--rows", rows, "--bits", 5, "--kind", "pca", "--output", other)
    code, _, err = run("bits", "fit", *arguments, "--model", FAKE)
    assert code == 0, err
    assert load_quantiser(other).digest == load_quantiser(fitted).digest
    code, _, err = run("bits", "fit", *arguments, "--model", OTHER)
    assert (code, "give it as --model" in err) == (3, True)
    code, _, err = run("bits", "fit", pictures, *arguments)
    assert code == 2


def test_too_few_images_and_unknown_bits(run: Run, pictures: Path, tmp_path: Path) -> None:
    arguments = ("--model", FAKE, "--workers", 0, "--output", tmp_path / "q.safetensors")
    code, _, err = run("bits", "fit", pictures, "--bits", 90, *arguments)
    assert (code, "fit to more images" in err) == (3, True)
    code, _, err = run("bits", "encode", pictures / "1.png", "--bits", 7)
    assert (code, "no quantiser of 7 bits" in err) == (3, True)
