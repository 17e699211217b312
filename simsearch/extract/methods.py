"""Every method by its name: hashes and keypoints with parameters, as `phash(size=16)`, and the networks."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from simsearch.errors import DependencyMissing, InputError, ModelError, ModelNotFound
from simsearch.extract.card import ModelCard, how_to_get
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo import find_model, has_weights, list_models

CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "ahash": "simsearch.extract.hashes:AHash",
        "phash": "simsearch.extract.hashes_dct:PHash",
        "dhash": "simsearch.extract.hashes:DHash",
        "whash": "simsearch.extract.hashes:WHash",
        "crop_resistant": "simsearch.extract.crop_resistant:CropResistant",
        "marr_hildreth": "simsearch.extract.hashes_opencv:MarrHildreth",
        "blockmean": "simsearch.extract.hashes_opencv:BlockMean",
        "colour_moments": "simsearch.extract.hashes_opencv:ColourMoments",
        "pdq": "simsearch.extract.hashes_pdq:Pdq",
        "pdq_float": "simsearch.extract.hashes_pdq:PdqFloat",
        "phash_float": "simsearch.extract.hashes_dct:PHashFloat",
        "haar": "simsearch.extract.haar:Haar",
        "sift": "simsearch.extract.keypoints:Sift",
        "orb": "simsearch.extract.keypoints:Orb",
        "daisy": "simsearch.extract.keypoints:Daisy",
        "latch": "simsearch.extract.keypoints:Latch",
    }
)
"""Where the class of each method is that needs no network; its parameters are those of the constructor."""
_CALL = re.compile(r"([A-Za-z0-9_.-]+)\s*\((.*)\)", re.DOTALL)
_TRUTH = {"true": True, "false": False}


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


def method(name: str, *, device: str = "auto") -> Extractor:
    """Return the extractor of a name: `phash`, `phash(size=16)`, a model card's name or folder, `module:Class`.

    Args:
        name: One name; parameters are numbers, true or false, or words.
        device: Where a network runs.

    Raises:
        InputError: there is no method of that name, or a parameter does not exist or is out of range.
        DependencyMissing: an optional package that it needs is not installed.
        ModelError: the model of that name cannot be loaded.

    Example:
        >>> method("phash(size=11)").name
        'phash(size=11)'
        >>> method("phash(length=11)")
        Traceback (most recent call last):
        simsearch.errors.InputError: phash has no parameter 'length'; it has size=8, factor=4, first=true, shift=0
    """
    from simsearch.extract.load import is_class_name, load_extractor
    from simsearch.extract.quantised import is_quantised_name

    if is_quantised_name(name.strip()):
        return load_extractor(name.strip(), device=device)
    base, arguments = _parsed(name)
    if base in CLASSES:
        kind = _class_of(base)
        return kind(**_values(base, arguments, parameters_of(kind)))
    if arguments is not None:
        raise InputError(
            f"{base!r} takes no parameters: hashes and keypoints do ({', '.join(CLASSES)}), and networks bits=N"
        )
    try:
        return load_extractor(name, device=device)
    except ModelNotFound as error:
        if is_class_name(name) or "/" in name:
            raise
        known = [*CLASSES, *(card.name for card in list_models())]
        raise InputError(
            f"no method is called {name!r}; there are {', '.join(known)}, a model's folder, or module:Class"
        ) from error


def is_method_name(name: str) -> bool:
    """Tell whether a name is that of a hash or of keypoints, with or without parameters.

    Example:
        >>> is_method_name("phash(size=16)"), is_method_name("mini")
        (True, False)
    """
    match = _CALL.fullmatch(name.strip())
    return (match[1] if match else name.strip()) in CLASSES


def known_methods() -> tuple[Method, ...]:
    """Return every method with a name of its own: hashes and keypoints, then the networks of the model zoo."""
    return (*(_known(name) for name in CLASSES), *(_known_card(card) for card in list_models()))


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas; those in parentheses separate parameters.

    Raises:
        InputError: a name is empty, or parentheses do not match.

    Example:
        >>> split_names("mini, sift(count=100,cutoff=5),dhash")
        ['mini', 'sift(count=100,cutoff=5)', 'dhash']
    """
    names, depth = [""], 0
    for letter in text:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            names.append("")
        else:
            names[-1] += letter
    names = [name.strip() for name in names]
    if depth != 0 or not all(names):
        raise InputError(f"cannot read the names {text!r}; write them as mini,dhash,phash(size=16,shift=1)")
    return names


def parameters_of(kind: type[Extractor]) -> Mapping[str, Any]:
    """Return the parameters of a class's constructor and their defaults.

    Raises:
        InputError: one has no default.
    """
    parameters = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    if missing := [name for name, default in parameters.items() if default is inspect.Parameter.empty]:
        raise InputError(f"{kind.__name__} cannot be made by name: give {missing[0]!r} a default")
    return parameters


def _parsed(name: str) -> tuple[str, dict[str, str] | None]:
    """A name's base and the texts of its parameters; None without parentheses."""
    match = _CALL.fullmatch(name.strip())
    if match is None:
        return name.strip(), None
    base, inside = match[1], match[2].strip()
    pairs = [pair.partition("=") for pair in inside.split(",")] if inside else []
    arguments = {key.strip(): value.strip() for key, _, value in pairs}
    if len(arguments) < len(pairs) or not all(key and value for key, value in arguments.items()):
        raise InputError(f"cannot read the parameters of {name!r}; write them as phash(size=16,shift=1), each once")
    return base, arguments


def _class_of(base: str) -> type[Extractor]:
    module, _, attribute = CLASSES[base].partition(":")
    kind: type[Extractor] = getattr(importlib.import_module(module), attribute)
    return kind


def _values(base: str, arguments: dict[str, str] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for key, text in (arguments or {}).items():
        if key not in defaults:
            offer = ", ".join(f"{name}={_text(default)}" for name, default in defaults.items())
            raise InputError(f"{base} has no parameter {key!r}; it has {offer or 'none'}")
        values[key] = _value(base, key, text, defaults[key])
    return values


def _value(base: str, key: str, text: str, default: Any) -> Any:
    """A parameter's value, of the type of its default."""
    kind = type(default)
    try:
        return _TRUTH[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError) as error:
        what = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
        raise InputError(f"{base}: {key} must be {what}, as {key}={_text(default)}, and is {text!r}") from error


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known(name: str) -> Method:
    try:
        kind = _class_of(name)
    except ImportError as error:  # the package that the whole module needs
        return Method(name, "", {}, False, f'{error}: pip install -e ".[benchmark]"')
    advice = ""
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
            advice = how_to_get(card) if card.weights.url else f"{folder / str(card.weights.file)} is missing"
    except ModelError as error:
        advice = str(error)
    return Method(card.name, card.summary, {}, not advice, advice)
