"""The card of a network in a file of ONNX or TorchScript; what it takes stands in the file or in its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from simsearch.distance import METRICS, metric_name
from simsearch.errors import InputError, ModelNotFound, shown
from simsearch.extract.zoo.card import ModelCard, Weights
from simsearch.images.preprocess import Preprocessing
from simsearch.naming import parse, written
from simsearch.runtime.files import sha256_of

_IMAGENET = {"mean": "0.485 0.456 0.406", "std": "0.229 0.224 0.225"}
PARAMETERS = ("size", "fit", "resize", "kernel", "mean", "std", "metric")
"""What may be said of a file, in its name or in the file; the name's count."""


class ModelFile:
    """A file named as `onnx:PATH(size=288,mean=0.5,std=0.5)`.

    Attributes:
        form: "onnx" or "torchscript".
        path: Where it is.
        given: The parameters in its name, as text.
    """

    def __init__(self, name: str) -> None:
        """Read the name.

        Raises:
            InputError: A parameter that there is none of.
            ModelNotFound: There is no such file.
        """
        head, self.given = parse(name)
        self.form, _, path = head.partition(":")
        self.path = Path(path.strip()).expanduser()
        _check_keys(self.given, shown(name))
        if not self.path.is_file():
            raise ModelNotFound(f"{shown(name)}: there is no file {shown(str(self.path))}")

    def preprocessing(self, size: int | None, metadata: Mapping[str, str], *, raw: bool = False) -> Preprocessing:
        """Return what the file takes.

        Args:
            size: Side of the square that the file takes; None where it takes any.
            metadata: Of the file; only known parameters count.
            raw: Whether the network takes levels 0 to 255, which it normalises by itself.

        Raises:
            InputError: A parameter is missing, or has a value that it cannot have.
        """
        return self._preprocessing(self._values(metadata), size, raw)

    def card(self, dimension: int, preprocessing: Preprocessing, metadata: Mapping[str, str]) -> ModelCard:
        """Return the card, whose fingerprint covers the whole file.

        Args:
            dimension: Length of a row.
            preprocessing: As the method of that name gives it.
            metadata: Of the file; only known parameters count.

        Raises:
            InputError: The metric is none for rows of numbers.
        """
        metric = self._metric(self._values(metadata).get("metric", "cosine"))
        stem = re.sub(r"[^a-z0-9._-]", "-", self.path.stem.lower())
        return ModelCard(
            name=f"{self.form}-{stem}",
            summary=f"{self.path.name}, a file of {self.form}",
            status="unverified",
            network=self.form,
            arguments={},
            dimension=dimension,
            non_negative=METRICS[metric].non_negative,
            metric=metric,
            preprocessing=preprocessing,
            weights=Weights(file=self.form, sha256=sha256_of(self.path), licence="unknown"),
            training_data="unknown",
            reference=self.path.name,
            limits="Not tried by this project.",
        )

    @property
    def suffix(self) -> str:
        """The parameters in the name, as they stand behind it."""
        return written("", self.given)

    def refused(self, why: object) -> str:
        """Return an error's message: the file and the reason in one line, which is TorchScript's last."""
        lines = str(why).splitlines() or [type(why).__name__]
        return f"{self.path}: {(lines[-1] if 'TorchScript interpreter' in lines[0] else lines[0])[:200]}"

    def _values(self, metadata: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in metadata.items() if key in PARAMETERS} | self.given

    def _metric(self, text: str) -> str:
        try:
            metric = metric_name(text)
        except ValueError as error:
            raise InputError(self.refused(error)) from error
        if METRICS[metric].of_codes:
            raise InputError(f"{self.path}: metric {metric} is one of codes; a network gives numbers")
        return metric

    def _preprocessing(self, values: Mapping[str, str], size: int | None, raw: bool) -> Preprocessing:
        side = _whole(values, "size", size)
        if side is None:
            raise InputError(
                f"{self.path} does not say what size it takes: name it as {self.form}:{self.path}(size=224)"
            )
        if size is not None and side != size:
            raise InputError(f"{self.path} takes {size} x {size} pixels, and its name says size={side}")
        if raw and (unused := {"mean", "std"} & self.given.keys()):
            raise InputError(
                f"{self.path} takes levels of colour as they are: leave out {' and '.join(sorted(unused))}"
            )
        mean, std = (_three(values, key) for key in ("mean", "std"))
        if not all(std):
            raise InputError(f"{self.path}: std is a divisor and must not be 0")
        fit: Any = values.get("fit", "squash")
        kernel: Any = values.get("kernel", "bilinear")
        resize = _whole(values, "resize", side)
        assert resize is not None
        try:
            how = Preprocessing(side, fit, resize, kernel, mean, std).as_seen
        except InputError as error:
            raise InputError(self.refused(error)) from error
        return replace(how, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) if raw else how


def _check_keys(values: Mapping[str, str], name: str) -> None:
    if unknown := values.keys() - set(PARAMETERS):
        raise InputError(f"{name}: there is no parameter {min(unknown)!r}; there are {', '.join(PARAMETERS)}")


def _whole(values: Mapping[str, str], key: str, default: int | None) -> int | None:
    text = values.get(key)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) == 0:
        raise InputError(f"{key} must be a number of pixels, as {key}=224, and is {shown(text)}")
    return int(text)


def _three(values: Mapping[str, str], key: str) -> tuple[float, float, float]:
    """Return one number for all channels, or one for each; ImageNet's where none is given."""
    text = values.get(key, _IMAGENET[key])
    try:
        numbers = [float(number) for number in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3) or not all(abs(number) < 1e6 for number in numbers):
        raise InputError(
            f"{key} must be one number or three of values in 0..1, as {key}={_IMAGENET[key]}, and is {shown(text)}"
        )
    red, green, blue = numbers * (3 // len(numbers))
    return red, green, blue
