"""`query --server` says what `query --library` says, and `serve` refuses in one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, Run
from tests.library.helpers import album
from tests.serve.conftest import READ, Served, running, tokens_in


@pytest.fixture
def served(library: Path, tmp_path: Path) -> Iterator[Served]:
    with running(library, tokens=tokens_in(tmp_path)) as one:
        yield one


def plain(out: str) -> list[dict]:  # type: ignore[type-arg]
    return [{k: v for k, v in json.loads(line).items() if k != "generation"} for line in out.splitlines()]


def test_a_service_is_asked_as_a_folder_is(
    run: Run, library: Path, served: Served, pictures: Path, tmp_path: Path
) -> None:
    there = ("--server", served.url, "--token", tmp_path / "read.txt")
    here = ("--library", library, "--model", FAKE)
    for how in (
        (),
        ("-k", 2),
        ("--max-distance", 0.2),
        ("--metric", "cosine", "--no-group-copies"),
        ("--views", "flips"),
    ):
        code, out, _ = run("query", pictures, *here, "--json", *how)
        code_there, out_there, err = run("query", pictures, *there, "--json", *how)
        assert (code_there, plain(out_there)) == (code, plain(out)), err
        assert run("query", pictures, *there, *how)[:2] == run("query", pictures, *here, *how)[:2]


def test_rows_are_asked_of_a_service(run: Run, library: Path, served: Served, pictures: Path, tmp_path: Path) -> None:
    for model, name in ((FAKE, "rows"), ("tests.fake:OtherExtractor", "others")):
        code, _, err = run("embed", pictures, "--output", tmp_path / name, "--model", model, "--workers", 0)
        assert code == 0, err
    rows = tmp_path / "rows" / "part-00000.parquet"
    there = ("--server", served.url, "--token", tmp_path / "read.txt", "--json")
    wanted = run("query", "--rows", rows, "--library", library, "--json")[1]
    assert plain(run("query", "--rows", rows, *there)[1]) == plain(wanted)
    code, _, err = run("query", "--rows", tmp_path / "others" / "part-00000.parquet", *there)
    assert (code, "fingerprint" in err) == (3, True)


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--library", "x", "--token", "y"),
        ("--server", "http://127.0.0.1:1", "--exclude-self"),
        ("--server", "http://127.0.0.1:1", "-k", 0, "--max-distance", 1),
        ("--server", "http://127.0.0.1:1", "--model", "mini"),
    ],
)
def test_one_library_is_asked(run: Run, pictures: Path, flags: tuple[str, ...]) -> None:
    assert run("query", pictures, *flags)[0] == 2


def test_what_goes_wrong_is_one_line(run: Run, served: Served, library: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "wrong.txt").write_text("wrong-token-wrong-token")
    for command in (
        ("query", pictures, "--server", served.url),
        ("query", pictures, "--server", served.url, "--token", tmp_path / "wrong.txt"),
        ("query", pictures, "--server", served.url, "--token", tmp_path / "none.txt"),
        ("query", pictures, "--server", "http://127.0.0.1:1"),
        ("query", pictures, "--server", "nothing"),
        ("serve", "--library", library, "--host", "0.0.0.0"),
        ("serve", "--library", library, "--port", served.port),
        ("serve", "--library", tmp_path / "nothing", "--port", 0),
        ("serve", "--library", library, "--max-body", "much"),
        ("serve", "--library", library, "--read-token", tmp_path / "none.txt"),
    ):
        code, out, err = run(*command)
        assert (code, out, len(err.splitlines())) == (3, "", 1), (command, err)
        assert err.startswith("error: ")
        assert READ not in err


def test_without_the_packages_the_line_to_install_them_is_told(
    run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    code, _, err = run("serve", "--library", library, "--port", 0)
    assert (code, ".[serve]" in err) == (3, True)


def test_several_libraries_are_asked_as_one(
    run: Run, library: Path, served: Served, pictures: Path, tmp_path: Path
) -> None:
    more, both = tmp_path / "more", tmp_path / "both.library"
    album(more, range(70, 74))
    for where, which in ((tmp_path / "more.library", (more,)), (both, (pictures, more))):
        assert run("index", *which, "--library", where, "--model", FAKE, "--workers", 0)[0] == 0
    wanted = [
        json.loads(line) for line in run("query", more, "--library", both, "--model", FAKE, "--json")[1].splitlines()
    ]
    behind = ("--server", served.url, "--token", tmp_path / "read.txt")
    for others in (("--library", library), behind):
        code, out, err = run("query", more, "--library", tmp_path / "more.library", *others, "--model", FAKE, "--json")
        found = [json.loads(line) for line in out.splitlines()]
        assert code == 0, err
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours["shards"] == {"ok": 2, "of": 2, "missing": []}
            assert ours["library_size"] == theirs["library_size"]
            assert [(m["path"], m["distance"]) for m in ours["matches"]] == [
                (m["path"], m["distance"]) for m in theirs["matches"]
            ]
            assert [m["shard"] for m in ours["matches"] if Path(m["path"]).parent == more] == [0] * 4
    dead = ("--server", "http://127.0.0.1:9")
    code, out, err = run("query", more, "--library", tmp_path / "more.library", *dead, "--model", FAKE)
    assert code == 1
    assert "(shard 0)" in out
    assert "shard 1, Client('http://127.0.0.1:9'), did not answer" in err
    code, _, err = run("query", more, *dead, "--server", "http://127.0.0.1:8")
    assert (code, "none of 2 shards answered" in err) == (3, True)


def test_a_picture_of_too_many_pixels_is_rejected(run: Run, library: Path, pictures: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.library"
    assert run("index", pictures, "--library", again, "--model", FAKE, "--workers", 0)[0] == 0
    both = ("--library", library, "--library", again, "--model", FAKE, "--max-pixels", 4, "--json")
    code, out, _ = run("query", pictures, *both)
    told = [json.loads(line)["rejected"] for line in out.splitlines()]
    assert code == 1
    assert "too_many_pixels" in {one["code"] for one in told}
