"""Every module that a page names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("CONTRIBUTING.md"))]
HOMES = (ROOT, ROOT / "simsearch", ROOT / "simsearch" / "search")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_is_there(page: Path) -> None:
    named = set(re.findall(r"`([a-z_0-9/]+\.py)`", page.read_text(encoding="utf-8")))
    assert [name for name in sorted(named) if not any((home / name).is_file() for home in HOMES)] == []
