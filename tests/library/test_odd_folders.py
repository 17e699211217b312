"""A library works wherever it lies: a folder's name, or its parent's, may be any bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from simsearch.library import Library
from simsearch.library.format.layout import MANIFEST
from tests.fake import FakeExtractor
from tests.library.helpers import HERE, album, make

NAMES = [b"lib\xe9", b"\xff\xfe", b"a b#c%d?e&f", b"\xc3\xa9", b"new\nline", b"'quoted\"", b"..hidden", b"\xed\xa0\x80"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["itself", "parent", "relative"])
def test_every_command_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes, where: str) -> None:
    base = Path(os.fsdecode(bytes(tmp_path) + b"/" + name))
    folder = base / "library" if where == "parent" else base
    if where == "relative":
        monkeypatch.chdir(tmp_path)
        folder = Path(os.fsdecode(name))
    photos = album(tmp_path / "photos", range(5))
    with make(folder) as library:
        assert library.add(photos, settings=HERE).added == 5
    with Library.open(folder, extractor=FakeExtractor(), device="cpu") as library:
        assert library.search(photos / "0003.png", k=1).ids.tolist() == [[3]]
        assert library.verify(deep=True) == []
        library.remove("id:4", purge=True)
        if where == "itself":
            [built] = library.optimize(recall=0.01, kind="flat")
            assert library.search_rows(np.ones((1, 192), np.float32), k=2)[0].recall is not None
            assert library.info().path == str(folder)
            assert library.verify(deep=True) == []
            assert (folder / "indexes" / built.file).exists()
    (folder / MANIFEST).unlink()
    assert Library.repair(folder).items == 4
    with Library.open(folder, extractor=FakeExtractor(), device="cpu") as library:
        assert library.verify(deep=True) == []
