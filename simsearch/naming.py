"""Names that carry arguments, as `overlay_image_25(opacity=0.5,place=centre)`: read and written."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simsearch.errors import InputError, shortened, shown

_NAME = re.compile(r"(.+)\(bits=([^()]+)\)")

TIMM = "timm:"
FILES = ("onnx:", "torchscript:")
"""What names of networks in files begin with."""

Value = int | float | bool | str
_CALL = re.compile(r"(?P<head>[^()]+)(?:\((?P<inside>.*)\))?", re.DOTALL)
TRUTH: Mapping[str, bool] = {"true": True, "false": False}


def parse(text: str) -> tuple[str, dict[str, str]]:
    """Return the name before the parentheses and the arguments inside, as text.

    Raises:
        InputError: The parentheses are not closed, an argument has no `=`, or one is given twice.

    Example:
        >>> parse("overlay_image_25(opacity=0.5,place=centre)")
        ('overlay_image_25', {'opacity': '0.5', 'place': 'centre'})
    """
    match = _CALL.fullmatch(text.strip())
    if match is None:
        raise InputError(f"{text!r} is no name; write name or name(key=value,key=value)")
    arguments: dict[str, str] = {}
    inside = (match["inside"] or "").strip()
    for argument in inside.split(",") if inside else ():
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not (key and equals) or key in arguments:
            raise InputError(f"{text!r}: {argument.strip()!r} must be key=value, each key once")
        arguments[key] = value
    return match["head"].strip(), arguments


def written(head: str, arguments: Mapping[str, object]) -> str:
    """Return the name with its arguments in the order of their keys.

    Example:
        >>> written("overlay_image_25", {"place": "centre", "opacity": 0.5})
        'overlay_image_25(opacity=0.5,place=centre)'
    """
    inside = ",".join(f"{key}={arguments[key]}" for key in sorted(arguments))
    return f"{head}({inside})" if inside else head


def value_of(text: str) -> Value:
    """Return the whole number, number or truth value of a text, or the text itself.

    Example:
        >>> value_of("3"), value_of("0.5"), value_of("true"), value_of("red")
        (3, 0.5, True, 'red')
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return TRUTH.get(text.lower(), text)


def is_class_name(model: str) -> bool:
    """Return whether a model name is that of a class, `module:Class`, plain or quantised: that module would be run."""
    base = base_name(model)
    return ":" in base and "/" not in base and not base.startswith((TIMM, *FILES))


def loaded(name: str) -> Any:
    """Return what `module:attribute` names; the module is looked for in the working directory too.

    Raises:
        InputError: it cannot be loaded.
    """
    module, _, attribute = name.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:  # the last two: an empty or relative module
        raise InputError(f"cannot load {shown(name)!r}: {shortened(str(error), 100)}") from error


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas; those in parentheses separate parameters.

    Raises:
        InputError: A name is empty, or parentheses do not match.

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


def is_quantised_name(model: str) -> bool:
    """Return whether a model name is that of a quantised model.

    Example:
        >>> is_quantised_name("mini(bits=96)"), is_quantised_name("phash(size=16)")
        (True, False)
    """
    return _NAME.fullmatch(model) is not None


def base_name(model: str) -> str:
    """Return the base model's name of a quantised one; any other name as it is.

    Example:
        >>> base_name("mini(bits=96)"), base_name("mini")
        ('mini', 'mini')
    """
    return quantised_parts(model)[0] if is_quantised_name(model) else model


def quantised_parts(name: str) -> tuple[str, str]:
    """Return the base model and the quantiser, a number of bits or a file, of a quantised model's name.

    Raises:
        InputError: It is no quantised model's name.

    Example:
        >>> quantised_parts("mini(bits=96)")
        ('mini', '96')
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise InputError(f"{name!r} does not ask for bits; write it as mini(bits=96)")
    return match[1], match[2].strip()


def quantised_name(model: str, bits: str) -> str:
    """Return the name of a model whose rows are quantised, to a number of bits or by a quantiser's file.

    Example:
        >>> quantised_name("mini", "96")
        'mini(bits=96)'
    """
    return f"{model}(bits={bits})"
