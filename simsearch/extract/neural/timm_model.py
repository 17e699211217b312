"""Any network of timm by its name, `timm:NAME`, with the weights and the preprocessing that timm has for it."""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from simsearch.errors import ModelNotFound, WeightsError, first_line
from simsearch.extract.networks.timm import TimmArguments, TimmNetwork, is_network
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.neural.timm_weights import thrown_away, weights_file
from simsearch.extract.zoo.card import ModelCard, Weights
from simsearch.images.preprocess import KERNELS, Fit, Kernel, Preprocessing
from simsearch.naming import TIMM


def load_timm(
    name: str, *, device: str = "auto", dtype: str = "auto", pretrained: bool = True, fetch: bool = True
) -> NeuralExtractor:
    """Return the extractor of a network of timm: its pooled features, by cosine.

    Args:
        name: As timm calls it, such as `vit_base_patch14_dinov2.lvd142m`, with or without `timm:`.
        device: Where it runs.
        dtype: As for `NeuralExtractor`.
        pretrained: Whether the weights are wanted; without them they are random.
        fetch: Whether weights that are not here may be fetched, once.

    Raises:
        ModelNotFound: Timm has no such network, or no weights of that name for it.
        WeightsError: Its weights are not here and cannot or may not be fetched.
    """
    import timm

    name = _known(name)
    file = weights_file(name, fetch=fetch) if pretrained else None
    overlay = None if file is None else {"file": str(file)}
    try:
        made: Any = timm.create_model(name, pretrained=pretrained, num_classes=0, pretrained_cfg_overlay=overlay)
    except Exception as error:
        told = "" if file is None or not thrown_away(file) else "; what was fetched was thrown away, run it again"
        raise WeightsError(f"timm:{name}: {file} cannot be read: {first_line(error)}{told}") from error
    network = _wrapped(name, made)
    licence = str(made.pretrained_cfg.get("license") or "unknown")
    card = _card(name, made, Weights(file="timm", sha256=_digest(network), licence=licence))
    return NeuralExtractor.of_network(card, network, device=device, dtype=dtype)


def timm_card(name: str) -> ModelCard:
    """Return the card of a network of timm for weights of one's own: its preprocessing, and no weights yet.

    Args:
        name: As timm calls it, with or without `timm:`.

    Raises:
        ModelNotFound: Timm has no such network.
    """
    import timm

    name = _known(name)
    made: Any = timm.create_model(name, pretrained=False, num_classes=0)
    card = _card(name, made, Weights(url="https://unknown", licence="unknown"))
    return card.model_copy(update={"training_data": "unknown"})


def _known(name: str) -> str:
    """Return the name without `timm:`."""
    import timm

    name = name.removeprefix(TIMM)
    if not is_network(name):
        raise ModelNotFound(f"timm has no network {name[:80]!r}; there are: {_near(name, timm.list_models())}")
    return name


def _card(name: str, made: Any, weights: Weights) -> ModelCard:
    from timm.data.config import resolve_model_data_config

    return ModelCard(
        name=f"timm-{name.lower()}",
        summary=f"{name} of timm, its pooled features",
        status="unverified",
        network="timm",
        arguments={"name": name, "dimension": int(made.num_features)},
        dimension=int(made.num_features),
        non_negative=False,
        metric="cosine",
        preprocessing=_preprocessing(resolve_model_data_config(made)),  # type: ignore[no-untyped-call, unused-ignore]
        weights=weights,
        training_data=str(made.pretrained_cfg.get("tag") or "unknown"),
        reference=f"timm: {name}",
        limits="Not tried by this project.",
    )


def _wrapped(name: str, backbone: nn.Module) -> TimmNetwork:
    """Return the network as a card of the family has it, around one that is made already."""
    network = TimmNetwork.__new__(TimmNetwork)
    nn.Module.__init__(network)
    network.arguments = TimmArguments(name, int(backbone.num_features))  # type: ignore[arg-type]
    network.backbone = backbone
    return network


def _preprocessing(config: dict[str, Any]) -> Preprocessing:
    """Return timm's evaluation transform as ours: the shorter side resized, the centre kept."""
    size = int(config["input_size"][-1])
    kernel: Kernel = config["interpolation"] if config["interpolation"] in KERNELS else "bicubic"
    resize = math.floor(size / config["crop_pct"])
    fit: Fit = "crop" if config.get("crop_mode") != "squash" else "squash_crop" if resize > size else "squash"
    return Preprocessing(size, fit, resize, kernel, tuple(config["mean"]), tuple(config["std"]))


def _digest(network: nn.Module) -> str:
    """Return the SHA-256 of all weights with their names."""
    whole = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        whole.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
        whole.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def _near(name: str, known: Sequence[str]) -> str:
    """Return the names most like one that timm has not."""
    near = difflib.get_close_matches(name.split(".", maxsplit=1)[0], known, n=6, cutoff=0.5)
    return ", ".join(near) or "see timm.list_models()"
