"""What commands are given to read: pipes, empty paths, mistyped ones, files beside images; counts sum to the inputs."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simsearch.images import find
from tests.cli.conftest import FAKE, Run

OUTCOMES = ("added", "unchanged", "exact_copies", "replaced", "rejected", "skipped")
Given = Callable[[bytes], list[object]]


class Pipe:
    """Standard input, as far as a list is read from it."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Given]]:
    """Ways to hand a list over."""
    threads: list[threading.Thread] = []

    def file(data: bytes) -> list[object]:
        (tmp_path / "list").write_bytes(data)
        return ["--from-list", tmp_path / "list"]

    def fifo(data: bytes) -> list[object]:
        path = tmp_path / f"fifo{len(threads)}"
        os.mkfifo(path)
        threads.append(threading.Thread(target=path.write_bytes, args=(data,)))
        threads[-1].start()
        return ["--from-list", path]

    def pipe(data: bytes) -> list[object]:  # as <(...) gives it
        end, start = os.pipe()
        os.write(start, data)
        os.close(start)
        return ["--from-list", f"/dev/fd/{end}"]

    def stdin(data: bytes) -> list[object]:
        monkeypatch.setattr("sys.stdin", Pipe(data))
        return ["--from-list", "-"]

    yield {"file": file, "fifo": fifo, "pipe": pipe, "stdin": stdin}
    for thread in threads:
        thread.join()


def indexed(run: Run, *arguments: object) -> dict[str, Any]:
    code, out, err = run("index", *arguments, "--workers", 0, "--json")
    assert code == 0, err
    facts: dict[str, Any] = json.loads(out)
    assert sum(facts[outcome] for outcome in OUTCOMES) == facts["inputs"]
    assert sum(facts["skipped_by_kind"].values()) == facts["skipped"]
    return facts


@pytest.mark.parametrize("way", ["file", "fifo", "pipe", "stdin"])
def test_every_command_reads_a_list_of_any_kind_once_and_whole(
    run: Run, pictures: Path, tmp_path: Path, given: dict[str, Given], way: str
) -> None:
    separator = b"\0" if way in ("pipe", "file") else b"\n"
    data = separator.join(bytes(path) for path in sorted(pictures.iterdir())) + separator
    common = ["--model", FAKE]
    facts = indexed(run, *given[way](data), "--library", tmp_path / "l", *common)
    assert (facts["inputs"], facts["added"], facts["exact_copies"], facts["rejected"]) == (8, 6, 1, 1)
    code, out, _ = run("query", *given[way](data), "--library", tmp_path / "l", "-k", 1, "--json", *common)
    assert (code, len(out.splitlines())) == (1, 8)
    code, out, _ = run("embed", *given[way](data), "--output", tmp_path / "r", "--workers", 0, "--json", *common)
    assert (code, json.loads(out)["rows"], json.loads(out)["rejected"]) == (0, 7, 1)


def test_bits_read_a_pipe_once(run: Run, pictures: Path, given: dict[str, Given]) -> None:
    data = b"".join(bytes(pictures / f"{i}.png") + b"\n" for i in range(3))
    code, out, err = run("bits", "encode", *given["fifo"](data), "--workers", 0)
    assert (code, len(out.splitlines())) == (0, 3), err


def test_several_processes_get_all_of_a_pipe(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Given]
) -> None:
    seen: list[bytes] = []

    def embed(arguments: list[str], *_: object, **__: object) -> dict[str, Any]:
        for _ in range(2):  # each process reads it for itself
            seen.extend(found.path for found in find([], from_list=arguments[arguments.index("--from-list") + 1]))  # type: ignore[union-attr]
        return {"rows": 8, "parts": 2, "rejected": 0, "rejected_by_code": {}, "skipped": 0, "skipped_by_kind": {}}

    monkeypatch.setattr("simsearch.cli.commands.embed_processes.embed_in_processes", embed)
    wanted = [bytes(path) for path in sorted(pictures.iterdir())]
    monkeypatch.chdir(pictures)
    data = b"".join(os.path.relpath(path, bytes(pictures)) + b"\n" for path in wanted)
    arguments = ["--output", tmp_path / "r", "--device", "cpu,cpu", "--model", FAKE]
    code, _, err = run("embed", *given["stdin"](data), *arguments)
    assert (code, seen) == (0, wanted * 2), err


@pytest.mark.parametrize(
    "arguments",
    [
        ("remove", ""), ("remove", "p", ""), ("remove", "", "--purge"), ("index", ""), ("index", "p", ""),
        ("index", "--from-list", ""), ("query", ""), ("query", "--from-list", ""), ("query", "p", "--rows", ""),
        ("index", "p", "--library="),
    ],
)  # fmt: skip
def test_an_empty_path_is_wrong_usage_everywhere(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    shutil.copytree(pictures, tmp_path / "p")
    monkeypatch.chdir(tmp_path)
    indexed(run, "p", "--library", "l", "--model", FAKE)
    code, out, err = run(*arguments, *([] if "--library=" in arguments else ["--library", "l"]))
    assert (code, out) == (2, "")
    assert "empty path" in err
    assert json.loads(run("info", "--library", "l", "--json")[1])["items"] == 7


@pytest.mark.parametrize(
    "arguments", [("embed", "", "--output", "r"), ("embed", "p", "--output", ""), ("compare", "", "p")]
)
def test_an_empty_path_is_wrong_usage_without_a_library(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments, "--model", FAKE)
    assert (code, out) == (2, "")
    assert "empty path" in err
    assert not list(tmp_path.iterdir())


def test_the_current_folder_is_a_folder(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures)
    assert indexed(run, ".", "--library", tmp_path / "l", "--model", FAKE)["added"] == 6
    assert run("query", ".", "--library", tmp_path / "l", "--model", FAKE)[0] == 1
    code, out, _ = run("remove", ".", "--library", tmp_path / "l", "--json")
    assert (code, json.loads(out)["removed"]) == (0, 7)


@pytest.mark.parametrize(
    "arguments",
    [
        ("index", "mistyped"), ("index", "p", "mistyped"), ("index", "--from-list", "mistyped"),
        ("index", "--rows", "mistyped"), ("index", "--from-list", "bad.csv"), ("index", "mistyped", "--prune"),
        ("index", "mistyped", "--prune", "--prune-empty"),
    ],
)  # fmt: skip
def test_a_mistyped_path_leaves_no_library(
    run: Run, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    shutil.copytree(pictures, tmp_path / "p")
    (tmp_path / "bad.csv").write_text("file\nx\n")
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(*arguments, "--library", "new", "--model", FAKE)
    assert (code, out) == (3, "")
    code, out, _ = run("embed", *arguments[1:3], "--output", "new", "--model", FAKE)
    assert code in (2, 3)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("names", [["nope.png"], ["gone/a.png", "gone/b.png"], ["x" * 3000 + ".png"]])
@pytest.mark.parametrize("way", ["file", "fifo", "pipe", "stdin"])
@pytest.mark.parametrize("command", [("index", "--library"), ("embed", "--output")])
def test_a_list_of_which_nothing_exists_leaves_no_folder(  # noqa: PLR0917
    run: Run, tmp_path: Path, given: dict[str, Given], names: list[str], way: str, command: tuple[str, str]
) -> None:
    data = "".join(f"{name}\n" for name in names).encode()
    code, out, err = run(command[0], *given[way](data), command[1], tmp_path / "new", "--model", FAKE)
    assert (code, out) == (3, "")
    assert names[0][-8:] in err
    assert len(err) < 700
    assert not (tmp_path / "new").exists()


def test_a_long_name_in_a_list_is_told_shortly(run: Run, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "l").write_text(f"{min(pictures.iterdir())}\n{'x' * 5000}\n")
    code, out, _ = run("index", "--from-list", tmp_path / "l", "--library", tmp_path / "new", "--model", FAKE)
    assert (code, "rejected:" in out) == (0, True)
    assert max(map(len, out.splitlines())) < 600


def test_a_query_of_a_folder_leaves_out_the_library_in_it(run: Run, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "p")
    library = tmp_path / "p" / "sub" / "library"
    indexed(run, tmp_path / "p", "--library", library, "--model", FAKE)
    shutil.copy(min(pictures.iterdir()), library / "thumbnail.png")
    (library / "unknown").write_bytes(b"\1\2")
    _, out, err = run("query", tmp_path / "p", "--library", library, "-k", 1, "--json", "--model", FAKE)
    assert len(out.splitlines()) == 8
    assert "skipped" not in err


def takeout(folder: Path, pictures: Path) -> Path:
    """Photographs, each with side files, as exports of photo services hold them."""
    folder.mkdir()
    for i in range(4):
        shutil.copyfile(pictures / f"{i}.png", folder / f"{i}.png")
        (folder / f"{i}.png.json").write_text("{}")
        (folder / f"{i}.xmp").write_text("<x/>")
    (folder / "clip.mp4").write_bytes(b"\0\0\0\x14ftypisom" + bytes(600))
    os.mkfifo(folder / "pipe")
    return folder


def test_other_files_are_counted_apart_and_set_no_exit_code(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder = takeout(tmp_path / "takeout", pictures)
    common = ["--library", tmp_path / "l", "--model", FAKE]
    kinds = {"json": 4, "xmp": 4, "mp4": 1, "fifo": 1}
    for outcome in ("added", "unchanged"):
        facts = indexed(run, folder, *common, "--strict")
        assert (facts[outcome], facts["skipped"], facts["skipped_by_kind"], facts["inputs"]) == (4, 10, kinds, 14)
    said = (
        "10 other files skipped (json 4, xmp 4, fifo 1, mp4 1)",
        "10 other files skipped (json 4, xmp 4, mp4 1, fifo 1)",
    )
    code, out, _ = run("index", folder, *common, "--strict")
    assert code == 0
    assert any(line in out.splitlines() for line in said)
    code, out, err = run("query", folder, *common, "--json")
    assert (code, len(out.splitlines())) == (0, 4)
    assert any(line in err.splitlines() for line in said)
    code, out, _ = run(
        "embed", folder, "--output", tmp_path / "r", "--model", FAKE, "--strict", "--json", "--workers", 0
    )
    assert (code, json.loads(out)["skipped_by_kind"], json.loads(out)["rows"]) == (0, kinds, 4)
    shards = [
        json.loads(
            run("embed", folder, "--output", tmp_path / f"s{i}", "--model", FAKE, "--shard", f"{i}/3", "--json")[1]
        )
        for i in (1, 2, 3)
    ]
    assert sum(one["skipped"] for one in shards) == 10
    assert max(one["skipped"] for one in shards) == 4


def test_an_other_file_that_is_named_is_told_and_a_broken_image_is_shown(
    run: Run, pictures: Path, tmp_path: Path
) -> None:
    folder = takeout(tmp_path / "takeout", pictures)
    (folder / "broken.jpg").write_bytes(b"no picture")
    common = ["--library", tmp_path / "l", "--model", FAKE, "--strict", "--workers", 0]
    code, out, _ = run("index", folder, *common)
    assert (code, "broken.jpg" in out, "xmp:" in out) == (1, True, False)
    code, out, _ = run("index", folder / "0.xmp", *common, "--json")
    assert (code, json.loads(out)["rejected"], json.loads(out)["skipped"]) == (1, 1, 0)


def test_pruning_an_empty_folder_is_refused_until_told(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    shutil.copytree(pictures, folder)
    common = ["--library", tmp_path / "l", "--model", FAKE]
    indexed(run, folder, *common)
    for path in folder.iterdir():
        path.unlink()
    code, out, err = run("index", folder, *common, "--prune")
    assert (code, out) == (3, "")
    assert "holds 7 images" in err
    assert "--prune-empty" in err
    assert run("index", folder, *common, "--prune-empty")[0] == 2
    assert indexed(run, folder, *common, "--prune", "--prune-empty")["pruned"] == 7


def test_links_and_moves_are_told(run: Run, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "p"
    shutil.copytree(pictures, folder)
    os.link(folder / "1.png", folder / "hard.png")
    common = ["--library", tmp_path / "l", "--model", FAKE, "--workers", 0]
    facts = indexed(run, folder, *common)
    assert (facts["exact_copies"], facts["same_file"], facts["copies_of_gone"]) == (2, 1, 0)
    folder.rename(tmp_path / "moved")
    code, out, _ = run("index", tmp_path / "moved", *common)
    assert code == 0
    assert "1 of these: further links" in out
    assert "of the exact copies are of files that are no longer where they were" in out
    assert "--prune-empty" in out
