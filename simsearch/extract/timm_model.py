"""Any network of timm by its name, `timm:NAME`, with the weights and the preprocessing that timm has for it."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch
from torch import nn

from simsearch.errors import ModelNotFound, WeightsError
from simsearch.extract.card import ModelCard, Weights
from simsearch.extract.load import TIMM
from simsearch.extract.networks.timm import TimmArguments, TimmNetwork
from simsearch.extract.neural import NeuralExtractor
from simsearch.images.preprocess import KERNELS, Kernel, Preprocessing


def load_timm(name: str, *, device: str = "auto", dtype: str = "auto", pretrained: bool = True) -> NeuralExtractor:
    """Return the extractor of a network of timm: its pooled features, by cosine.

    Args:
        name: As timm calls it, such as `vit_base_patch14_dinov2.lvd142m`, with or without `timm:`.
        device: Where it runs.
        dtype: As for `NeuralExtractor`.
        pretrained: Whether the weights are wanted, which timm fetches once and keeps; without them they are random.

    Raises:
        ModelNotFound: timm has no such network.
        WeightsError: its weights are not here and cannot be fetched.
    """
    import timm

    name = name.removeprefix(TIMM)
    if not timm.is_model(name.split(".")[0]):
        near = ", ".join(timm.list_models(f"*{name.split('.')[0][:6]}*")[:5]) or "see timm.list_models()"
        raise ModelNotFound(f"timm has no network {name!r}; there are: {near}")
    try:
        made: Any = timm.create_model(name, pretrained=pretrained, num_classes=0)
    except Exception as error:
        raise WeightsError(
            f"timm:{name}: the weights are not here and cannot be fetched ({_first_line(error)}); run this once where "
            "there is a network connection, and bring the cache of Hugging Face's hub along"
        ) from error
    network = _wrapped(name, made)
    card = ModelCard(
        name=f"timm-{name.lower()}",
        summary=f"{name} of timm, its pooled features",
        status="unverified",
        network="timm",
        arguments={"name": name, "dimension": int(made.num_features)},
        dimension=int(made.num_features),
        non_negative=False,
        metric="cosine",
        preprocessing=_preprocessing(_transform_of(made)),
        weights=Weights(
            file="timm", sha256=_digest(network), licence=str(made.pretrained_cfg.get("license") or "unknown")
        ),
        training_data=str(made.pretrained_cfg.get("tag") or "unknown"),
        reference=f"timm: {name}",
        limits="Not tried by this project.",
    )
    return NeuralExtractor.of_network(card, network, device=device, dtype=dtype)


def _wrapped(name: str, backbone: nn.Module) -> TimmNetwork:
    """The network as a card of the family has it, around one that is made already."""
    network = TimmNetwork.__new__(TimmNetwork)
    nn.Module.__init__(network)
    network.arguments = TimmArguments(name, int(backbone.num_features))  # type: ignore[arg-type]
    network.backbone = backbone
    return network


def _transform_of(network: nn.Module) -> dict[str, Any]:
    from timm.data.config import resolve_model_data_config

    config: dict[str, Any] = resolve_model_data_config(network)  # type: ignore[no-untyped-call, unused-ignore]
    return config


def _preprocessing(config: dict[str, Any]) -> Preprocessing:
    """Timm's evaluation transform as ours: the shorter side resized, the centre kept."""
    size = int(config["input_size"][-1])
    kernel: Kernel = config["interpolation"] if config["interpolation"] in KERNELS else "bicubic"
    squash = config.get("crop_mode") == "squash"
    resize = math.floor(size / config["crop_pct"])
    if squash:
        return Preprocessing(
            size,
            "squash_crop" if resize > size else "squash",
            resize,
            kernel,
            tuple(config["mean"]),
            tuple(config["std"]),
        )
    return Preprocessing(size, "crop", resize, kernel, tuple(config["mean"]), tuple(config["std"]))


def _digest(network: nn.Module) -> str:
    """SHA-256 of all weights with their names."""
    whole = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        whole.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        whole.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
