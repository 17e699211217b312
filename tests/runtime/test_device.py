"""Which device a name stands for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from simsearch.errors import InputError
from simsearch.runtime import device as module
from simsearch.runtime.device import choose_device, type_of


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}'.*try 'auto' or 'cpu'"):
        choose_device(name)


def test_drivers_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = []

    def exists(path: Path) -> bool:
        looked.append(path)
        return False

    module._may_have_gpu.cache_clear()
    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delitem(sys.modules, "torch")
    assert [type_of("auto") for _ in range(3)] == ["cpu"] * 3
    assert len(looked) == len(module._DRIVERS)
    module._may_have_gpu.cache_clear()
