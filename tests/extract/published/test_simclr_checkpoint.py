"""The conversion of SimCLR checkpoints against what TensorFlow computed from miniatures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from simsearch.errors import WeightsError
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.extract.published.simclr_checkpoint import read_checkpoint, state_from_variables

FOLDER = Path(__file__).parents[1] / "simclr"
MINIATURES = {
    "v1": ResNetArguments("bottleneck", (1, 2, 1, 1), (4, 4, 6, 6), "plain", 8, "plain", 0.0, edges="simclr"),
    "v2_sk": ResNetArguments("bottleneck", (1, 2, 1, 1), (4, 4, 6, 6), "d", 8, "d", 0.0625, edges="simclr"),
}

Dump = tuple[ResNet, dict[str, NDArray[Any]], torch.Tensor, torch.Tensor]


@pytest.fixture(params=MINIATURES)
def dump(request: pytest.FixtureRequest) -> Dump:
    """A network with random weights; variables, images (n, 3, h, w) and features of the miniature."""
    with np.load(FOLDER / request.param / "dump.npz", allow_pickle=False) as file:
        variables = {key.removeprefix("variables/"): file[key] for key in file.files if key.startswith("variables/")}
        images = torch.from_numpy(file["images"]).permute(0, 3, 1, 2)
        rows = torch.from_numpy(file["rows"])
    return ResNet(MINIATURES[request.param]).eval(), variables, images, rows


@torch.inference_mode()
def _error(network: ResNet, images: torch.Tensor, rows: torch.Tensor) -> float:
    return float((network(images) - rows).norm() / rows.norm())


def test_converted_weights_give_the_features_that_tensorflow_computed(dump: Dump) -> None:
    network, variables, images, rows = dump
    assert _error(network, images, rows) > 0.1
    network.load_state_dict(state_from_variables(network, variables))
    assert _error(network, images, rows) < 1e-5  # 1e-4 is promised


def test_the_proof_sees_the_rule_for_edges_and_the_order_of_axes(dump: Dump) -> None:
    network, variables, images, rows = dump
    state = state_from_variables(network, variables)
    network.load_state_dict(state)
    network.stem[-1], rule = nn.MaxPool2d(3, 2, padding=1), network.stem[-1]
    assert _error(network, images, rows) > 1e-3
    network.stem[-1] = rule
    network.load_state_dict(state | {"stem.0.0.weight": state["stem.0.0.weight"].transpose(2, 3)})
    assert _error(network, images, rows) > 1e-3


def test_a_checkpoint_of_another_network_is_named(dump: Dump) -> None:
    network, variables, _, _ = dump
    name = next(name for name in variables if name.endswith("base_model/conv2d_3/kernel"))
    with pytest.raises(WeightsError, match="conv2d_3/kernel"):
        state_from_variables(network, {key: value for key, value in variables.items() if key != name})
    with pytest.raises(WeightsError, match="conv2d_3/kernel has shape"):
        state_from_variables(network, variables | {name: variables[name][..., :1]})
    with pytest.raises(WeightsError, match=r"no place for .*conv2d_99/kernel"):
        state_from_variables(network, variables | {name.replace("_3", "_99"): variables[name]})
    with pytest.raises(WeightsError, match="no SimCLR checkpoint"):
        state_from_variables(network, {"dense/kernel": np.ones((2, 2))})


@pytest.mark.slow
@pytest.mark.parametrize("name", MINIATURES)
def test_tensorflow_reads_what_the_dump_holds(name: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    read = read_checkpoint(FOLDER / name)
    with np.load(FOLDER / name / "dump.npz", allow_pickle=False) as file:
        assert {f"variables/{key}" for key in read} <= set(file.files)
        for key, value in read.items():
            np.testing.assert_array_equal(value, file[f"variables/{key}"])
    network = ResNet(MINIATURES[name])
    network.load_state_dict(state_from_variables(network, read))
    with pytest.raises(WeightsError, match="holds no checkpoint"):
        read_checkpoint(tmp_path)
