"""Commands on a library of several channels: each knows all of them, and takes or names the one that it is about."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from simsearch.errors import LibraryError
from simsearch.library import Library
from tests.cli.conftest import FAKE, OTHER, Run
from tests.fake import FakeExtractor, OtherExtractor
from tests.library.helpers import album
from tests.library.test_channels import rows_by_path
from tests.library.test_segments import FAKE as NARROW
from tests.library.test_segments import WIDE, library_of, write


def test_rows_of_one_model_do_not_come_into_a_library_of_several(tmp_path: Path, run: Run) -> None:
    photos = album(tmp_path / "photos", range(2))
    assert run("embed", photos, "--output", tmp_path / "rows", "--model", FAKE, "--workers", 0)[0] == 0
    file = tmp_path / "rows" / "part-00000.parquet"
    with Library.create(tmp_path / "l", model=[FakeExtractor(), OtherExtractor()], device="cpu") as library:
        with pytest.raises(LibraryError, match="fake, other"):
            library.add_rows(file)
        code, _, err = run("index", "--rows", file, "--library", tmp_path / "l")
        assert (code, "fake, other" in err, len(library)) == (3, True, 0)


def test_commands_know_every_channel(tmp_path: Path, run: Run, pictures: Path) -> None:
    folder = tmp_path / "l"
    several = ("index", pictures, "--library", folder, "--model", FAKE, "--model", "dhash", "--workers", 0)
    code, _, err = run(*several)
    assert code == 0, err
    assert json.loads(run(*several, "--json")[1])["unchanged"] == 7
    code, _, err = run("index", pictures, "--library", folder, "--model", FAKE)
    assert (code, "holds rows of" in err, "dhash" in err) == (2, True, True)
    code, out, err = run("query", pictures / "1.png", "--library", folder, "--channel", "dhash", "--json")
    assert code == 0, err
    assert (json.loads(out)["channel"], json.loads(out)["metric"]) == ("dhash", "hamming")
    out = run("query", pictures / "1.png", "--library", folder, "--model", FAKE, "--json")[1]
    assert json.loads(out)["channel"] == "fake"
    code, _, err = run("query", pictures / "1.png", "--library", folder, "--channel", "nosuch")
    assert (code, "fake, dhash" in err) == (3, True)
    out = run("info", "--library", folder)[1]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("channel")] == ["fake", "dhash"]
    assert [each["name"] for each in json.loads(run("info", "--library", folder, "--json")[1])["channels"]] == [
        "fake",
        "dhash",
    ]
    assert run("verify", "--library", folder, "--deep")[0] == 0
    assert run("remove", pictures / "1.png", "--library", folder, "--purge")[0] == 0
    assert run("verify", "--library", folder, "--deep")[0] == 0


def test_an_index_is_of_the_channel_that_is_named(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 200)
    folder = library_of(tmp_path / "l", [NARROW, WIDE])
    write(tmp_path / "segment", [str(i) for i in range(1500)], [NARROW, WIDE], rng)
    Library.open(folder, device="cpu").adopt(tmp_path / "segment")
    flags = ("optimize", "--library", folder, "--recall", 0.3, "--kind", "ivf_flat", "--json", "--channel")
    for names in (["wide"], ["fake", "wide"]):
        code, out, err = run(*flags, names[0])
        assert code == 0, err
        assert sorted(index["channel"] for index in json.loads(out)["indexes"]) == names
    out = run("info", "--library", folder)[1]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("index")] == ["fake,", "wide,"]
    for name in ("fake", "wide"):
        with Library.open(folder, channel=name, device="cpu") as library:
            (found,) = library.search_rows(library.snapshot.segments[0].channels[name].row[:1].copy())
            assert (found.certified, found.matches[0].id) == (False, 0)


@pytest.mark.parametrize("devices", ["cpu", "cpu,cpu"])
def test_several_devices_serve_every_channel(tmp_path: Path, run: Run, pictures: Path, devices: str) -> None:
    flags = ("--model", FAKE, "--model", OTHER, "--device", devices, "--workers", 0, "--batch-size", 2)
    code, _, err = run("index", pictures, "--library", tmp_path / "l", *flags)
    assert code == 0, err
    with Library.open(tmp_path / "l") as library:
        assert rows_by_path(library, "fake") == rows_by_path(library, "other")
        assert len(library) == 7


def test_bits_go_with_one_model(tmp_path: Path, run: Run, pictures: Path) -> None:
    code, _, err = run(
        "index", pictures, "--library", tmp_path / "l", "--model", "mini", "--model", "pdq", "--bits", 96
    )
    assert (code, "--bits" in err, (tmp_path / "l").exists()) == (2, True, False)


def test_a_channel_is_added_when_every_image_has_a_row(tmp_path: Path, run: Run, pictures: Path) -> None:
    shutil.copytree(pictures, photos := tmp_path / "photos")
    folder = tmp_path / "l"
    assert run("index", photos, "--library", folder, "--model", FAKE, "--workers", 0)[0] == 0
    (photos / "3.png").rename(tmp_path / "3.png")
    command = ("reembed", "--library", folder, "--model", "dhash", "--workers", 0)
    code, out, err = run(*command)
    assert code == 1, err
    for text in ("5 images embedded", "not switched in: 1 of 7", "io_error  1", "3.png: ", "simsearch remove"):
        assert text in out
    told = json.loads(run(*command, "--json")[1])
    assert (told["channel"], told["embedded"], [each["path"] for each in told["missing"]]) == (
        None, 0, [str(photos / "3.png")]
    )  # fmt: skip
    (tmp_path / "3.png").rename(photos / "3.png")
    code, out, err = run(*command)
    assert code == 0, err
    assert "channel dhash has a row of each of the 7 images" in out
    assert "agreement with channel fake: " in out
    assert run("verify", "--library", folder, "--deep")[0] == 0
    out = run("query", photos / "3.png", "--library", folder, "--channel", "dhash", "-k", 1, "--json")[1]
    assert json.loads(out)["matches"][0]["path"] == str(photos / "3.png")
    assert json.loads(run(*command, "--json")[1])["embedded"] == 0
