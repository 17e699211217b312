"""What the README says was measured is what the JSON files say."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_readme_is_rendered_from_the_results() -> None:
    rendered = runpy.run_path(str(ROOT / "scripts" / "render_results.py"))["rendered"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert rendered(text, ROOT / "results") == text, "run scripts/render_results.py"
