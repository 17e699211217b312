"""Options, markers and shared fixtures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=DATA, help="folder with the photographs for measuring")
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if "gpu" in item.keywords:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config) -> Path:
    """The measuring material, or a visible skip."""
    folder: Path = pytestconfig.getoption("--data")
    if not folder.is_dir():
        pytest.skip(f"no measuring material at {folder}; pass --data FOLDER")
    return folder.resolve()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(256)
