"""The library of a folder of photographs, kept in the user's cache: nothing is ever written into the folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from simsearch.errors import InputError, shown
from simsearch.images.find import find
from simsearch.library import AddReport, AddSettings, Library, Progress
from simsearch.runtime.files import user_cache

_STEM = 40  # characters of the folder's name that can be seen in the library's


def library_of(paths: Sequence[str | os.PathLike[str]], model: str = "mini") -> Path:
    """Return where the library of some folders lies, whether it is there or not: one for each set of them and model.

    Raises:
        InputError: None is given, or one does not exist.
    """
    if not paths:
        raise InputError("nothing to look through: give a folder")
    real = []
    for path in paths:
        if not os.path.exists(path):
            raise InputError(f"{shown(os.fsencode(path))} does not exist; give an existing folder")
        real.append(os.path.realpath(os.fsencode(path)))
    digest = hashlib.sha256(b"\0".join([model.encode(), *sorted(set(real))])).hexdigest()[:16]
    name = os.path.basename(real[0]).decode("ascii", "ignore")
    seen = "".join(letter if letter.isalnum() else "-" for letter in name)[:_STEM].strip("-") or "photographs"
    return user_cache() / "libraries" / f"{seen}-{digest}.library"


def refreshed(
    paths: Sequence[str | os.PathLike[str]],
    *,
    model: str = "mini",
    device: str = "auto",
    settings: AddSettings | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[Library, AddReport]:
    """Return the open library of some folders, brought up to date, and what that took in.

    Raises:
        InputError: A folder does not exist, or nothing is found any more where images were, as on a disk that is not
            mounted.
    """
    folder = library_of(paths, model)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    how: dict[str, Any] = {"settings": settings, "progress": progress}
    library = Library.create(folder, model=model, device=device)
    try:
        real = [os.path.realpath(os.fsencode(path)) for path in paths]
        # A folder inside may be empty since its duplicates went; where nothing at all is left a disk is not mounted.
        some = next(iter(find(real)), None) is not None
        return library, library.add(real, prune=True, prune_empty=some, **how)
    except BaseException:
        library.close()
        raise
