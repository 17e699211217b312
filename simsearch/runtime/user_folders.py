"""Where the package lies, and where it keeps what a user fetched or compiled."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder `simsearch`; beside it in a checkout, and inside it in a wheel, lie the models."""


def user_cache() -> Path:
    """Return where this user's downloads are kept: below XDG_CACHE_HOME where that is set, else below ~/.cache.

    The one place where the environment is read for it, so that commands and Python find the same models.

    Reference: XDG Base Directory Specification; a relative folder is to be ignored.
    """
    told = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(told) if Path(told).is_absolute() else Path.home() / ".cache"
    return base / "simsearch"
