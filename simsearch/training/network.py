"""The trained network: its start, head, parameter groups and averaged weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from simsearch.errors import InputError
from simsearch.extract.networks.build import arguments_of, build_network, load_network
from simsearch.extract.zoo.card import ModelCard, Weights, load_card
from simsearch.extract.zoo.find import find_model
from simsearch.images.preprocess import Preprocessing
from simsearch.training.config import FinetuneConfig, Grown, Head, Optimiser, Scratch

_NO_WEIGHTS = "0" * 64


def starting_point(config: FinetuneConfig) -> tuple[ModelCard, nn.Module]:
    """Return the card of the model to train, its digest not yet known, and the network at the start.

    Raises:
        ModelNotFound: There is no such model.
        WeightsError: Its weights are missing or damaged.
        ModelError: No such network, or arguments that it does not take.
        InputError: The network has no such pooling, or a row already where the head should give it one.
    """
    if isinstance(config.start, Scratch):
        card = _scratch_card(config.start, config)
        return card, build_network(card)
    if isinstance(config.start, Grown):
        return _grown(config.start, config)
    folder = find_model(config.start)
    began = load_card(folder)
    network = load_network(began, folder)
    seen = _preprocessing(began.preprocessing, config.size)
    card = began.model_copy(update={"arguments": _arguments(began.arguments, config), "preprocessing": seen})
    if card.arguments == began.arguments:
        return card, network
    card = card.model_copy(update={"dimension": card.arguments["row"] or card.dimension})
    changed = build_network(card)
    missing, unexpected = changed.load_state_dict(network.state_dict(), strict=False)
    if unexpected or any(not name.startswith("row.") for name in missing):
        raise InputError(f"{began.name}: its weights do not fit {card.arguments}")
    return card, changed


def _grown(start: Grown, config: FinetuneConfig) -> tuple[ModelCard, nn.Module]:
    folder = find_model(start.model)
    began = load_card(folder)
    arguments = _arguments(began.arguments | start.arguments, config)
    seen = _preprocessing(start.preprocessing or began.preprocessing, config.size)
    card = began.model_copy(update={"arguments": arguments, "preprocessing": seen})
    network = build_network(card)
    new = network.state_dict()
    fitted = {name: _fitted(old, new.get(name)) for name, old in load_network(began, folder).state_dict().items()}
    unlike = [name for name, tensor in fitted.items() if tensor is None]
    added = [name for name in new if name not in fitted and not name.startswith("stages.")]
    if wrong := unlike + added:
        raise InputError(f"start.arguments: {began.name}'s {wrong[0]} does not fit {start.arguments}")
    network.load_state_dict(new | fitted)
    return card, network


def _fitted(old: Tensor, new: Tensor | None) -> Tensor | None:
    """Return the old weights in the new shape: summed over colours for a luminance kernel; None if unlike."""
    if new is None or old.shape == new.shape:
        return None if new is None else old
    one_colour = old.ndim == 4 and old.shape[1] == 3 and new.shape == (len(old), 1, *old.shape[2:])
    return old.sum(dim=1, keepdim=True) if one_colour else None


def _scratch_card(start: Scratch, config: FinetuneConfig) -> ModelCard:
    card = ModelCard(
        name=config.export.name,
        summary=config.export.summary or f"{start.network} trained from random weights",
        status="unverified",
        network=start.network,
        arguments=_arguments(start.arguments, config),
        dimension=1,  # until the network says it
        non_negative=True,
        metric=config.loss.similarity or "js",
        preprocessing=_preprocessing(start.preprocessing, config.size),
        weights=Weights(file="weights.safetensors", sha256=_NO_WEIGHTS, licence=config.export.licence or "not stated"),
        training_data=config.export.training_data or "not stated",
        reference="Chen et al., Big Self-Supervised Models are Strong Semi-Supervised Learners, 2020",
        limits=config.export.limits or "not measured",
    )
    return card.model_copy(update={"dimension": arguments_of(card).dimension})


def _preprocessing(preprocessing: Preprocessing, size: int | None) -> Preprocessing:
    """Return the same for a square of another size, with colours and transparency as a viewer shows them."""
    preprocessing = preprocessing.as_seen
    if size is None:
        return preprocessing
    return replace(
        preprocessing,
        size=size,
        resize=size if preprocessing.fit == "squash" else round(preprocessing.resize * size / preprocessing.size),
    )


def _arguments(arguments: dict[str, Any], config: FinetuneConfig) -> dict[str, Any]:
    out = dict(arguments)
    if config.pooling is not None and config.pooling != out.get("pool", "avg"):
        out["pool"] = config.pooling
    if config.scales is not None and config.scales != tuple(out.get("scales", (1.0,))):
        out["scales"] = config.scales
    if config.head is not None and config.head.keep:
        if out.get("row"):
            raise InputError(f"head.keep: the network has a row of {out['row']} already; leave `keep` out")
        out["row"] = config.head.hidden
    return out


def head_of(head: Head | None, dimension: int) -> nn.Module:
    """Return the head between the exported row and the loss: none, or SimCLR v2's.

    Where its first layer is kept as the exported row, two more follow; else all three.

    Reference: Chen et al., "Big Self-Supervised Models are Strong Semi-Supervised Learners", 2020.
    """
    if head is None:
        return nn.Identity()
    layers: list[nn.Module] = []
    widths = [dimension, head.hidden] if head.keep else [dimension, head.hidden, head.hidden]
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    last = [nn.Linear(widths[-1], head.output, bias=False), nn.BatchNorm1d(head.output)]
    return nn.Sequential(*layers, *last)


def frozen_names(network: nn.Module, settings: Optimiser) -> frozenset[str]:
    """Return the names of the frozen parameters.

    Raises:
        InputError: No parameter begins like that, or none is left to train.
    """
    names = [name for name, _ in network.named_parameters()]
    for prefix in settings.frozen:
        if not any(_begins(name, prefix) for name in names):
            known = ", ".join(dict.fromkeys(part for name in names for part in parts_of(name)))
            raise InputError(f"optimiser.frozen: no part is called {prefix!r}; there are {known}")
    frozen = frozenset(name for name in names if any(_begins(name, prefix) for prefix in settings.frozen))
    if len(frozen) == len(names):
        raise InputError("optimiser.frozen: nothing is left to train; freeze fewer parts")
    return frozen


def parts_of(name: str) -> tuple[str, ...]:
    """Return what a parameter's part may be called: its module, and the stage inside.

    Example:
        >>> parts_of("stages.0.1.body.0.0.weight")
        ('stages', 'stages.0')
    """
    words = name.split(".")
    return (words[0], ".".join(words[:2])) if words[0] == "stages" else (words[0],)


def groups(network: nn.Module, head: nn.Module, settings: Optimiser) -> list[dict[str, Any]]:
    """Return parameters with their factor of the rate, their weight decay and their names, for the optimiser.

    Parts are the stem, each stage, and the row; the last one and the head learn at the full rate, each part before at
    `layer_decay` of the rate of the part behind it. Norms and biases are not decayed.
    """
    frozen = frozen_names(network, settings)
    parts = list(dict.fromkeys(parts_of(name)[-1] for name, _ in network.named_parameters()))
    out: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in _moving(network, head, frozen):
        behind = 0 if name.startswith("head.") else len(parts) - 1 - parts.index(parts_of(name)[-1])
        factor = settings.layer_decay**behind
        decay = settings.decay if parameter.ndim > 1 else 0.0
        group = out.setdefault((factor, decay), {"params": [], "names": [], "factor": factor, "weight_decay": decay})
        group["params"].append(parameter)
        group["names"].append(name)
    return list(out.values())


def _moving(network: nn.Module, head: nn.Module, frozen: frozenset[str]) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name not in frozen)
        if name not in frozen:
            yield name, parameter
    yield from ((f"head.{name}", parameter) for name, parameter in head.named_parameters())


def training_mode(network: nn.Module, frozen: frozenset[str]) -> None:
    """Put a network into training mode, the batch norms of its frozen parts left as they are."""
    network.train()
    for name, module in network.named_modules():
        own = {f"{name}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)}
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and own <= frozen:
            module.eval()


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


class Averaged(nn.Module):
    """The exponential moving average of a network's weights and running statistics.

    Early on the decay is lower, (1 + t) / (10 + t) after t steps, so that random beginnings do not linger.

    Reference: Tarvainen & Valpola, "Mean teachers are better role models", 2017.
    """

    steps: Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("steps", torch.tensor(0))
        self._names = {name: name.replace(".", "/") for name in network.state_dict()}
        for name, tensor in network.state_dict().items():
            self.register_buffer(self._names[name], tensor.detach().clone())

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards the network's present weights."""
        self.steps += 1
        t = int(self.steps)
        decay = min(self.decay, (1 + t) / (10 + t))
        for name, tensor in network.state_dict().items():
            mine = self.get_buffer(self._names[name])
            if mine.is_floating_point():
                mine.lerp_(tensor.detach(), 1 - decay)
            else:
                mine.copy_(tensor)

    def seen_by(self, network: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return the network, in its present mode, with the averaged weights for its own."""
        return lambda x: functional_call(network, self.state(), (x,))

    def state(self) -> dict[str, Tensor]:
        """Return the averaged weights under the network's own names."""
        return {name: self.get_buffer(mine) for name, mine in self._names.items()}


def exported_card(card: ModelCard, config: FinetuneConfig, start: str, images: tuple[str, ...]) -> ModelCard:
    """Return the card of the trained model: the start's, with the texts of the settings."""
    texts, folders = config.export, ", ".join(Path(path).name for path in images)
    weights = Weights(file="weights.safetensors", sha256=_NO_WEIGHTS, licence=texts.licence or card.weights.licence)
    scratch = isinstance(config.start, Scratch)
    return card.model_copy(
        update={
            "name": texts.name,
            "summary": texts.summary or (card.summary if scratch else f"{start}, fine-tuned"),
            "weights": weights,
            "metric": config.loss.similarity or card.metric,
            "training_data": texts.training_data or f"{'' if scratch else card.training_data + '; then '}{folders}",
            "limits": texts.limits or card.limits,
            "background": None,  # those are of the start's rows
            "quantisers": (),
        }
    )
