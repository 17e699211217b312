"""Any TorchScript file as an extractor, `torchscript:FILE`."""

from __future__ import annotations

import json
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from simsearch.errors import InputError, ModelError, WeightsError
from simsearch.extract.neural.cuda_graphs import Forward
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.neural.model_file import ModelFile

PREPROCESSING = "preprocessing.json"
"""A file inside one of TorchScript that may say what it takes: `torch.jit.save(..., _extra_files={...})`."""


class TorchScriptExtractor(NeuralExtractor):
    """A network of TorchScript, in float32; never replayed as a CUDA graph."""

    def __init__(self, name: str, *, device: str = "auto") -> None:
        """Load a file.

        Args:
            name: `torchscript:FILE`, with `size` among its parameters unless the file tells it.
            device: "auto" (CUDA where there is a GPU), "cpu", "cuda" or "cuda:N".

        Raises:
            ModelNotFound: There is no such file.
            WeightsError: It is no file of TorchScript.
            ModelError: It does not take images, or gives no rows.
            InputError: A parameter is missing or cannot be, or there is no such device.
        """
        file = ModelFile(name)
        script, metadata = _loaded(file)
        network = _FirstOutput(script)
        preprocessing = file.preprocessing(None, metadata)
        card = file.card(_probed(file, network, preprocessing.size), preprocessing, metadata)
        self._begin(card, None, network, device, "float32")
        self.name, self.label = card.name + file.suffix, file.path.stem

    def _recorded(self, rows: Forward) -> Forward:
        return rows


class _FirstOutput(nn.Module):
    """A network's rows, which may be the first of several outputs, or places of one pixel."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, x: Tensor) -> Tensor:
        out: Any = self.script(x)
        rows: Tensor = out[0] if isinstance(out, tuple | list) else out
        return rows.flatten(1) if rows.ndim == 4 and rows.shape[2:] == (1, 1) else rows


def _loaded(file: ModelFile) -> tuple[nn.Module, dict[str, str]]:
    extra = {PREPROCESSING: ""}
    try:
        with warnings.catch_warnings(category=FutureWarning, action="ignore"):  # files that exist are to be read
            script: nn.Module = torch.jit.load(str(file.path), map_location="cpu", _extra_files=extra)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"{file.path} is no file of TorchScript: {str(error).splitlines()[0][:150]}") from error
    try:
        metadata = json.loads(extra[PREPROCESSING] or "{}")
        return script, {key: _text(value) for key, value in metadata.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(file.refused(f"its {PREPROCESSING} is no JSON object")) from error


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _probed(file: ModelFile, network: nn.Module, side: int) -> int:
    """Return the length of a row, of a black image."""
    try:
        with torch.inference_mode():
            rows = network.eval()(torch.zeros(1, 3, side, side))
    except Exception as error:
        raise ModelError(file.refused(error)) from error
    if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) != 1 or not rows.is_floating_point():
        what = f"{rows.dtype} {tuple(rows.shape)}" if isinstance(rows, Tensor) else type(rows).__name__
        raise ModelError(f"{file.path} gives {what} for one image; it must give floats (n, d)")
    return rows.shape[1]
