"""`--max-pixels` wherever images are read, and what is said of files that are too large or hold more than one page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from simsearch.cli.options import MAX_PIXELS
from simsearch.images import Limits
from tests.cli.conftest import FAKE, Run

SIDE = 20


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large" / "large.png"
    path.parent.mkdir()
    Image.linear_gradient("L").resize((SIDE, SIDE)).save(path)
    return path


def test_the_default_is_that_of_the_limits() -> None:
    assert Limits().max_pixels == MAX_PIXELS


@pytest.mark.parametrize("workers", [0, 1])
def test_index_and_query_and_embed(workers: int, run: Run, large: Path, tmp_path: Path) -> None:
    library, few, enough = tmp_path / "lib", SIDE * SIDE - 1, SIDE * SIDE
    make = ("index", large.parent, "--library", library, "--model", FAKE, "--workers", workers, "--json")
    for limit, added in ((few, 0), (enough, 1)):
        code, out, err = run(*make, "--max-pixels", limit)
        assert code == 0, err
        assert json.loads(out)["added"] == added
        assert json.loads(out)["rejected_by_code"] == ({} if added else {"too_many_pixels": 1})
    ask = ("query", large, "--library", library, "--model", FAKE, "--json")
    for limit, code in ((few, 1), (enough, 0)):
        found, out, _ = run(*ask, "--max-pixels", limit)
        assert found == code
    write = ("embed", large, "--model", FAKE, "--workers", workers, "--json")
    for limit, made in ((few, 0), (enough, 1)):
        _, out, _ = run(*write, "--output", tmp_path / f"rows-{limit}-{workers}", "--max-pixels", limit)
        assert json.loads(out)["rows"] == made


def test_compare_names_the_flag(run: Run, large: Path) -> None:
    compare = ("compare", large, large, "--model", FAKE, "--max-pixels")
    code, _, err = run(*compare, SIDE * SIDE - 1)
    assert code == 3
    assert "--max-pixels" in err
    assert "bomb" not in err
    assert len(err.splitlines()) == 1
    assert run(*compare, SIDE * SIDE)[0] == 0
    assert run(*compare, 0)[0] == 2


@pytest.mark.parametrize("workers", [0, 1])
def test_files_with_further_pages_are_counted(workers: int, run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    pages = [Image.linear_gradient("L").resize((SIDE, SIDE + i)) for i in range(3)]
    for kind, several in (("tif", True), ("gif", True), ("png", False)):
        pages[0].save(folder / f"a.{kind}", **({"save_all": True, "append_images": pages[1:]} if several else {}))
    arguments = ("index", folder, "--library", tmp_path / "lib", "--model", FAKE, "--workers", workers)
    code, out, err = run(*arguments, "--json")
    assert (code, json.loads(out)["first_only"]) == (0, 2), err
    (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes() + b"another content")
    _, out, _ = run(*arguments)
    assert "1 file has further pages or frames" in out
