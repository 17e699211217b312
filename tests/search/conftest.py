"""What tests of search share."""

from __future__ import annotations

import pytest

from simsearch.search import stored


@pytest.fixture(params=[False, True], ids=["torch", "compiled"])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether pairs of rows are measured by compiled loops, as they are once there is enough to do, or by torch."""
    monkeypatch.setattr(stored, "_WORTH", 0 if request.param else 1 << 62)
    return bool(request.param)
