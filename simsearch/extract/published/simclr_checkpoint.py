"""Google's SimCLR checkpoints: which of their variables is which weight of the ResNet family.

TensorFlow numbers a checkpoint's convolutions and batch norms in the order in which they were made: `conv2d`,
`conv2d_1`, ... A block makes its shortcut before its body. Kernels are stored (height, width, in, out). Version 2
keeps, beside the weights of the last step, their moving averages, which the published results come from.

Reference: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", 2020; "Big
Self-Supervised Models are Strong Semi-Supervised Learners", 2020; https://github.com/google-research/simclr.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simsearch.errors import DependencyMissing, WeightsError, first_line
from simsearch.extract.networks.resnet import ResNet

PREFIXES = ("ema_model/base_model/", "base_model/")  # the first that occurs is read
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def state_from_variables(network: ResNet, variables: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    """Return a network's state from the variables of a checkpoint.

    Args:
        network: Of the same depth, width and kernels as the checkpoint; not changed.
        variables: By their full names; kernels (h, w, in, out). Those of heads and optimisers are passed over.

    Raises:
        WeightsError: A variable is missing, left over or of another shape: the checkpoint is of another network.
    """
    prefix = next((one for one in PREFIXES if any(name.startswith(one) for name in variables)), None)
    if prefix is None:
        raise WeightsError(f"no variable begins with {' or '.join(PREFIXES)}; this is no SimCLR checkpoint")
    kept = {name.removeprefix(prefix): value for name, value in variables.items() if _is_weight(name, prefix)}
    state = network.state_dict()
    wanted = dict(_names(network))
    for key, name in wanted.items():
        if name not in kept:
            raise WeightsError(f"the checkpoint has no {prefix}{name}; the network is deeper or has other kernels")
        state[key] = _fitted(name, kept[name], tuple(state[key].shape))
    if left := sorted(set(kept) - set(wanted.values())):
        raise WeightsError(f"the network has no place for {prefix}{left[0]}; {len(left)} such variable(s)")
    return state


def read_checkpoint(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the network's variables, by name, of the newest checkpoint in a folder.

    Raises:
        DependencyMissing: TensorFlow is not installed.
        WeightsError: The folder holds no checkpoint that can be read.
    """
    try:
        import tensorflow as tf  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise DependencyMissing('reading SimCLR checkpoints needs TensorFlow: pip install -e ".[convert]"') from error
    indexes = sorted(folder.glob("*.index"))
    if not indexes:
        raise WeightsError(f"{folder} holds no checkpoint: model.ckpt-N.index and model.ckpt-N.data-00000-of-00001")
    try:
        reader = tf.train.load_checkpoint(str(indexes[-1].with_suffix("")))
        names = [name for name in reader.get_variable_to_shape_map() if name.startswith(PREFIXES)]
        return {name: np.asarray(reader.get_tensor(name)) for name in names}
    except (tf.errors.OpError, ValueError) as error:
        raise WeightsError(f"{indexes[-1]} cannot be read: {first_line(error)}; fetch it again") from error


def _is_weight(name: str, prefix: str) -> bool:
    """Return whether a variable is one of the network's own, not what an optimiser keeps about it."""
    return name.startswith(prefix) and name.rsplit("/", 1)[-1] in {"kernel", *_NORM.values()}


def _names(network: ResNet) -> Iterator[tuple[str, str]]:
    """Yield the key in the state and the variable's name, for every weight and statistic."""
    keys = {module: key for key, module in network.named_modules()}
    modules = [module for part in _made(network) for module in part.modules()]
    for i, convolution in enumerate(one for one in modules if isinstance(one, nn.Conv2d)):
        yield f"{keys[convolution]}.weight", f"{_numbered('conv2d', i)}/kernel"
    for i, norm in enumerate(one for one in modules if isinstance(one, nn.BatchNorm2d)):
        for ours, theirs in _NORM.items():
            yield f"{keys[norm]}.{ours}", f"{_numbered('batch_normalization', i)}/{theirs}"


def _made(network: ResNet) -> Iterator[nn.Module]:
    """Yield the parts of a network in the order in which TensorFlow made them."""
    yield network.stem
    for stage in network.stages:
        for block in stage.children():
            yield block.get_submodule("shortcut")
            yield block.get_submodule("body")


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _fitted(name: str, value: NDArray[Any], shape: tuple[int, ...]) -> Tensor:
    array = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value  # HWIO to OIHW
    if array.shape != shape:
        raise WeightsError(f"{name} has shape {array.shape} where {shape} is needed; choose the model of its width")
    return torch.from_numpy(np.array(array, np.float32))
