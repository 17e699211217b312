"""Model folders as they are written: the card as TOML, weights with their digest, golden rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsearch.extract.zoo.card import CARD, ModelCard
from simsearch.runtime.files import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.safetensors"


def write_model(state: Mapping[str, Tensor], card: ModelCard, folder: Path) -> ModelCard:
    """Write weights, card and golden file into a folder; return the card with the weights' file and SHA-256.

    The golden rows are computed on the CPU in float32, from the weights as they were written.

    Args:
        state: The network's weights by their names, on the CPU and contiguous.
        card: All but the weights' file and digest, which are filled in.
        folder: Made if it is missing; files of the same names are replaced.
    """
    from safetensors.torch import save_file

    from simsearch.extract.neural.extractor import NeuralExtractor
    from simsearch.extract.zoo.golden import write_golden

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(state), folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)  # safetensors makes it readable to its owner alone
    digest = sha256_of(folder / WEIGHTS)
    found = {"file": WEIGHTS, "url": None, "package": None, "member": None, "form": "safetensors", "sha256": digest}
    finished = card.model_copy(update={"weights": card.weights.model_copy(update=found)})
    (folder / CARD).write_text(to_toml(finished), encoding="utf-8")
    write_golden(NeuralExtractor(folder, device="cpu", dtype="float32"), folder)
    return finished


def to_toml(card: ModelCard) -> str:
    """Return a card as TOML; `load_card` reads the same card back."""
    values = card.model_dump(mode="json", exclude_none=True)
    values["preprocessing"] = {key: values["preprocessing"][key] for key in card.preprocessing.identity}
    if values["weights"].get("form") == "safetensors":
        del values["weights"]["form"]
    lines, tables = list[str](), list[str]()
    for name, value in values.items():
        if isinstance(value, dict):
            tables += _table(f"[{name}]", value)
        elif name == "quantisers":
            tables += [line for entry in value for line in _table(f"[[{name}]]", entry)]
        else:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _table(header: str, values: dict[str, Any]) -> list[str]:
    return ["", header, *(f"{key} = {_value(value)}" for key, value in values.items())]


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)  # TOML writes strings, numbers, booleans and lists as JSON does
