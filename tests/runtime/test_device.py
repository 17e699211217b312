"""Which device a name stands for."""

from __future__ import annotations

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


def test_a_name_is_looked_up_once_and_a_refusal_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def chosen(name: str) -> torch.device:
        asked.append(name)
        return choose_device(name)

    module._known_type.cache_clear()
    monkeypatch.setattr(module, "choose_device", chosen)
    assert [type_of("auto") for _ in range(3)] == [choose_device("auto").type] * 3
    assert [type_of("cpu") for _ in range(3)] == ["cpu"] * 3
    assert asked == ["auto"]
    for _ in range(2):
        with pytest.raises(InputError):
            type_of("abacus")
    assert asked == ["auto", "abacus", "abacus"]
    module._known_type.cache_clear()
