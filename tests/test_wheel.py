"""The wheel holds the package with its templates, its type marker and the models, and nothing else."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUFFIXES = {".py", ".html", ".css", ".js"}


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    build = pytest.importorskip("hatchling.build")
    folder = tmp_path_factory.mktemp("wheel")
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        wheel = build.build_wheel(str(folder))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(folder / wheel) as archive:
        return archive.namelist()


def test_every_module_template_and_the_type_marker_are_in_it(names: list[str]) -> None:
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "simsearch").rglob("*.*") if path.suffix in SUFFIXES}
    assert {path.suffix for path in map(Path, files)} == SUFFIXES
    assert files | {"simsearch/py.typed"} <= set(names)


def test_every_model_is_in_it_whole(names: list[str]) -> None:
    files = {path for path in (ROOT / "models").rglob("*") if path.is_file()}
    assert {f"simsearch/_models/{path.relative_to(ROOT / 'models')}" for path in files} <= set(names)


def test_nothing_else_is_in_it(names: list[str]) -> None:
    strays = [name for name in names if not name.startswith(("simsearch/", "simsearch-"))]
    assert not strays
    assert not [name for name in names if name.endswith((".pyc", ".so"))]
