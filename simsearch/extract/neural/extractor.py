"""A network of the zoo as an extractor: folded, in the device's fastest exact-enough precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simsearch.errors import ModelError
from simsearch.extract.extractor import Extractor, checked_pixels
from simsearch.extract.networks.build import load_network
from simsearch.extract.neural.cuda_graphs import Forward, Recorded
from simsearch.extract.neural.folding import FromPixels
from simsearch.extract.neural.gpu_decode import DeviceDecoder
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.images.source import Rejected
from simsearch.images.workers.prepared import Prepared
from simsearch.runtime.cpu import keep_freed_memory
from simsearch.runtime.device import choose_device, choose_dtype
from simsearch.runtime.oom import Halving
from simsearch.runtime.processes import torch_threads
from simsearch.runtime.transfers import Transfers

_FEW_IMAGES, _FEW_WEIGHTS = 16, 1 << 22  # a product of so few takes a core less time than to wake the others
_NO_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class NeuralExtractor(Extractor):
    """An extractor made from a model folder; weights checked, batch norm folded, ready on a device.

    On a GPU batches of a size that comes again are replayed as CUDA graphs.

    Attributes:
        unrecorded: The same as `forward`, never replayed.
    """

    kind = "network"

    def __init__(self, folder: Path, *, device: str = "auto", dtype: str = "auto") -> None:
        """Load a model.

        Args:
            folder: Holds model.toml and, unless the card names a URL, the weights.
            device: "auto", "cpu", "cuda" or "cuda:N".
            dtype: "auto" (bfloat16 where the device computes it natively and the card allows it), "float32" or
                "bfloat16".

        Raises:
            ModelError: No such network, or arguments that it does not take.
            WeightsError: Weights missing, damaged or of another network.
            InputError: No such device or dtype.
        """
        card = load_card(folder)
        self._begin(card, folder, load_network(card, folder), device, dtype)

    @classmethod
    def of_network(
        cls, card: ModelCard, network: nn.Module, *, device: str = "auto", dtype: str = "auto"
    ) -> NeuralExtractor:
        """Return the extractor of a network that is there already, with the card that says what it is.

        The network is taken over: its norms and the card's normalisation are folded into its layers.
        """
        made = cls.__new__(cls)
        made._begin(card, None, network, device, dtype)
        return made

    def _begin(self, card: ModelCard, folder: Path | None, network: nn.Module, device: str, dtype: str) -> None:
        self.card, self.card_folder = card, folder
        self.name, self.fingerprint, self.dimension = card.name, card.fingerprint, card.dimension
        self.non_negative, self.metric, self.preprocessing = card.non_negative, card.metric, card.preprocessing
        self.device = choose_device(device)
        self.dtype = choose_dtype("float32" if dtype == "auto" and not card.bfloat16 else dtype, self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.unrecorded = FromPixels(network, self.preprocessing, self.device, self.dtype)
        self._rows = self._recorded(self.unrecorded)
        self._is_small = sum(each.numel() for each in network.parameters()) < _FEW_WEIGHTS
        self.works_ahead = int(self.device.type == "cuda")
        release = torch.cuda.empty_cache if self.device.type == "cuda" else lambda: None
        self._transfers = Transfers(self.device)
        self._halving = Halving(is_out_of_memory, release)
        self._decoder: DeviceDecoder | None = None

    def embed_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return rows (n, d) float32 of pixels (n, s, s, 3) uint8; on out-of-memory in smaller pieces.

        Raises:
            InputError: The pixels have another shape or type.
        """
        pieces = self._halving.run(self._forward, checked_pixels(self, pixels))
        return np.concatenate([np.empty((0, self.dimension), np.float32), *pieces])

    def admit(self) -> None:
        """Require that this runtime reproduces the golden rows; an unverified card may have none.

        Raises:
            ModelError: They differ by more than the card's tolerance, or the golden file is missing or damaged.
        """
        from simsearch.extract.zoo.golden import check_golden, has_golden

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

    def _where(self) -> str:
        return f"{self.device} {str(self.dtype).removeprefix('torch.')}"

    def compile(self) -> None:
        """Compile the network by torch.compile for batches of one size; smaller ones are padded.

        The first batch takes a minute or so, again where a larger one comes: for many thousand images. `admit` says
        whether the rows are still the model's.
        """
        frozen: dict[str, Any] = {"freezing": True}  # weights in the order that a CPU's kernels read
        options = frozen if self.device.type == "cpu" else None
        self._rows = self._recorded(Filled(torch.compile(self.unrecorded, dynamic=False, options=options)))

    def decode_on_device(self) -> None:
        """Make `prepare` decode and resize plain JPEGs on the device (`DeviceDecoder`); others as before.

        `admit` says whether the rows are still the model's.

        Raises:
            InputError: What is installed cannot decode JPEGs on the device.
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

    def least_batch(self, batch_size: int) -> int:
        """Return a whole batch on a GPU, whose kernels go by its size; two on a CPU, which treats one image apart."""
        return batch_size if self.device.type == "cuda" else min(2, batch_size)

    def start(self, pixels: NDArray[np.uint8]) -> Callable[[], NDArray[Any]]:
        """Begin to embed pixels (n, s, s, 3) uint8, and return the callable that waits for their rows.

        On a GPU pixels go there while the batch before is worked on, and rows come back while the caller prepares the
        next.
        """
        if self.device.type != "cuda" or self._halving.size is not None or not len(pixels):
            return super().start(pixels)
        try:
            with torch.inference_mode():
                rows = self.forward(self._transfers.send(checked_pixels(self, pixels)).arrived())
                with torch.cuda.device_of(rows):  # type: ignore[no-untyped-call]
                    back = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True).copy_(rows, non_blocking=True)
                    done = torch.cuda.current_stream().record_event()
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
        alone = self.device.type == "cpu" and self._is_small and len(pixels) <= _FEW_IMAGES
        with torch_threads(1) if alone else nullcontext():
            rows: NDArray[np.float32] = self.forward(on_device).cpu().numpy()
        return rows


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception means that a device or the machine is out of memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _NO_MEMORY)


class Filled:
    """Calls a function of batches with as many pixels as the largest batch so far had, and gives the first rows."""

    def __init__(self, forward: Callable[[Tensor], Tensor]) -> None:
        self._forward = forward
        self._size = 0

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the function's result for these pixels (n, ...)."""
        count = len(pixels)
        self._size = max(self._size, count)
        if count < self._size:
            pixels = torch.cat([pixels, pixels.new_zeros((self._size - count, *pixels.shape[1:]))])
        return self._forward(pixels)[:count]
