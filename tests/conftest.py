"""Options, markers and shared fixtures."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores, also those that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("simsearch", deadline=None)  # whoever else is at work decides how long one takes
hypothesis.settings.load_profile("simsearch")

LONGEST = ("test_gpu_proof", "test_readme")  # begun first, so that no process is left alone with them
DATA = Path(__file__).parents[1] / ".." / "shared" / "data"


def pytest_configure() -> None:
    """Take signals that a shell's background or nohup ignores as they are elsewhere; children inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", type=Path, default=DATA, help="folder with the photographs for measuring")
    parser.addoption("--slow", action="store_true", help="run the slow tests too")
    parser.addoption("--cluster", action="store_true", help="run the tests that need Ray or object storage too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)
    for name in ("slow", "cluster"):
        skip = pytest.mark.skip(reason=f"{name}: run with --{name}")
        for item in items:
            if item.get_closest_marker(name) and not config.getoption(f"--{name}"):
                item.add_marker(skip)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):  # keywords hold the ids of parameters too
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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder: an 8-channel network for 32 x 32 pixels with a 20-dimensional row."""
    from dataclasses import asdict

    import torch

    from simsearch.extract.networks.resnet import ResNet, ResNetArguments
    from simsearch.extract.zoo.card import ModelCard, Weights
    from simsearch.images.preprocess import Preprocessing
    from simsearch.training.export import export

    torch.manual_seed(0)
    arguments = ResNetArguments("basic", (1, 1, 1, 1), (8, 8, 8, 16), "d", 8, "d", 0.0, 20)
    network = ResNet(arguments)
    with torch.no_grad():
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.1, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(0.2, 1.0)
    card = ModelCard(
        name="tiny",
        summary="for tests",
        status="unverified",
        network="resnet",
        arguments=asdict(arguments),
        dimension=20,
        non_negative=True,
        metric="js",
        preprocessing=Preprocessing(32, "squash", 32, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        weights=Weights(file="weights.safetensors", sha256="0" * 64, licence="Apache-2.0"),
        training_data="none",
        reference="none",
        limits="random weights",
    )
    folder = tmp_path_factory.mktemp("zoo") / "tiny"
    export(network, card, folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running browser without a window, Debian's chromium through playwright; without either its tests skip."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    quiet = ("--no-sandbox", "--disable-background-networking", "--no-first-run", "--disable-component-update")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=chromium, args=list(quiet))
        yield running
        running.close()
