"""From a model's name to an extractor."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from simsearch.errors import DependencyMissing, FingerprintMismatch, InputError, ModelError, ModelNotFound, shown
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo.card import ModelCard, how_to_get
from simsearch.extract.zoo.find import find_model, has_weights, list_models
from simsearch.naming import FILES, TIMM, TRUTH, base_name, is_class_name, is_quantised_name, loaded, parse

_ZOO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\([A-Za-z0-9_=,. -]*\))?(\(bits=[0-9]+\))?")
_LONGEST = 80


def load_extractor(
    model: str | Path = "mini", *, device: str = "auto", dtype: str = "auto", fetch: bool = True
) -> Extractor:
    """Load the extractor of a model name.

    Args:
        model: A name of the zoo ("mini"), a model folder (a path with a separator), a hash or keypoints with or without
            parameters ("dhash", "phash(size=16)"), bits of a network ("mini(bits=96)"), a network of timm
            ("timm:resnet50"), a network in a file ("onnx:FILE", "torchscript:FILE(size=288,mean=0.5,std=0.5)", with
            the parameters of `neural.model_file`), or a user's own class as `module:Class`, called without arguments.
        device: "auto" (CUDA where there is a GPU), "cpu", "cuda", or "cuda:N"; for networks, a class chooses itself.
        dtype: How a network computes: "auto" (bfloat16 where the device does so natively), "float32" or "bfloat16".
        fetch: Whether weights of a network of timm that are not here may be fetched; nothing else is ever fetched.

    Raises:
        ModelNotFound: There is no such model, module or class.
        WeightsError: The weights are missing, damaged, or do not fit the network.
        InputError: The device or dtype does not exist, a hash has no such parameter, or the class is no extractor.
        DependencyMissing: An optional package that the hash needs is not installed.

    Example:
        >>> load_extractor("no-such-model")
        Traceback (most recent call last):
            ...
        simsearch.errors.ModelNotFound: no model is called 'no-such-model'; ...
    """
    for what, value in (("device", device), ("dtype", dtype)):
        if not isinstance(value, str):
            raise InputError(f"{what} is {shown(value)} and must be text")
    if not isinstance(model, (str, Path)):
        raise InputError(f"{shown(model)} is no model: give a name, or the Path of a model's folder")
    name = "" if isinstance(model, Path) else model.strip()
    if is_quantised_name(name):
        from simsearch.extract.quantise.extractor import quantised

        return quantised(name, load_extractor(base_name(name), device=device, dtype=dtype, fetch=fetch))
    if name.startswith(FILES):
        return _of_file(name, device=device, dtype=dtype)
    if not name or "/" in name:
        return _network(model, device=device, dtype=dtype, fetch=fetch)
    if is_class_name(name) or is_method_name(name):
        if dtype != "auto":
            raise InputError(f"dtype is {shown(dtype)} and {shown(name)} is no network: leave dtype out")
        if is_class_name(name):
            return _load_class(name)
        base, arguments = parse(name)
        kind = class_of(base)
        return kind(**_values(base, arguments, parameters_of(kind)))
    if not name.startswith(TIMM) and name.endswith(")"):
        raise InputError(
            f"{parse(name)[0]!r} takes no parameters: hashes and keypoints do ({', '.join(CLASSES)}), and networks "
            "bits=N"
        )
    return _network(name, device=device, dtype=dtype, fetch=fetch)


def _network(model: str | Path, *, device: str, dtype: str, fetch: bool) -> Extractor:
    if isinstance(model, str) and model.startswith(TIMM):
        from simsearch.extract.neural.timm_model import load_timm

        return load_timm(model, device=device, dtype=dtype, fetch=fetch)
    from simsearch.extract.neural.extractor import NeuralExtractor

    return NeuralExtractor(find_model(model), device=device, dtype=dtype)


def _of_file(name: str, *, device: str, dtype: str) -> Extractor:
    if dtype != "auto":
        raise InputError(f"dtype is {shown(dtype)}, and {shown(name)} computes as its file says: leave dtype out")
    if name.startswith("onnx:"):
        from simsearch.extract.neural.onnx_model import OnnxExtractor

        return OnnxExtractor(name, device=device)
    from simsearch.extract.neural.torchscript_model import TorchScriptExtractor

    return TorchScriptExtractor(name, device=device)


def described_by_file(model: str, fingerprint: str, *, whose: str, device: str = "auto") -> Extractor:
    """Return the extractor that a file names, out of the zoo and with that fingerprint; nothing is run or fetched.

    A file may come from anybody. A class would be run, a network of timm fetched, and a folder be anyone's: these a
    user names himself. Of a network only the card is read (`Described`).

    Args:
        model: The name in the file.
        fingerprint: The one in the file.
        whose: What the file is, for messages.
        device: As for `load_extractor`.

    Raises:
        ModelError: The name is not one of the zoo's or a hash's; the message says how to give it.
        FingerprintMismatch: The model of that name here is another one.
    """
    name = model if len(model) <= _LONGEST else f"{model[:_LONGEST]}..."
    if not is_zoo_name(model):
        raise ModelError(
            f"{whose} names the model {name!r}, which is not taken from a file unasked; give --model {name} if you "
            "trust it"
        )
    try:
        extractor = _described(model) or load_extractor(model, device=device, fetch=False)
    except (ModelNotFound, InputError) as error:
        raise ModelError(
            f"{whose} names the model {name!r}, which is not here; give what made its rows: --model NAME, a folder "
            "with a slash, or module:Class"
        ) from error
    if extractor.fingerprint != fingerprint:
        raise FingerprintMismatch(
            f"{whose} has rows of {name!r} with fingerprint {fingerprint[:16]}, and the model of that name here has "
            f"{extractor.fingerprint[:16]}; give what made them: --model NAME, a folder with a slash, or module:Class"
        )
    return extractor


def _described(model: str) -> Extractor | None:
    """Return the described model of that very name, or bits of it; None for no network, and for an earlier version."""
    from simsearch.extract.zoo.described import Described

    if is_method_name(model):
        return None
    base = base_name(model)
    described = Described(find_model(base))
    if described.name != base:
        return None
    if not is_quantised_name(model):
        return described
    from simsearch.extract.quantise.extractor import quantised

    return quantised(model, described)


def is_zoo_name(model: str) -> bool:
    """Tell whether a name can only be that of a card of the zoo or of a hash, or of so many bits of these.

    Example:
        >>> [is_zoo_name(name) for name in ("mini", "mini(bits=96)", "timm:resnet18", "./mini", "a:B")]
        [True, True, False, False, False]
    """
    return _ZOO_NAME.fullmatch(model) is not None


def _load_class(name: str) -> Extractor:
    try:
        kind: Any = loaded(name)
    except InputError as error:
        raise ModelNotFound(f"{error}; write it as package.module:Class") from error
    # Looked at before it is called: `os:abort` is a name too.
    if not (isinstance(kind, type) and issubclass(kind, Extractor)):
        raise InputError(f"{name!r} is no extractor: derive the class from simsearch.Extractor")
    return kind()


CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "ahash": "simsearch.extract.hashes.ahash:AHash",
        "phash": "simsearch.extract.hashes.phash:PHash",
        "dhash": "simsearch.extract.hashes.dhash:DHash",
        "whash": "simsearch.extract.hashes.whash:WHash",
        "crop_resistant": "simsearch.extract.hashes.crop_resistant:CropResistant",
        "marr_hildreth": "simsearch.extract.hashes.opencv:MarrHildreth",
        "blockmean": "simsearch.extract.hashes.opencv:BlockMean",
        "colour_moments": "simsearch.extract.hashes.opencv:ColourMoments",
        "pdq": "simsearch.extract.hashes.pdq:Pdq",
        "pdq_float": "simsearch.extract.hashes.pdq:PdqFloat",
        "phash_float": "simsearch.extract.hashes.phash:PHashFloat",
        "haar": "simsearch.extract.hashes.haar:Haar",
        "sift": "simsearch.extract.keypoints:Sift",
        "orb": "simsearch.extract.keypoints:Orb",
        "daisy": "simsearch.extract.keypoints:Daisy",
        "latch": "simsearch.extract.keypoints:Latch",
        "points": "simsearch.spatial.points:Points",
    }
)
"""Where the class of each method is that needs no network; its parameters are those of the constructor."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method that a user may name.

    Attributes:
        name: What to write, without parameters.
        summary: What it is, in one line.
        parameters: What may stand in parentheses, with the defaults.
        usable: Whether it works here.
        advice: What to do where it does not; else empty.
    """

    name: str
    summary: str
    parameters: Mapping[str, Any]
    usable: bool
    advice: str


def is_method_name(name: str) -> bool:
    """Tell whether a name is that of a hash or of keypoints, with or without parameters.

    Example:
        >>> is_method_name("phash(size=16)"), is_method_name("mini")
        (True, False)
    """
    return name.partition("(")[0].strip() in CLASSES


def known_methods() -> tuple[Method, ...]:
    """Return every method with a name of its own: hashes and keypoints, then the networks of the model zoo."""
    return (*(_known(name) for name in CLASSES), *(_known_card(card) for card in list_models()))


def parameters_of(kind: type[Extractor]) -> Mapping[str, Any]:
    """Return the parameters of a class's constructor and their defaults.

    Raises:
        InputError: One has no default.
    """
    parameters = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    if missing := [name for name, default in parameters.items() if default is inspect.Parameter.empty]:
        raise InputError(f"{kind.__name__} cannot be made by name: give {missing[0]!r} a default")
    return parameters


def class_of(name: str) -> type[Extractor]:
    """Return the class of a hash or of keypoints, named with or without parameters."""
    module, _, attribute = CLASSES[name.partition("(")[0].strip()].partition(":")
    kind: type[Extractor] = getattr(importlib.import_module(module), attribute)
    return kind


def _values(base: str, arguments: Mapping[str, str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for key, text in arguments.items():
        if key not in defaults:
            offer = ", ".join(f"{name}={str(default).lower()}" for name, default in defaults.items())
            raise InputError(f"{base} has no parameter {key!r}; it has {offer or 'none'}")
        values[key] = _value(base, key, text, defaults[key])
    return values


def _value(base: str, key: str, text: str, default: Any) -> Any:
    """Return a parameter's value, of the type of its default."""
    kind = type(default)
    try:
        return TRUTH[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        what = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InputError(f"{base}: {key} must be {what}, as {key}={str(default).lower()}, and is {text!r}") from error


def _known(name: str) -> Method:
    kind, advice = class_of(name), ""
    try:
        kind()
    except DependencyMissing as error:
        advice = str(error)
    summary = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    return Method(name, summary, parameters_of(kind), not advice, advice)


def _known_card(card: ModelCard) -> Method:
    advice = ""
    try:
        if not has_weights(folder := find_model(card.name)):
            advice = how_to_get(card) if card.weights.file is None else f"{folder / str(card.weights.file)} is missing"
    except ModelError as error:
        advice = str(error)
    return Method(card.name, card.summary, {}, not advice, advice)
