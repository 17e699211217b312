"""`query` and `compare`: what JSON promises, names of any kind, exit codes."""

from __future__ import annotations

import base64
import json
import os
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from PIL import Image

from simsearch.images.workers import pool as workers
from tests.cli.conftest import FAKE, Run

SCHEMA = {"schema", "query", "matches", "certified", "library_size", "channel", "rejected"}
MATCH = {"id", "path", "distance", "expected_false_matches", "decision", "copies"}
NAMES = [
    b"[red]x.png",
    b"<img src=x onerror=alert(1)>.png",
    b"two\nlines\x1b[31m.png",
    b"\xff\xfe.png",
    "ü ≠ 図.png".encode(),
]


def answers(out: str) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in out.splitlines()]


def test_json_has_one_line_a_query_with_every_promised_key(run: Run, library: Path, pictures: Path) -> None:
    code, out, _ = run("query", "--model", FAKE, pictures, "--library", library, "-k", 3, "--json")
    assert code == 1  # broken.jpg
    found = answers(out)
    assert [Path(one["query"]).name for one in found] == sorted(path.name for path in pictures.iterdir())
    for one in found:
        assert set(one) >= SCHEMA
        assert (one["schema"], one["library_size"], one["channel"]) == (1, 7, "fake")
        assert all(set(match) >= MATCH for match in one["matches"])
        rejected = Path(one["query"]).name == "broken.jpg"
        assert (one["rejected"] is not None) == rejected
        assert len(one["matches"]) == (0 if rejected else 3)


def test_an_edited_copy_finds_its_original_first(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "small.jpg"
    Image.open(pictures / "4.png").resize((60, 40)).save(copy, quality=40)
    code, out, _ = run("query", "--model", FAKE, copy, "--library", library, "-k", 1)
    assert code == 0
    assert f"{pictures}/4.png" in out.splitlines()[1]


def test_max_distance_leaves_out_what_is_farther(run: Run, library: Path, pictures: Path) -> None:
    out = run("query", "--model", FAKE, pictures / "0.png", "--library", library, "--max-distance", 0, "--json")[1]
    (one,) = answers(out)
    (match,) = one["matches"]
    assert (Path(match["path"]).name, match["distance"]) == ("0.png", 0.0)
    assert [Path(copy["path"]).name for copy in match["copies"]] == ["copy-of-0.png"]


def test_it_is_said_that_there_are_more_and_all_can_be_had(run: Run, library: Path, pictures: Path) -> None:
    ask = ("query", "--model", FAKE, pictures / "0.png", "--library", library, "--max-distance", 1)
    assert run(*ask, "-k", 2)[1].splitlines()[-1].strip() == "... and more within 1: raise -k, or give -k 0 for all"
    assert "more within" not in run(*ask, "-k", 6)[1]
    (one,) = answers(run(*ask, "-k", 2, "--json")[1])
    assert (one["more"], len(one["matches"])) == (True, 2)
    (one,) = answers(run(*ask, "-k", 0, "--json")[1])
    assert (one["more"], len(one["matches"])) == (False, 6)
    assert run("query", "--model", FAKE, pictures, "--library", library, "-k", 0)[0] == 2


def test_copies_are_listed_below_their_match_unless_they_are_not_to_be_grouped(
    run: Run, library: Path, pictures: Path
) -> None:
    ask = ("query", "--model", FAKE, pictures / "0.png", "--library", library, "-k", 2)
    lines = run(*ask)[1].splitlines()[1:]
    assert [Path(line.split()[-1]).name for line in lines[:2]] == ["0.png", "copy-of-0.png"]
    assert [line.split()[0] for line in lines] == ["1", "=", "2"]
    lines = run(*ask, "--no-group-copies")[1].splitlines()[1:]
    assert [(line.split()[0], line.split()[1]) for line in lines] == [("1", "0.0000"), ("2", "0.0000")]


def test_a_query_can_be_left_out_of_its_own_answer(run: Run, library: Path, pictures: Path) -> None:
    ask = ("query", "--model", FAKE, pictures, "--library", library, "-k", 9, "--json", "--exclude-self")
    for flags in ((), ("--no-group-copies",)):
        for one in answers(run(*ask, *flags)[1]):
            paths = [m["path"] for m in one["matches"]] + [c["path"] for m in one["matches"] for c in m["copies"]]
            assert one["query"] not in paths
            assert one["rejected"] or len(paths) == 6
            if Path(one["query"]).name in ("0.png", "copy-of-0.png"):
                assert one["matches"][0]["distance"] == 0
    assert run("query", "--library", library, "--rows", "x.parquet", "--exclude-self")[0] == 2


def test_items_of_low_quality_can_be_left_out(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    blank = tmp_path / "blank.png"
    Image.new("RGB", (40, 30), (200, 200, 200)).save(blank)
    assert run("index", blank, "--library", library, "--model", FAKE, "--workers", 0)[0] == 0
    ask = ("query", "--model", FAKE, blank, "--library", library, "-k", 9, "--json")
    (all_of_them,) = answers(run(*ask)[1])
    (good,) = answers(run(*ask, "--min-quality", 10)[1])
    assert {m["path"] for m in all_of_them["matches"]} - {m["path"] for m in good["matches"]} == {str(blank)}
    assert run(*ask, "--min-quality", 101)[0] == 2


@pytest.mark.parametrize("metric", ["js", "cosine", "l1", "l2"])
def test_every_metric_can_be_chosen(run: Run, library: Path, pictures: Path, metric: str) -> None:
    code, out, _ = run("query", "--model", FAKE, pictures / "5.png", "--library", library, "--metric", metric, "--json")
    assert code == 0
    assert Path(answers(out)[0]["matches"][0]["path"]).name == "5.png"


def test_an_unknown_metric_names_those_there_are(run: Run, library: Path, pictures: Path) -> None:
    from simsearch.distance import METRICS

    code, _, err = run("query", "--model", FAKE, pictures / "5.png", "--library", library, "--metric", "chi2")
    assert code == 2
    assert all(name in err for name in METRICS)


def test_names_of_orders_are_those_of_the_library() -> None:
    from simsearch.cli.options import OrderName
    from simsearch.search.arguments import Order

    assert set(get_args(Order)) == set(OrderName)


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_printed_on_one_line_and_exact_in_json(
    run: Run, pictures: Path, tmp_path: Path, name: bytes
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    raw = os.fsencode(own) + b"/" + name
    shutil.copyfile(pictures / "0.png", raw)
    folder = tmp_path / "l"
    assert run("index", own, "--library", folder, "--model", FAKE, "--workers", 0)[0] == 0
    out = run("query", "--model", FAKE, own, "--library", folder)[1]
    assert len(out.splitlines()) == 2
    assert out.replace("\n", "").isprintable()
    if name.isascii() and name.decode().isprintable():
        assert name.decode() in out
    (one,) = answers(run("query", "--model", FAKE, own, "--library", folder, "--json")[1])
    for found, key in ((one, "query"), (one["matches"][0], "path")):
        encoded = found.get(f"{key}_b64")
        assert (base64.b64decode(encoded) if encoded else found[key].encode()) == raw


def test_rows_that_were_embedded_find_their_images(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    assert run("embed", pictures, "--output", rows, "--model", FAKE, "--workers", 0)[0] == 0
    code, out, _ = run("query", "--rows", rows / "part-00000.parquet", "--library", library, "-k", 1, "--json")
    assert code == 0
    found = answers(out)
    assert len(found) == 7
    for one in found:
        same = {"copy-of-0.png": "0.png"}.get(Path(one["query"]).name, Path(one["query"]).name)
        assert Path(one["matches"][0]["path"]).name == same


def test_compare_gives_the_distance_of_the_metric(run: Run, pictures: Path) -> None:
    a, b = pictures / "0.png", pictures / "1.png"
    code, out, _ = run("compare", a, b, "--model", FAKE, "--metric", "l2", "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["a"], facts["b"], facts["metric"], facts["model"]) == (str(a), str(b), "l2", "fake")
    assert facts["distance"] > 0
    assert run("compare", a, a, "--model", FAKE)[1].startswith("0.0000")


def test_compare_asks_several_models_and_writes_a_page_of_the_evidence(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    page = tmp_path / "match.html"
    ask = ("compare", pictures / "0.png", pictures / "copy-of-0.png", "--model", FAKE, "--model", "phash")
    code, out, err = run(*ask, "--report", page, "--library-size", 77, "--json")
    assert code == 0
    assert [json.loads(line)["model"] for line in out.splitlines()] == ["fake", "phash"]
    assert "match.html" in err
    text = page.read_text()
    assert "no rates of strangers are known" in text
    assert "in a library of 77 photographs" in text
    assert "The bytes are the same" in text
    assert run(*ask, "--library-size", 77)[0] == 2
    before = (pictures / "2.png").read_bytes()
    assert run(*ask, "--report", pictures / "2.png")[0] == 3
    assert (pictures / "2.png").read_bytes() == before


def test_a_picture_that_cannot_be_compared_is_an_error_with_a_name(run: Run, pictures: Path) -> None:
    code, out, err = run("compare", pictures / "0.png", pictures / "broken.jpg", "--model", FAKE)
    assert (code, out) == (3, "")
    assert "unknown_format" in err


def test_no_library_is_said_in_one_line(run: Run, pictures: Path, tmp_path: Path) -> None:
    code, out, err = run("query", "--model", FAKE, pictures, "--library", tmp_path / "none")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1


@pytest.mark.parametrize("arguments", [("-k", "0"), ("--metric", "taxicab"), ("--max-distance", "-1"), ("--rows", "a")])
def test_wrong_usage_is_exit_code_2(run: Run, library: Path, pictures: Path, arguments: tuple[str, ...]) -> None:
    assert run("query", "--model", FAKE, pictures, "--library", library, *arguments)[0] == 2


def test_a_library_runs_no_code_that_it_names(run: Run, library: Path, pictures: Path) -> None:
    """P10: a manifest is data; the class that made its rows is run only when the caller names it."""
    code, out, err = run("query", pictures / "0.png", "--library", library)
    assert (code, out) == (3, "")
    assert f"--model {FAKE}" in err


def test_a_single_query_is_decoded_in_a_process_of_its_own(
    run: Run, library: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a file which crashes a decoder costs one reject, and not the command."""
    started: list[int] = []
    real = workers.prepare

    def watched(*arguments: Any, workers: int, **more: Any) -> Any:
        started.append(workers)
        return real(*arguments, workers=workers, **more)

    monkeypatch.setattr(workers, "prepare", watched)
    assert run("query", "--model", FAKE, pictures / "0.png", "--library", library)[0] == 0
    assert started
    assert min(started) >= 1


def test_a_link_to_the_match_is_told_from_a_copy(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "linked"
    folder.mkdir()
    first = next(one for one in sorted(pictures.iterdir()) if one.suffix == ".png")
    for name in ("a.png", "d.png", "e.png"):
        shutil.copy(first, folder / name)
    os.link(folder / "a.png", folder / "b.png")
    (folder / "c.png").symlink_to("a.png")
    assert run("index", folder, "--library", tmp_path / "l", "--model", FAKE, "--workers", 0)[0] == 0
    (folder / "e.png").unlink()
    asked = ("query", first, "--library", tmp_path / "l", "--model", FAKE)
    copies = answers(run(*asked, "--json")[1])[0]["matches"][0]["copies"]
    told = {Path(copy["path"]).name: copy.get("same_file", False) for copy in copies}
    assert told == {"b.png": True, "c.png": True, "d.png": False, "e.png": False}
    assert "b.png (the same file)" in run(*asked)[1]
