"""What tests of search share."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsearch.runtime import jit as compiling
from simsearch.runtime.kernel_cache import KernelCache
from simsearch.search.few_queries import scores
from simsearch.search.refine import compiled_blocks


@pytest.fixture(params=[False, True], ids=["torch", "compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether pairs of rows are measured by compiled loops, as they are once there is enough to do, or by torch."""
    monkeypatch.setattr(compiled_blocks, "_WORTH", 0 if request.param else 1 << 62)
    return bool(request.param)


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No compiled pass on disk."""
    empty = KernelCache(tmp_path / "kernels", "none")
    monkeypatch.setattr(compiling, "kept", lambda: empty)


@pytest.fixture
def by_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few queries are searched as many are: by products of matrices, and a second look."""
    monkeypatch.setattr(scores, "FEW", 0)


@pytest.fixture(params=["few", "many"])
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether queries are searched as few or as many are."""
    monkeypatch.setattr(scores, "FEW", 1 << 62 if request.param == "few" else 0)
