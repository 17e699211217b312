"""Which device a name stands for."""

from __future__ import annotations

import pytest
import torch

from simsearch.errors import InputError
from simsearch.runtime.device import choose_device


def test_auto_is_a_gpu_where_there_is_one() -> None:
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "", "cuda:99"])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"device '{name}'.*try 'auto' or 'cpu'"):
        choose_device(name)
