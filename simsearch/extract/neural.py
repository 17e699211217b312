"""A network of the zoo as an extractor: folded, in the device's fastest exact-enough precision."""

from __future__ import annotations

import importlib
import itertools
import platform
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from simsearch.errors import InputError, ModelError, WeightsError
from simsearch.extract.card import ModelCard, load_card, weights_path
from simsearch.extract.device import choose_device
from simsearch.extract.device_decode import DeviceDecoder
from simsearch.extract.extractor import Extractor
from simsearch.extract.filled import Filled
from simsearch.extract.halving import Halving
from simsearch.extract.recorded import Forward, Recorded
from simsearch.images.prepared import Prepared
from simsearch.images.preprocess import Preprocessing
from simsearch.images.rejected import Rejected

_NO_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class NeuralExtractor(Extractor):
    """An extractor made from a model folder; weights checked, batch norm folded, ready on a device.

    On a GPU batches of a size that comes again are replayed as CUDA graphs.

    Attributes:
        unrecorded: The same as `forward`, never replayed.
    """

    def __init__(self, folder: Path, *, device: str = "auto", dtype: str = "auto") -> None:
        """Load a model.

        Args:
            folder: Holds model.toml and, unless the card names a URL, the weights.
            device: "auto", "cpu", "cuda" or "cuda:N".
            dtype: "auto" (bfloat16 where the device computes it natively), "float32" or "bfloat16".

        Raises:
            ModelError: no such network, or arguments that it does not take.
            WeightsError: weights missing, damaged or of another network.
            InputError: no such device or dtype.
        """
        card = load_card(folder)
        self._begin(card, folder, load_network(card, folder), device, dtype)

    @classmethod
    def of_network(
        cls, card: ModelCard, network: nn.Module, *, device: str = "auto", dtype: str = "auto"
    ) -> NeuralExtractor:
        """Return the extractor of a network that is there already, with the card that says what it is."""
        made = cls.__new__(cls)
        made._begin(card, None, network, device, dtype)
        return made

    def _begin(self, card: ModelCard, folder: Path | None, network: nn.Module, device: str, dtype: str) -> None:
        self.card = card
        self.card_folder = folder
        self.name = self.card.name
        self.fingerprint = self.card.fingerprint
        self.dimension = self.card.dimension
        self.non_negative = self.card.non_negative
        self.metric = self.card.metric
        self.preprocessing = self.card.preprocessing
        self.device = choose_device(device)
        self.dtype = choose_dtype(dtype, self.device)
        self.unrecorded = FromPixels(
            _ready(network, self.device, self.dtype), self.preprocessing, self.device, self.dtype
        )
        self._rows = self._recorded(self.unrecorded)
        self.works_ahead = self.device.type == "cuda"
        release = torch.cuda.empty_cache if self.device.type == "cuda" else _nothing
        self._halving = Halving(is_out_of_memory, release)
        self._decoder: DeviceDecoder | None = None

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return rows (n, d) float32 of pixels (n, s, s, 3) uint8; on out-of-memory in smaller pieces.

        Raises:
            InputError: the pixels have another shape or type.
        """
        pieces = self._halving.run(self._forward, self._checked(pixels))
        return np.concatenate([np.empty((0, self.dimension), np.float32), *pieces])

    def admit(self) -> None:
        """Make sure that this runtime gives the golden rows; an unverified card may have none.

        Raises:
            ModelError: they differ by more than the card's tolerance, or the golden file is missing or damaged.
        """
        from simsearch.extract.golden import check_golden, has_golden

        if self.card_folder is None or not has_golden(self.card, self.card_folder):
            return
        decoded = None if self._decoder is None else self._decoder.pixels
        worst = check_golden(self, self.card_folder, decoded=decoded)
        if worst > self.card.tolerance:
            raise ModelError(
                f"{self.name} gives rows here ({self.runtime()}) that are {worst:.4f} from its golden rows by "
                f"{self.metric}; {self.card.tolerance} is allowed. Run simsearch doctor, and try --device cpu"
            )

    def runtime(self) -> dict[str, str]:
        """Return device, dtype and versions."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        told = {"device": name, "dtype": str(self.dtype).removeprefix("torch."), "torch": str(torch.__version__)}
        return told if self._decoder is None else {**told, "decoder": self._decoder.name}

    def compile(self) -> None:
        """From here on run the network as torch.compile makes it, for batches of one size, smaller ones filled up.

        The first batch takes a minute or so, again where a larger one comes: for many thousand images. `admit` says
        whether the rows are still the model's.
        """
        frozen: dict[str, Any] = {"freezing": True}  # weights in the order that a CPU's kernels read
        options = frozen if self.device.type == "cpu" else None
        self._rows = self._recorded(Filled(torch.compile(self.unrecorded, dynamic=False, options=options)))

    def decode_on_device(self) -> None:
        """From here on `prepare` decodes and resizes plain JPEGs on the device (`DeviceDecoder`); others as before.

        `admit` says whether the rows are still the model's.

        Raises:
            InputError: what is installed cannot decode JPEGs on the device.
        """
        self._decoder = DeviceDecoder(self.preprocessing, self.device)

    def prepare(self, sources: Any, **settings: Any) -> Iterator[Prepared | Rejected]:
        """Yield each input with its pixels, or rejected, as `Extractor.prepare`."""
        prepare = super().prepare if self._decoder is None else self._decoder.prepare
        return prepare(sources, **settings)

    def _recorded(self, rows: Forward) -> Forward:
        return Recorded(rows) if self.device.type == "cuda" else rows

    @torch.inference_mode()
    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return rows (n, d) float32 of pixels (n, s, s, 3) uint8 that are on the extractor's device; they stay there.

        Memory that runs out is the caller's to handle; `embed_pixels` does.
        """
        return self._rows(pixels)

    def start(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[Any]]:
        """Begin to embed pixels (n, s, s, 3) uint8, and return what waits for their rows.

        On a GPU pixels go there, and rows come back, while the caller prepares the next batch.
        """
        if self.device.type != "cuda" or self._halving.size is not None or not len(pixels):
            return super().start(pixels)
        try:
            with torch.inference_mode():
                there = torch.from_numpy(np.ascontiguousarray(self._checked(pixels))).pin_memory()
                rows = self.forward(there.to(self.device, non_blocking=True))
                back = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True).copy_(rows, non_blocking=True)
                done = torch.cuda.current_stream(self.device).record_event()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return super().start(pixels)  # which goes on in smaller pieces

        def finish() -> NDArray[Any]:
            done.synchronize()
            return back.numpy().copy()

        return finish

    def _forward(self, pixels: Any) -> NDArray[np.float32]:
        on_device = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device)
        rows: NDArray[np.float32] = self.forward(on_device).cpu().numpy()
        return rows

    def _checked(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        side = self.preprocessing.size
        if pixels.dtype != np.uint8 or pixels.shape[1:] != (side, side, 3):
            raise InputError(
                f"pixels are {pixels.dtype} {pixels.shape}; {self.name} takes uint8 (n, {side}, {side}, 3)"
            )
        return pixels


class FromPixels(nn.Module):
    """A ready network behind the normalisation of pixels."""

    def __init__(
        self, network: nn.Module, preprocessing: Preprocessing, device: torch.device, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self._network = network
        self._dtype = dtype
        scale = torch.tensor([preprocessing.mean, preprocessing.std], device=device)
        # A whole line of pixels at once: over three channels at a time a CPU takes ten times as long.
        self._mean, self._std = (255 * scale).repeat(1, preprocessing.size)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Rows (n, d) float32 of pixels (n, s, s, 3) uint8 on the device."""
        lines = pixels.flatten(2).float()  # (n, s, 3 s)
        x = lines.sub_(self._mean).div_(self._std).to(self._dtype).view(pixels.shape)
        rows: torch.Tensor = self._network(x.permute(0, 3, 1, 2))  # (n, 3, s, s), channels last
        return rows.float()


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Return the dtype of the convolutions.

    Raises:
        InputError: it is none of "auto", "float32", "bfloat16".
    """
    if dtype == "auto":
        return torch.bfloat16 if _computes_bfloat16(device) else torch.float32
    if dtype not in ("float32", "bfloat16"):
        raise InputError(f"dtype {dtype!r} is not one of auto, float32, bfloat16")
    return torch.float32 if dtype == "float32" else torch.bfloat16


def _computes_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if platform.machine() in ("x86_64", "AMD64"):  # where oneDNN emulates it, slowly, on any AVX-512
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def load_network(card: ModelCard, folder: Path) -> nn.Module:
    """Return a card's network with its weights, in float32 on the CPU, unfolded.

    Raises:
        ModelError: no such network, or arguments that it does not take.
        WeightsError: weights missing, damaged or of another network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    network = build_network(card)
    path = weights_path(card, folder)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise WeightsError(
            f"{card.name}: {path.name} does not fit {card.network}: {str(error).splitlines()[0]}"
        ) from error
    return network


def build_network(card: ModelCard) -> nn.Module:
    """Return a card's network with random weights.

    Raises:
        ModelError: no such network, or arguments that it does not take.
    """
    arguments = arguments_of(card)
    if arguments.dimension != card.dimension:
        raise ModelError(
            f"{card.name}: the network gives {arguments.dimension} dimensions, the card says {card.dimension}"
        )
    network: nn.Module = _family(card).Network(arguments)
    return network


def arguments_of(card: ModelCard) -> Any:
    """Return the arguments of a card's network family.

    Raises:
        ModelError: no such family, or arguments that it does not take.
    """
    family = _family(card)
    known = {field.name for field in fields(family.Arguments)}
    if unknown := set(card.arguments) - known:
        raise ModelError(f"{card.name}: {card.network} takes no {sorted(unknown)}; it takes {sorted(known)}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in card.arguments.items()}
    return family.Arguments(**given)


def _family(card: ModelCard) -> Any:
    try:
        return importlib.import_module(f"simsearch.extract.networks.{card.network}")
    except ImportError as error:
        raise ModelError(f"{card.name}: no network family is called {card.network!r}") from error


def _ready(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return the network folded, in inference mode; a trained row keeps float32, where rounding would be searched."""
    network = network.eval().requires_grad_(requires_grad=False)
    _fold(network)
    network.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if isinstance(row := getattr(network, "row", None), nn.Module):
        row.float()
    return network


def _fold(module: nn.Module) -> None:
    """Fold every batch norm into the layer before it; not those that do more, such as timm's with an activation."""
    for child in module.children():
        _fold(child)
    names = list(module._modules)
    for first, second in itertools.pairwise(names):
        layer, norm = module._modules[first], module._modules[second]
        if isinstance(layer, nn.Conv2d) and type(norm) is nn.BatchNorm2d:
            module._modules[first], module._modules[second] = fuse_conv_bn_eval(layer, norm), nn.Identity()
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            module._modules[first], module._modules[second] = fuse_linear_bn_eval(layer, norm), nn.Identity()


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an exception says that a device or the machine has no memory left."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _nothing() -> None:
    return None
