"""A larger model that a run asks, and does not train: whatever has a name and gives one row of numbers an image."""

from __future__ import annotations

import torch
from torch import Tensor

from simsearch.errors import InputError
from simsearch.extract.extractor import Extractor, require_one_row
from simsearch.extract.load import load_extractor
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.training.augment.image_batch import Squares, prepared
from simsearch.training.loss import unit


class Teacher:
    """A model by its name, loaded where the run is: by each process of several devices for itself."""

    def __init__(self, name: str) -> None:
        """Make sure that there is such a model.

        Raises:
            ModelNotFound: There is none.
            InputError: It gives codes, or several rows an image.
        """
        self.name = name
        extractor = load_extractor(name, device="cpu")
        require_one_row(extractor)
        if extractor.gives_codes:
            raise InputError(f"distillation.teacher: {name} gives codes; a teacher gives numbers")
        self._extractor: Extractor = extractor

    def load(self, device: torch.device) -> None:
        """Have it on a device, from here on."""
        self._extractor = load_extractor(self.name, device=str(device))

    def units(self, squares: Squares) -> Tensor:
        """Return unit vectors (n, D) float32 of pictures, where those are; their products are its similarity."""
        pixels = prepared(squares, self._extractor.preprocessing).round().to(torch.uint8)
        pixels = pixels.permute(0, 2, 3, 1).contiguous()  # (n, size, size, 3)
        if isinstance(self._extractor, NeuralExtractor):
            rows = self._extractor.forward(pixels).clone()  # which was made in inference mode, out of it
        else:
            rows = torch.from_numpy(self._extractor.embed_pixels(pixels.cpu().numpy())).to(pixels.device)
        return unit(rows.float(), "js" if self._extractor.metric == "js" else "cosine")
