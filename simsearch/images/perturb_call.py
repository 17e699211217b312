"""Names that carry arguments, as `overlay_image_25(opacity=0.5,place=centre)`: read and written."""

from __future__ import annotations

import re
from collections.abc import Mapping

from simsearch.errors import InputError

Value = int | float | bool | str
_CALL = re.compile(r"(?P<head>[^()]+)(?:\((?P<inside>.*)\))?", re.DOTALL)
_WORDS: Mapping[str, bool] = {"true": True, "false": False}


def parse(text: str) -> tuple[str, dict[str, str]]:
    """The name before the parentheses and the arguments inside, as text.

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
    for argument in filter(None, map(str.strip, (match["inside"] or "").split(","))):
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not (key and equals) or key in arguments:
            raise InputError(f"{text!r}: {argument!r} must be key=value, each key once")
        arguments[key] = value
    return match["head"].strip(), arguments


def written(head: str, arguments: Mapping[str, object]) -> str:
    """The name with its arguments in the order of their keys.

    Example:
        >>> written("overlay_image_25", {"place": "centre", "opacity": 0.5})
        'overlay_image_25(opacity=0.5,place=centre)'
    """
    inside = ",".join(f"{key}={arguments[key]}" for key in sorted(arguments))
    return f"{head}({inside})" if inside else head


def value_of(text: str) -> Value:
    """The whole number, number or truth value that the text stands for, or the text itself.

    Example:
        >>> value_of("3"), value_of("0.5"), value_of("true"), value_of("red")
        (3, 0.5, True, 'red')
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return _WORDS.get(text.lower(), text)
