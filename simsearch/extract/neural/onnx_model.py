"""Any ONNX file as an extractor, `onnx:FILE`, run by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsearch.errors import DependencyMissing, InputError, ModelError, WeightsError
from simsearch.extract.extractor import Extractor, checked_pixels
from simsearch.extract.neural.model_file import ModelFile

_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_LEVELS = "tensor(uint8)"
_GPU = "CUDAExecutionProvider"


class OnnxExtractor(Extractor):
    """A network that ONNX Runtime runs: one input of images, the first output is its rows.

    Read from the file: the side of the square (unless it is dynamic), whether images are (n, 3, s, s) or (n, s, s, 3),
    the batch if it is fixed, floats to be normalised or levels 0 to 255, and any of `model_file.PARAMETERS` among its
    metadata.
    """

    kind = "network"

    def __init__(self, name: str, *, device: str = "auto") -> None:
        """Load a file.

        Args:
            name: `onnx:FILE`, with parameters or without.
            device: "auto" (CUDA where ONNX Runtime has it), "cpu", "cuda" or "cuda:N".

        Raises:
            ModelNotFound: There is no such file.
            WeightsError: ONNX Runtime cannot read it.
            ModelError: It does not take images, or gives no rows.
            InputError: A parameter that it cannot have, or a device that ONNX Runtime does not have.
            DependencyMissing: ONNX Runtime is not installed.
        """
        file = ModelFile(name)
        runtime = _runtime()
        self._session = _session(runtime, file, device)
        self._provider: str = self._session.get_providers()[0]
        self._version = str(runtime.__version__)
        images = self._session.get_inputs()
        if len(images) != 1 or len(images[0].shape) != 4 or images[0].type not in {*_FLOATS, _LEVELS}:
            raise ModelError(f"{file.path} takes {_signature(images)}; it must take one batch of images of 3 channels")
        self._input = images[0]
        shape = [axis if isinstance(axis, int) and axis > 0 else None for axis in self._input.shape]
        self._channels_last = shape[3] == 3 and shape[1] != 3
        if (self._channels_last and shape[1] != shape[2]) or (not self._channels_last and shape[2] != shape[3]):
            raise ModelError(f"{file.path} takes {_signature(images)}; it must take squares")
        self._batch, size = shape[0], shape[2]
        metadata = dict(self._session.get_modelmeta().custom_metadata_map)
        raw = self._input.type == _LEVELS
        self.preprocessing = file.preprocessing(size, metadata, raw=raw)
        card = file.card(self._probed(file), self.preprocessing, metadata)
        self.name, self.label = card.name + file.suffix, file.path.stem
        self.fingerprint, self.dimension, self.metric = card.fingerprint, card.dimension, card.metric
        self.non_negative = card.non_negative

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return rows (n, d) float32 of pixels (n, s, s, 3) uint8.

        Raises:
            InputError: The pixels have another shape or type.
        """
        checked_pixels(self, pixels)
        rows = np.empty((len(pixels), self.dimension), np.float32)
        step = self._batch or max(len(pixels), 1)
        for start in range(0, len(pixels), step):
            some = pixels[start : start + step]
            rows[start : start + step] = self._run(some)[: len(some)]
        return rows

    def runtime(self) -> dict[str, str]:
        """Return where ONNX Runtime runs it, and its version."""
        return {"device": self._provider, "onnxruntime": self._version}

    def _where(self) -> str:
        return self._provider

    def _run(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return what the network gives for at most a batch; one that is fixed is filled up."""
        images: NDArray[Any] = pixels
        if self._batch is not None and len(pixels) < self._batch:
            images = np.concatenate([pixels, np.zeros((self._batch - len(pixels), *pixels.shape[1:]), np.uint8)])
        if self._input.type != _LEVELS:
            how = self.preprocessing
            shift, scale = 255 * np.array(how.mean, np.float32), 255 * np.array(how.std, np.float32)
            images = ((images - shift) / scale).astype(_FLOATS[self._input.type])
        if not self._channels_last:
            images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        rows: NDArray[Any] = self._session.run([self._session.get_outputs()[0].name], {self._input.name: images})[0]
        return rows.reshape(len(rows), -1) if rows.ndim == 4 and rows.shape[2:] == (1, 1) else rows

    def _probed(self, file: ModelFile) -> int:
        """Return the length of a row, of a black image."""
        side = self.preprocessing.size
        try:
            rows = self._run(np.zeros((1, side, side, 3), np.uint8))
        except Exception as error:  # ONNX Runtime's own, which derive from nothing in common
            raise ModelError(file.refused(error)) from error
        if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) != (self._batch or 1):
            raise ModelError(
                f"{file.path}: its first output is {rows.dtype} {rows.shape} for one image; it must be floats (n, d)"
            )
        return int(rows.shape[1])


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise DependencyMissing('ONNX files need ONNX Runtime: pip install -e ".[onnx]"') from error
    return onnxruntime


def _session(runtime: Any, file: ModelFile, device: str) -> Any:
    kind, _, number = device.partition(":")
    has_gpu = _GPU in runtime.get_available_providers()
    if kind not in ("auto", "cpu", "cuda") or (number and not number.isdecimal()):
        raise InputError(f"device is {device!r}; ONNX files run on 'auto', 'cpu', 'cuda' or 'cuda:N'")
    if kind == "cuda" and not has_gpu:
        raise InputError("the ONNX Runtime here has no CUDA: pip install onnxruntime-gpu in its place, or --device cpu")
    gpu = [(_GPU, {"device_id": number or "0"})] if has_gpu and kind != "cpu" else []
    try:
        return runtime.InferenceSession(str(file.path), providers=[*gpu, "CPUExecutionProvider"])
    except Exception as error:
        raise WeightsError(file.refused(error)) from error


def _signature(values: Any) -> str:
    return ", ".join(f"{one.type} {one.shape}" for one in values)[:200] or "nothing"
