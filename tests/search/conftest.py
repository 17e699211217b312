"""What tests of search share."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsearch.search import compiled as compiling
from simsearch.search import direct_scores, stored
from simsearch.search.kept import Kept


@pytest.fixture(params=[False, True], ids=["torch", "compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether pairs of rows are measured by compiled loops, as they are once there is enough to do, or by torch."""
    monkeypatch.setattr(stored, "_WORTH", 0 if request.param else 1 << 62)
    return bool(request.param)


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No compiled pass on disk."""
    empty = Kept(tmp_path / "kernels", "none")
    monkeypatch.setattr(compiling, "kept", lambda: empty)


@pytest.fixture
def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few queries are searched as many are: by products of matrices, and a second look."""
    monkeypatch.setattr(direct_scores, "FEW", 0)


@pytest.fixture(params=["few", "many"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether queries are searched as few or as many are."""
    monkeypatch.setattr(direct_scores, "FEW", 1 << 62 if request.param == "few" else 0)
