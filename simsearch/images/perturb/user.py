"""A user's own edit, named `module:function`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from simsearch import naming
from simsearch.errors import InputError
from simsearch.images.perturb.family import Edit, Perturbation


@dataclass(frozen=True, slots=True)
class Own:
    """The edit `module:function`; it holds the name alone, so that worker processes load the function themselves."""

    name: str

    def __call__(self, image: Image.Image, rng: np.random.Generator, **parameters: Any) -> Image.Image:
        """Return the function's result for a copy of the image.

        Raises:
            InputError: It returned something else than an image of the same mode.
        """
        try:
            out: object = _load(self.name)(image.copy(), rng, **parameters)
        except Exception as error:
            error.add_note(f"raised by the perturbation {self.name}")
            raise
        wanted = f"return a PIL image of mode {image.mode} as it was given"
        if not isinstance(out, Image.Image):
            raise InputError(f"{self.name} returned {type(out).__name__}, no image; {wanted}")
        if out.mode != image.mode or 0 in out.size:
            raise InputError(f"{self.name} returned an image of {out.width}x{out.height}, mode {out.mode}; {wanted}")
        return out


def own(head: str, arguments: Mapping[str, str]) -> Perturbation:
    """Return the perturbation of a user's function with those arguments.

    Args:
        head: `module:function`; the module is looked for in the working directory too.
        arguments: Keyword arguments of the function, as text: numbers, `true`, `false`, or words.

    Raises:
        InputError: There is no such function, or it does not take (image, rng) and the arguments.
    """
    function = _load(head)
    parameters = {key: naming.value_of(text) for key, text in arguments.items()}
    try:
        inspect.signature(function).bind(None, None, **parameters)
    except (TypeError, ValueError) as error:  # the latter: a function of a C module that tells no signature
        taken = ", ".join(["image", "rng", *parameters])
        raise InputError(f"{head} cannot be called as function({taken}): {error}") from error
    return Perturbation(naming.written(head, parameters), head, parameters, Own(head))


def _load(name: str) -> Edit:
    try:
        function: object = naming.loaded(name)
    except InputError as error:
        raise InputError(f"{error}; write it as package.module:function") from error
    if not callable(function):
        written = name.rpartition(":")[2]
        raise InputError(f"{name!r} is no function: write def {written}(image, rng), returning the edited image")
    return function
