"""What documents and messages tell to type works from a checkout, anywhere."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TOLD = [
    path
    for folder in ("simsearch", "docs", "configs", "scripts", "models", "README.md", "CONTRIBUTING.md")
    for path in [ROOT / folder, *(ROOT / folder).rglob("*")]
    if path.is_file() and path.suffix in (".py", ".md", ".yaml", ".toml", "")
]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_no_document_or_message_takes_the_package_from_an_index() -> None:
    """No index has it: what is installed is the checkout, `.`."""
    found = 0
    for path in TOLD:
        text = path.read_text(encoding="utf-8", errors="replace")
        for line in re.findall(r"pip install[^\n`]*", text):
            found += 1
            assert not re.search(r"simsearch", line), f"{path}: {line}"
            for extra in re.findall(r"\.\[([a-z,]+)\]", line):
                assert set(extra.split(",")) <= set(EXTRAS), f"{path}: {line}"
    assert found > 5


def test_the_readme_explains_every_extra() -> None:
    assert set(re.findall(r"^\| `\[([\w-]+)\]` \|", (ROOT / "README.md").read_text(), re.MULTILINE)) == set(EXTRAS)


@pytest.mark.parametrize("name", ["watermark.yaml"])
def test_the_example_starts_from_what_the_quickstart_brings(name: str) -> None:
    settings = yaml.safe_load((ROOT / "configs" / name).read_text())
    assert settings["images"] == "quickstart-output/photographs"
    assert "strangers" not in settings["validation"]
    assert settings["batch"] + settings["validation"]["images"] <= 22, "as many as the quickstart has"


def test_documents_name_no_folder_outside_the_checkout() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        assert "../shared" not in path.read_text(), path
