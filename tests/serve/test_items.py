"""Items over HTTP: facts, small pictures by id alone, adding and removing; what the service says of itself."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.library import Library
from simsearch.library.format.layout import LOCK
from simsearch.library.format.lock import writer_lock
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make, paint
from tests.serve.conftest import READ, WRITE, Served, Serving, running, tokens_in
from tests.serve.test_search import FORM, form


def test_an_item_is_told_as_it_was_added(served: Served, photographs: Path) -> None:
    facts = served.ask("GET", "/v1/items/3").json
    data = (photographs / "0003.png").read_bytes()
    assert facts["path"] == str(photographs / "0003.png")
    assert facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert (facts["width"], facts["height"], facts["bytes"]) == (10, 12, len(data))
    assert (facts["id"], facts["generation"], facts["owner"]) == (3, 1, None)


@pytest.mark.parametrize("number", ["12", "999999", str(2**61)])
def test_an_item_that_is_not_there_is_not_found(served: Served, number: str) -> None:
    for path in (f"/v1/items/{number}", f"/v1/items/{number}/thumbnail"):
        reply = served.ask("GET", path)
        assert (reply.status, reply.error) == (404, "ItemNotFound")


def test_a_small_picture_is_that_of_its_item(served: Served, photographs: Path) -> None:
    reply = served.ask("GET", "/v1/items/3/thumbnail")
    assert (reply.status, reply.headers["content-type"]) == (200, "image/jpeg")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-disposition"] == 'inline; filename="3.jpg"'
    assert reply.headers["cache-control"].startswith("private")
    assert reply.headers["content-security-policy"] == "default-src 'none'"
    shown = np.asarray(Image.open(io.BytesIO(reply.body)).convert("L"), float)
    original = np.asarray(Image.open(photographs / "0003.png").convert("L"), float)
    other = np.asarray(Image.open(photographs / "0004.png").convert("L"), float)
    assert np.abs(shown - original).mean() < np.abs(shown - other).mean() / 3
    again = served.ask("GET", "/v1/items/3/thumbnail", If_None_Match=reply.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert served.ask("GET", "/v1/items/4/thumbnail", If_None_Match=reply.headers["etag"]).status == 200


def test_sides_bound_a_small_picture(tmp_path: Path) -> None:
    Image.new("RGB", (900, 300), (200, 30, 30)).save(tmp_path / "wide.png")
    with make(tmp_path / "library") as made:
        made.add(tmp_path / "wide.png", settings=HERE)
    with running(tmp_path / "library") as served:
        for side, size in ((64, (64, 21)), (512, (512, 171))):
            picture = Image.open(io.BytesIO(served.ask("GET", f"/v1/items/0/thumbnail?side={side}").body))
            assert picture.size == size


def test_a_file_that_is_not_what_was_indexed_is_never_shown(tmp_path: Path) -> None:
    folder = album(tmp_path / "album", range(4))
    (tmp_path / "secret.txt").write_text("a secret that is no picture")
    paint(tmp_path / "private.png", 99)
    with make(tmp_path / "library") as made:
        made.add(folder, settings=HERE)
    (folder / "0000.png").unlink()
    (folder / "0001.png").unlink()
    (folder / "0001.png").symlink_to(tmp_path / "private.png")
    (folder / "0002.png").write_bytes((tmp_path / "secret.txt").read_bytes())
    (folder / "0003.png").unlink()
    os.mkfifo(folder / "0003.png")
    with running(tmp_path / "library") as served:
        for number in range(4):
            reply = served.ask("GET", f"/v1/items/{number}/thumbnail")
            assert (reply.status, reply.error, reply.json["error"]["reason"]) == (422, "ImageRejected", "io_error")


@pytest.mark.parametrize(
    "path", ["/v1/items/../../etc/passwd", "/v1/items/%2e%2e%2fetc", "/v1/items//etc/passwd/thumbnail"]
)
def test_nothing_but_a_number_names_an_item(served: Served, path: str) -> None:
    assert served.ask("GET", path).status in {400, 404}


def test_members_of_a_tar_and_odd_names_have_small_pictures(tmp_path: Path) -> None:
    album(tmp_path / "album", [1])
    odd = os.fsencode(tmp_path) + b"/\xff<script>\n.png"
    shutil.copyfile(os.fsencode(tmp_path / "album" / "0001.png"), odd)
    paint(tmp_path / "in.png", 5)
    with tarfile.open(tmp_path / "shard.tar", "w") as shard:
        shard.add(tmp_path / "in.png", "in.png")
    with make(tmp_path / "library") as made:
        made.add([odd, tmp_path / "shard.tar"], settings=HERE)
    with running(tmp_path / "library") as served:
        assert [served.ask("GET", f"/v1/items/{i}/thumbnail").status for i in range(2)] == [200, 200]
        facts = served.ask("GET", "/v1/items/0").json
        assert "\\xff" in facts["path"]
        assert facts["path_b64"]


def test_pictures_are_added_found_and_removed(writable: Served, library: Path, tmp_path: Path) -> None:
    first, second = (paint(tmp_path / f"{seed}.png", seed).read_bytes() for seed in (100, 101))
    reply = writable.ask(
        "POST", "/v1/items", form(("image", first), ("image", b"none"), ("image", second)), kind=FORM, token=WRITE
    )
    told = reply.json
    assert (reply.status, told["ids"]) == (200, [12, None, 13])
    assert (told["report"]["added"], told["report"]["codes"]) == (2, {"unknown_format": 1})
    found = writable.ask("POST", "/v1/search?k=1", second, token=READ).json
    assert (found["matches"][0]["id"], found["matches"][0]["path"]) == (13, "id:13")
    assert found["generation"] == told["generation"]
    again = writable.ask("POST", "/v1/items", second, kind="image/png", token=WRITE).json
    assert (again["ids"], again["report"]["unchanged"]) == ([13], 1)
    assert writable.ask("GET", "/v1/items/13/thumbnail", token=READ).error == "ImageRejected"
    removed = writable.ask("DELETE", "/v1/items/13?purge=true", token=WRITE)
    assert (removed.json["removed"], removed.json["generation"] > told["generation"]) == (1, True)
    assert writable.ask("DELETE", "/v1/items/13", token=WRITE).error == "ItemNotFound"
    with Library.open(library, extractor=FakeExtractor(), device="cpu") as opened:
        assert len(opened) == 13
        assert opened.verify(deep=True) == []


def test_adding_takes_pictures_alone(writable: Served) -> None:
    for body, kind in (({"url": "http://127.0.0.1"}, ""), (b"", ""), (form(("a", "b")), FORM)):
        reply = writable.ask("POST", "/v1/items", body, kind=kind, token=WRITE)
        assert (reply.status, reply.error) == (400, "InputError")


def test_another_writer_is_told_and_nothing_is_lost(writable: Served, library: Path, tmp_path: Path) -> None:
    picture = paint(tmp_path / "new.png", 200).read_bytes()
    with writer_lock(library / LOCK):
        reply = writable.ask("POST", "/v1/items", picture, token=WRITE)
        assert (reply.status, reply.error, reply.headers["retry-after"]) == (409, "LibraryLocked", "1")
        assert str(library) not in reply.body.decode()
        assert writable.ask("POST", "/v1/search", picture, token=READ).status == 200
    assert writable.ask("POST", "/v1/items", picture, token=WRITE).json["ids"] == [12]


def test_the_library_is_told_without_its_place(served: Served, kept: Path) -> None:
    reply = served.ask("GET", "/v1/library")
    assert (reply.json["items"], reply.json["generation"], reply.json["channels"][0]["name"]) == (12, 1, "fake")
    assert str(kept.parent) not in reply.body.decode()


def test_a_defect_is_told_without_its_trace(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret of the server")

    monkeypatch.setattr("simsearch.serve.routes.search.answer_one", broken)
    reply = served.ask("POST", "/v1/search", {"id": 1})
    assert (reply.status, reply.error) == (500, "Defect")
    assert "secret" not in reply.body.decode()
    assert served.ask("GET", "/livez").status == 200


def test_figures_are_what_prometheus_reads(serving: Serving, tmp_path: Path) -> None:
    served = serving(tokens=tokens_in(tmp_path))
    for path in ("/v1/items/1", "/v1/items/2", "/v1/items/999", '/odd"\n\\'):
        served.ask("GET", path.replace("\n", "%0a"), token=READ)
    served.ask("GET", "/v1/library")
    text = served.ask("GET", "/metrics", token=READ).body.decode()
    line = re.compile(r'(# (HELP|TYPE) \w+ .+|\w+(\{(\w+="[^"\\\n]*",?)*\})? [-+.\deinfE]+)')
    assert [one for one in text.splitlines() if not line.fullmatch(one)] == []
    assert 'simsearch_requests_total{route="/v1/items/{id}",method="GET",status="200"} 2' in text
    assert 'simsearch_requests_total{route="/v1/items/{id}",method="GET",status="404"} 1' in text
    assert 'simsearch_requests_total{route="/v1/library",method="GET",status="401"} 1' in text
    assert 'simsearch_requests_total{route="other",method="GET",status="404"} 1' in text
    assert 'simsearch_request_seconds_bucket{route="/v1/items/{id}",le="+Inf"} 3' in text
    assert "simsearch_library_items 12" in text
    assert "simsearch_library_generation 1" in text


def test_the_description_says_what_there_is_and_every_example_is_taken(served: Served) -> None:
    told = served.ask("GET", "/openapi.json").json
    assert {"/v1/search", "/v1/search/batch", "/v1/items", "/v1/items/{id}", "/v1/library", "/metrics"} <= set(
        told["paths"]
    )
    for path, methods in told["paths"].items():
        for method, what in methods.items():
            assert what["summary"], (method, path)
            if path.startswith("/v1/"):
                assert "example" in str(what["responses"]) or path.endswith("thumbnail"), (method, path)
    examples = told["paths"]["/v1/search"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    assert served.ask("POST", "/v1/search", {**examples["by id"]["value"], "id": 3}).status == 200
