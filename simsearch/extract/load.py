"""From a model's name to an extractor."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from simsearch.errors import FingerprintMismatch, InputError, ModelError, ModelNotFound, shortened, shown
from simsearch.extract.extractor import Extractor
from simsearch.extract.zoo import find_model

TIMM = "timm:"
_ZOO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(\([A-Za-z0-9_=,. -]*\))?(\(bits=[0-9]+\))?")
_LONGEST = 80


def load_extractor(
    model: str | Path = "mini", *, device: str = "auto", dtype: str = "auto", fetch: bool = True
) -> Extractor:
    """Return the extractor that a model name stands for.

    Args:
        model: A name of the zoo ("mini"), a model folder (a path with a separator), a hash or keypoints with or without
            parameters ("dhash", "phash(size=16)"), bits of a network ("mini(bits=96)"), a network of timm
            ("timm:resnet50"), or a user's own class as `module:Class`, which is called without arguments.
        device: "auto" (CUDA where there is a GPU), "cpu", "cuda", or "cuda:N"; for networks, a class chooses itself.
        dtype: How a network computes: "auto" (bfloat16 where the device does so natively), "float32" or "bfloat16".
        fetch: Whether weights of a network of timm that are not here may be fetched; nothing else is ever fetched.

    Raises:
        ModelNotFound: there is no such model, module or class.
        WeightsError: the weights are missing, damaged, or do not fit the network.
        InputError: the device or dtype does not exist, a hash has no such parameter, or the class is no extractor.
        DependencyMissing: an optional package that the hash needs is not installed.

    Example:
        >>> load_extractor("no-such-model")
        Traceback (most recent call last):
            ...
        simsearch.errors.ModelNotFound: no model is called 'no-such-model'; ...
    """
    from simsearch.extract.methods import is_method_name, method
    from simsearch.extract.quantised import is_quantised_name, load_quantised

    for what, value in (("device", device), ("dtype", dtype)):
        if not isinstance(value, str):
            raise InputError(f"{what} is {shown(value)} and must be text")
    if not isinstance(model, (str, Path)):
        raise InputError(f"{shown(model)} is no model: give a name, or the Path of a model's folder")
    if isinstance(model, str) and is_quantised_name(model):
        return load_quantised(model, device=device, dtype=dtype, fetch=fetch)
    if isinstance(model, str) and (is_class_name(model) or is_method_name(model)):
        if dtype != "auto":
            raise InputError(f"dtype is {shown(dtype)} and {shown(model)} is no network: leave dtype out")
        return _load_class(model) if is_class_name(model) else method(model, device=device)
    if isinstance(model, str) and model.startswith(TIMM):
        from simsearch.extract.timm_model import load_timm

        return load_timm(model, device=device, dtype=dtype, fetch=fetch)
    from simsearch.extract.neural import NeuralExtractor

    return NeuralExtractor(find_model(model), device=device, dtype=dtype)


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
        ModelError: the name is not one of the zoo's or a hash's; the message says how to give it.
        FingerprintMismatch: the model of that name here is another one.
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
    """What the card of that very name says; None for what is no network, and for an earlier version by its number."""
    from simsearch.extract.described import Described
    from simsearch.extract.methods import is_method_name
    from simsearch.extract.quantised import is_quantised_name

    if is_method_name(model) or is_quantised_name(model):
        return None
    described = Described(find_model(model))
    return described if described.name == model else None


def is_zoo_name(model: str) -> bool:
    """Tell whether a name can only be that of a card of the zoo or of a hash, or of so many bits of these.

    Example:
        >>> [is_zoo_name(name) for name in ("mini", "mini(bits=96)", "timm:resnet18", "./mini", "a:B")]
        [True, True, False, False, False]
    """
    return _ZOO_NAME.fullmatch(model) is not None


def is_class_name(model: str) -> bool:
    """Tell whether a model name is that of a class, `module:Class`, or of its bits: that module would be run."""
    from simsearch.extract.quantised import base_name

    base = base_name(model)
    return ":" in base and "/" not in base and not base.startswith(TIMM)


def _load_class(name: str) -> Extractor:
    module, _, attribute = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:  # the last two: an empty or relative module
        why = shortened(str(error), 100)
        raise ModelNotFound(f"cannot load {shown(name)}: {why}; write it as package.module:Class") from error
    # Looked at before it is called: `os:abort` is a name too.
    if not (isinstance(kind, type) and issubclass(kind, Extractor)):
        raise InputError(f"{name!r} is no extractor: derive the class from simsearch.Extractor")
    return kind()
