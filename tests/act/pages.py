"""Pairs for pages: painted previews, names of any kind, and a parser that says what a browser would make of a page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from simsearch.act import PagePair, PageSide
from simsearch.images.source import as_text

HOSTILE = (
    b"<script>alert(1)<!--.jpg",
    b"\"onerror='alert(1)'>.jpg",
    "bidi\u202egpj.exe".encode(),
    b"new\nline\x1b[31m.jpg",
    b"not-utf8-\xff\xfe.jpg",
    b"x" * 4000,
    "\u05e2\u05d1\u05e8\u05d9\u05ea.jpg".encode(),
    b"{{ 7 * 7 }}${8 * 8}&amp;&lt;.jpg",
)


def jpeg(seed: int, size: tuple[int, int] = (48, 32)) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(blocks).resize(size).save(buffer, "JPEG")
    return buffer.getvalue()


def side(path: bytes, *, content: str | None = None, preview: bytes | None = None, **more: Any) -> PageSide:
    text, encoded = as_text(path)
    digest = hashlib.sha256((content or repr(path)).encode()).hexdigest()
    facts: dict[str, Any] = {"width": 640, "height": 480, "bytes": 1000, "format": "JPEG", "quality": 70}
    facts |= {"modified": 1_700_000_000_000_000_000, "preview": preview, "sha256": digest}
    return PageSide(text, encoded, **(facts | more))


def pair(kept: PageSide, other: PageSide, **more: Any) -> PagePair:
    facts: dict[str, Any] = {"distance": 0.1, "worth": "in 1 of 50 such libraries", "exact": False, "view": None}
    return PagePair(kept, other, **(facts | {"group": 1, "chained": False, "why": "it is older"} | more))


def pairs(count: int, *, others: int = 1) -> Iterator[PagePair]:
    """Yield pairs, `others` to each kept picture, with previews."""
    for i in range(count):
        group = i // others
        kept = side(b"/photos/kept-%d.jpg" % group, preview=jpeg(group))
        other = side(b"/photos/sub-%d/other-%d.jpg" % (i % 2, i), preview=jpeg(group, (36, 24)), bytes=100 + i)
        yield pair(kept, other, distance=(i % 10) / 100, group=group)


class Parsed(HTMLParser):
    """What stands in a page: elements, what is inside script and style, and the pairs that its table holds."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self.text: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        last = self.elements[-1][0] if self.elements else ""
        if last in ("script", "style") and last not in self.inside:
            self.inside[last] = data
        else:
            self.text.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [values for name, values in self.elements if name == tag]

    @property
    def policy(self) -> str:
        [found] = [one["content"] for one in self.named("meta") if one.get("http-equiv") == "Content-Security-Policy"]
        assert found is not None
        return found

    @property
    def sides(self) -> list[dict[str, Any]]:
        return [json.loads(str(row["data-side"])) for row in self.named("tr") if "data-side" in row]
