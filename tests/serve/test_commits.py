"""P17: newer commits and indexes come in under load without an error, and every answer is of one commit."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsearch.errors import LibraryError
from simsearch.library import Library
from simsearch.serve.settings import ServeSettings
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, paint
from tests.library.rows import library_of_rows
from tests.serve.conftest import READ, WRITE, Served, Serving, running, tokens_in

KINDS = ("id", "row", "picture")


def question(kind: str, folder: Path, number: int) -> tuple[bytes, str]:
    if kind == "id":
        return json.dumps({"id": number, "k": 40}).encode(), "application/json"
    if kind == "row":
        row = np.random.default_rng(number).random(FakeExtractor.dimension) + 0.01
        return json.dumps({"row": row.tolist(), "k": 40}).encode(), "application/json"
    return (folder / f"{number:04d}.png").read_bytes(), "image/png"


def asking(served: Served, stop: threading.Event, asked: tuple[bytes, str]) -> list[dict[str, Any]]:
    """Answers to one question, again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
    answers = []
    while not stop.is_set():
        connection.request("POST", "/v1/search?k=40" if asked[1] == "image/png" else "/v1/search", asked[0],
                           {"Content-Type": asked[1]})  # fmt: skip
        reply = connection.getresponse()
        body = reply.read()
        assert reply.status == 200, body
        answers.append(json.loads(body))
    connection.close()
    return answers


def test_commits_of_another_writer_and_indexes_come_in_under_load(
    serving: Serving, library: Path, photographs: Path, tmp_path: Path
) -> None:
    served, stop = serving(settings=ServeSettings(poll_s=0.02)), threading.Event()
    held = {1: set(range(12))}  # which ids each commit holds
    with ThreadPoolExecutor(6) as pool, Library.open(library, extractor=FakeExtractor(), device="cpu") as writer:
        askers = [pool.submit(asking, served, stop, question(KINDS[i % 3], photographs, i)) for i in range(6)]
        try:
            for step in range(12):
                if step % 3 == 2:
                    writer.remove([f"id:{max(held[writer.snapshot.state.generation])}"])
                elif step % 4 == 1:
                    writer.optimize()
                else:
                    writer.add(paint(tmp_path / "more" / f"{step}.png", 500 + step), settings=HERE)
                held[writer.snapshot.state.generation] = set(writer.snapshot.ids().tolist())
                time.sleep(0.05)
            deadline = time.monotonic() + 10
            while served.held.view.generation != writer.snapshot.state.generation:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            time.sleep(0.1)
        finally:
            stop.set()
        answers = [answer for asker in askers for answer in asker.result()]
    seen = {answer["generation"] for answer in answers}
    assert len(seen) >= 3
    assert max(seen) == max(held)
    for answer in answers:
        ids = {one["id"] for match in answer["matches"] for one in (match, *match["copies"])}
        assert ids == held[answer["generation"]]
        assert answer["library_size"] == len(ids)
    assert served.held.failures == 0


def test_an_index_comes_in_under_load_and_codes_are_asked_without_their_model(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    rows = rng.random((600, 16), np.float32).astype(np.float16)
    library_of_rows(tmp_path / "rows", rows).close()
    body = json.dumps({"row": rows[5].tolist(), "k": 10, "metric": "l2"}).encode()
    stop = threading.Event()
    with running(tmp_path / "rows", settings=ServeSettings(poll_s=0.02)) as served, ThreadPoolExecutor(4) as pool:
        assert "ModelNotFound" in served.ask("GET", "/readyz").json["problem"]
        assert served.ask("POST", "/v1/search", b"GIF89a", kind="image/gif").status == 500
        askers = [pool.submit(asking, served, stop, (body, "application/json")) for _ in range(4)]
        with Library.open(tmp_path / "rows", device="cpu") as writer:
            writer.optimize(recall=0.5, metric="l2", kind="flat")
        deadline = time.monotonic() + 20
        while served.ask("POST", "/v1/search", body, kind="application/json").json["recall"] is None:
            assert time.monotonic() < deadline
        stop.set()
        answers = [answer for asker in askers for answer in asker.result()]
    assert {tuple(match["id"] for match in answer["matches"]) for answer in answers} == {
        tuple(match["id"] for match in answers[0]["matches"])
    }


def test_what_one_asker_adds_another_finds_and_the_answer_names_its_commit(serving: Serving, tmp_path: Path) -> None:
    served = serving(tokens=tokens_in(tmp_path))

    def add(seed: int) -> tuple[int, int]:
        data = paint(tmp_path / f"{seed}.png", seed).read_bytes()
        told = served.ask("POST", "/v1/items", data, token=WRITE).json
        found = served.ask("POST", "/v1/search?k=1", data, token=READ).json
        assert found["generation"] >= told["generation"]
        assert found["matches"][0]["id"] == told["ids"][0]
        return told["ids"][0], told["generation"]

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(add, range(300, 312)))
    assert sorted(number for number, _ in added) == list(range(12, 24))
    assert len({generation for _, generation in added}) == 12


def test_a_commit_that_cannot_be_taken_up_leaves_the_older_one(serving: Serving, library: Path) -> None:
    served = serving(settings=ServeSettings(poll_s=0.02))
    manifest = (library / "manifest.sqlite").read_bytes()
    (library / "manifest.sqlite").write_bytes(b"damaged" * 1000)
    deadline = time.monotonic() + 10
    while not served.held.failures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert served.held.failures
    assert served.ask("POST", "/v1/search", {"id": 1}).status == 200
    (library / "manifest.sqlite").write_bytes(manifest)


def test_writes_do_not_wait_while_a_newer_commit_is_made_fast_to_search(
    serving: Serving, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    served = serving(settings=ServeSettings(poll_s=0.02), tokens=tokens_in(tmp_path))
    begun, end = threading.Event(), threading.Event()

    def prepare() -> None:
        begun.set()
        assert end.wait(20)
        raise LibraryError("no memory for tables")

    monkeypatch.setattr(served.held, "_prepare", prepare)
    with Library.open(library, extractor=FakeExtractor(), device="cpu") as writer:
        writer.add(paint(tmp_path / "theirs.png", 700), settings=HERE)
    assert begun.wait(20)
    try:
        data = paint(tmp_path / "mine.png", 701).read_bytes()
        assert served.ask("POST", "/v1/items", data, token=WRITE).json["ids"] == [13]
        assert served.ask("POST", "/v1/search?k=1", data, token=READ).json["matches"][0]["id"] == 13
    finally:
        end.set()
    deadline = time.monotonic() + 20
    while not served.held.failures and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "a newer commit is searched without what makes it fast: no memory for tables" in caplog.text


def test_sigterm_answers_what_is_under_way_and_ends(library: Path, tmp_path: Path) -> None:
    tokens_in(tmp_path)
    command = [sys.executable, "-m", "simsearch.cli", "serve", "--library", str(library), "--port", "0", "--json",
               "--model", "tests.fake:FakeExtractor", "--read-token", str(tmp_path / "read.txt")]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            served = Served(int(url.rpartition(":")[2]), None)
            deadline = time.monotonic() + 60
            while served.ask("GET", "/readyz").status != 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
            body = json.dumps({"id": 1}).encode()
            connection.putrequest("POST", "/v1/search")
            for name, value in (("Authorization", f"Bearer {READ}"), ("Content-Type", "application/json"),
                                ("Content-Length", str(len(body)))):  # fmt: skip
                connection.putheader(name, value)
            connection.endheaders(body[:4])  # half of it is there
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            connection.send(body[4:])
            reply = connection.getresponse()
            assert (reply.status, json.loads(reply.read())["matches"][0]["id"]) == (200, 1)
            connection.close()
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out) == (143, b"")
    assert err.decode().strip() == "interrupted by SIGTERM"
    assert READ not in err.decode()
