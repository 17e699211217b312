"""Answers are handed on whole: the dicts of the command line, a table, and pages that hold nothing foreign."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import DependencyMissing
from simsearch.library import Library, Matches
from tests.cli.conftest import FAKE, Run, run  # noqa: F401
from tests.library.helpers import HERE, album, make, paint

NAMES = [
    b"<img src=x onerror=alert(1)>.png",
    b"two\nlines\x1b[31m.png",
    b"\xff\xfe.png",
    "ü ≠ 図 &amp; \"'.png".encode(),
]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    photos = album(tmp_path / "photos", range(12))
    for i, name in enumerate(NAMES):
        Path(os.fsdecode(os.fsencode(photos) + b"/" + name)).write_bytes(paint(tmp_path / "x", 50 + i).read_bytes())
    (photos / "copy.png").write_bytes((photos / "0000.png").read_bytes())
    library = make(tmp_path / "l")
    library.add(photos, settings=HERE)
    (photos / "0003.png").unlink()
    (photos / "0004.png").write_bytes(b"no picture any more")
    return library


@pytest.fixture
def matches(library: Library, tmp_path: Path) -> Matches:
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return library.search([tmp_path / "photos", Image.new("L", (5, 5), 99)], k=20)


def test_to_list_is_what_the_command_line_prints(
    run: Run,  # noqa: F811
    matches: Matches,
    library: Library,
    tmp_path: Path,
) -> None:
    out = run("query", tmp_path / "photos", "--library", library.path, "--model", FAKE, "-k", 20, "--json")[1]
    told = matches.to_list()
    assert [json.loads(line) for line in out.splitlines()] == told[:-1]
    assert told[-1]["query"] is None
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    copies = [m["copies"] for m in told[0]["matches"] if Path(m["path"]).name == "0000.png"]
    assert [[Path(copy["path"]).name for copy in one] for one in copies] == [["copy.png"]]


def test_the_table_loses_no_query_and_no_match(matches: Matches) -> None:
    table = matches.to_arrow()
    assert table.num_rows == sum(max(1, len(one.matches)) for one in matches)
    for i, one in enumerate(matches):
        lines = [line for line in table.to_pylist() if line["query_number"] == i]
        assert [line["id"] for line in lines] == ([m.id for m in one.matches] or [None])
        assert [line["rank"] for line in lines] == (list(range(1, len(one.matches) + 1)) or [None])
        assert {line["rejected"] for line in lines} == {one.rejected and str(one.rejected.code)}
        assert [line["distance"] for line in lines] == ([np.float32(m.distance) for m in one.matches] or [None])
    assert table.schema.metadata[b"metric"] == b"js"
    assert Matches((), 3, 0, "fake", "js").to_arrow().schema.names == table.schema.names


def test_data_frames_need_pandas_and_say_so(matches: Matches, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("pandas") is not None:
        frame = matches.to_pandas()
        assert list(frame.columns) == matches.to_arrow().schema.names
        assert len(frame) == matches.to_arrow().num_rows
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DependencyMissing, match="pip install pandas"):
        matches.to_pandas()


class Page(HTMLParser):
    """What a browser would see: which elements, what they load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.images: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(name for name, _ in attrs)
        self.images += [value or "" for name, value in attrs if name == "src"]


def test_pages_hold_small_pictures_and_nothing_foreign(matches: Matches) -> None:
    for text in (matches._repr_html_(), *(one._repr_html_() for one in matches)):
        page = Page(text)
        assert set(page.tags) <= {"div", "table", "tr", "td", "img", "br", "span"}
        assert page.attributes <= {"src", "style", "alt", "title"}
        assert "http" not in text
        assert text.replace("\n", "").isprintable()
        for image in page.images:
            kind, _, data = image.partition(",")
            assert kind == "data:image/jpeg;base64"
            with Image.open(BytesIO(base64.b64decode(data))) as picture:
                assert max(picture.size) <= 96
    assert len(Page(matches._repr_html_()).images) <= 5 * 11
    assert len(matches._repr_html_()) < 500_000
    assert Page(matches[0]._repr_html_()).images
    assert "rejected" in "".join(one._repr_html_() for one in matches)


def test_texts_are_short_and_of_printable_lines(matches: Matches, library: Library) -> None:
    for value in (matches, *matches, *matches[0].matches, matches[-1].matches):
        lines = repr(value).splitlines()
        assert len(lines) <= 30
        assert all(line.isprintable() for line in lines)
    assert repr(matches).startswith("18 queries by js among 17 images")
    assert "copies=1" in repr(next(m for m in matches[0].matches if m.copies))
    rejected = next(one.rejected for one in matches if one.rejected)
    assert re.fullmatch(r"Rejected\(.*0004\.png: unknown_format: .*\)", repr(rejected))
    assert re.fullmatch(r"Library\('.*l', 17 images, 'fake' by '.*'\)", repr(library))
    library.close()
    assert re.fullmatch(r"Library\('.*l', closed\)", repr(library))


def test_extractors_say_what_they_are(tiny: Path) -> None:
    from simsearch.extract import Extractor, load_extractor
    from tests.fake import FakeExtractor

    fingerprint = FakeExtractor.fingerprint[:12]
    assert repr(FakeExtractor()) == f"FakeExtractor('fake', dimension 192, js, fingerprint {fingerprint})"
    told = repr(load_extractor(tiny, device="cpu", dtype="float32"))
    assert told.startswith("NeuralExtractor('tiny', dimension 20, js, cpu float32, fingerprint ")
    assert repr(load_extractor("dhash")).startswith("DHash('dhash', dimension ")

    class Unfinished(Extractor):
        def embed_pixels(self, pixels):  # type: ignore[no-untyped-def]
            return pixels

    assert "Unfinished" in repr(Unfinished())


def test_the_face_of_distance_is_what_it_offers() -> None:
    from simsearch import distance

    assert set(dir(distance)) == set(distance.__all__)
    assert {"js", "cosine", "l1", "l2", "hamming"} <= set(dir(distance))
    assert not {"np", "Any", "Protocol", "Callable"} & set(dir(distance))


@pytest.mark.parametrize("indexed", [False, True])
def test_a_tie_goes_to_the_lower_id_after_an_item_is_replaced(tmp_path, indexed):
    from tests.library.fuzzing import Life

    life = Life(tmp_path / "rows.library", 3)  # by l2
    life.pool[:] = life.pool[0]  # all equal
    life._add([b"%d" % i for i in range(300)])
    for name in (b"5", b"0", b"7"):
        life._add([name])
    life.library.refresh()
    if indexed:
        assert life.library.optimize(recall=0.1, kind="flat", metric=life.metric)
        life._add([b"1"])
        life._add([b"0"])
        life.library.refresh()
    for k in (1, 3, 12):
        found = life.library.search_rows(life.pool[0], k=k, metric=life.metric, group_copies=False)[0]
        assert found.certified or indexed
        assert [match.id for match in found.matches] == list(range(k))
