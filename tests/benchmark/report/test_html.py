"""The report is one page that is whole, safe and loads nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image

from simsearch.benchmark.report.html import report, write_report
from simsearch.benchmark.results import Results
from tests.benchmark.example_results import example

pytest.importorskip("matplotlib")

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>.jpg'


class Page(HTMLParser):
    """Tags that were opened, in order, with their attributes; text; whether all were closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, element, attributes):
        self.tags.append((element, dict(attributes)))
        if element not in {"meta", "img", "br"}:
            self.open.append(element)

    def handle_startendtag(self, element, attributes):
        self.tags.append((element, dict(attributes)))

    def handle_endtag(self, element):
        assert self.open.pop() == element

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results with thumbnails, and with names that try to get out."""
    out = tmp_path_factory.mktemp("out")
    (out / "thumbnails").mkdir()
    Image.new("RGB", (32, 24), "teal").save(out / "thumbnails" / "0.jpg")
    (out / "thumbnails" / "not.jpg").write_text("<svg onload=alert(1)>")
    (out.parent / "secret.jpg").write_bytes((out / "thumbnails" / "0.jpg").read_bytes())
    return out


@pytest.fixture(scope="module")
def hostile() -> Results:
    results = example()
    return replace(
        results,
        photographs=replace(
            results.photographs,
            name=HOSTILE,
            rejected=(replace(results.photographs.rejected[0], name=HOSTILE, message=HOSTILE),),
        ),
        methods=tuple(replace(method, label=HOSTILE + method.name) for method in results.methods),
        examples=(
            replace(results.examples[0], query=HOSTILE, query_thumbnail="thumbnails/0.jpg", image_thumbnail=HOSTILE),
            replace(results.examples[1], image_thumbnail="../secret.jpg", query_thumbnail="thumbnails/not.jpg"),
            replace(results.examples[2], edit=HOSTILE, image=HOSTILE),
        ),
        perception=tuple(replace(row, category=HOSTILE) for row in results.perception),
        settings={HOSTILE: HOSTILE},
        provenance={"command": HOSTILE, "commit": HOSTILE, HOSTILE: HOSTILE},
    )


@pytest.fixture(scope="module")
def hostile_html(folder, hostile) -> str:
    return report(hostile, folder)


@pytest.fixture(scope="module")
def html(folder) -> str:
    return report(example(), folder)


@pytest.fixture(scope="module")
def page(hostile_html):
    return Page(hostile_html)


def test_no_name_gets_out(page):
    assert page.open == [], "every element is closed"
    elements = {element for element, _ in page.tags}
    assert not elements & {"script", "iframe", "object", "link", "form"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert HOSTILE in page.text


def test_nothing_is_loaded(page, hostile_html):
    for _, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith(("data:image/jpeg;base64,", "#"))
    html = re.sub(r'xmlns(:xlink)?="[^"]*"', "", hostile_html)
    assert "http:" not in html
    assert "https:" not in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_thumbnails_come_from_the_folder_alone(page):
    pictures = [attributes for element, attributes in page.tags if element == "img"]
    assert len(pictures) == 1, "neither what lies outside, nor what is no JPEG, nor what is not there"
    assert page.text.count("no thumbnail") == 5


def test_a_gallery_begins_with_the_best_method_and_shows_a_pair_once(folder):
    """dHash and mini missed one copy; both stand at one card. A false match is not shown again as the closest."""
    missed, stranger = example().examples[2], example().examples[0]
    wrong = replace(stranger, kind="false_match", query="wrong.jpg", distance=0.1)
    examples = (
        replace(missed, method="dhash", metric="hamming", query="first.jpg"),
        replace(missed, method="dhash", metric="hamming", query="both.jpg"),
        replace(missed, method="mini", metric="js", query="both.jpg"),
        replace(stranger, distance=0.1600001),
        wrong,
        replace(wrong, kind="closest_stranger"),
    )
    shown = report(replace(example(), examples=examples), folder).partition('<section id="false-matches">')[2]
    shown = shown.partition('<section id="chains">')[0]
    assert shown.index('title="both.jpg"') < shown.index('title="first.jpg"')
    assert shown.count('title="both.jpg"') == 1
    assert shown.count('title="wrong.jpg"') == 1
    assert shown.count('class="card"') == 4
    assert "dHash 0.16 (just beyond the limit)" in shown
    assert "dHash 0.1 (limit 0.16)" in shown


def test_the_page_tells_what_was_measured(html):
    page = Page(html)
    assert "For these photographs mini by cosine finds" in page.text
    assert "ORB needs OpenCV" in page.text
    assert "not supported" in page.text
    assert "simsearch benchmark bsds500" in page.text
    anchors = {attributes["id"] for element, attributes in page.tags if element == "section"}
    links = {attributes["href"] for element, attributes in page.tags if element == "a"}
    assert links == {f"#{anchor}" for anchor in anchors}
    assert {"methods", "edits", "curves", "weak", "false-matches", "missed", "chains", "transfer"} <= anchors
    assert {"sweeps", "perception", "ranking", "templates", "measured"} <= anchors


def test_every_edit_of_every_method_has_a_cell_with_its_interval(html):
    page = Page(html)
    cells = [attributes for element, attributes in page.tags if element == "td" and attributes.get("title")]
    assert len(cells) == 3 * 3
    assert all(re.search(r"original found [\d.]+ % \(\d+-\d+\)", cell["title"]) for cell in cells)


def test_ids_are_there_once(html):
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes and "clip" not in attributes["id"]]
    sections = [one for one in ids if not re.match(r"(m|p|C)[0-9a-f_]{8,}|.*_\d+$", one)]
    assert len(sections) == len(set(sections))


def test_figures_follow_the_page_s_colours(html):
    figures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert len(figures) == 6
    for figure in figures:
        assert "var(--ink)" in figure
        assert "#1f2430" not in figure
        assert "<metadata" not in figure


def test_a_run_that_measured_nothing_has_a_page_too(tmp_path):
    results = example()
    nothing = Results(settings={}, photographs=results.photographs, methods=results.methods)
    path = write_report(nothing, tmp_path / "new")
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert "No method was compared" in page.text
