"""`query --views`: text and JSON name the view, what is unknown is refused."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from tests.cli.conftest import FAKE, Run


def test_a_mirrored_copy_is_found_and_its_line_says_so(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    mirrored = tmp_path / "mirrored.png"
    Image.open(pictures / "4.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(mirrored)
    ask = ("query", "--model", FAKE, mirrored, "--library", library, "-k", 1)
    code, out, _ = run(*ask, "--views", "turns,flips")
    assert code == 0
    assert out.splitlines()[1].split() == ["1", "0.0000", f"{pictures}/4.png", "(mirrored)"]
    answer = json.loads(run(*ask, "--views", "flips", "--json")[1])
    assert (answer["views"], answer["matches"][0]["view"]) == (2, "mirrored")
    plain = json.loads(run(*ask, "--json")[1])
    assert "views" not in plain
    assert "view" not in plain["matches"][0]
    as_it_is = run("query", "--model", FAKE, pictures / "4.png", "--library", library, "--views", "flips", "-k", 1)[1]
    assert "(" not in as_it_is.splitlines()[1]


def test_views_are_of_images_and_of_known_kinds(run: Run, library: Path, pictures: Path) -> None:
    code, _, err = run("query", "--model", FAKE, pictures, "--library", library, "--views", "flips,mirrors")
    assert code == 2
    assert "flips, turns, crops, letterbox" in err
    assert run("query", "--model", FAKE, pictures, "--library", library, "--views", "")[0] == 2
    code, _, err = run("query", "--rows", "x.parquet", "--library", library, "--views", "flips")
    assert code == 2
    assert "--rows" in err
