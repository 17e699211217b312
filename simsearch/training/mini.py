"""How the embedded default model, mini, is made: its network, its preprocessing, its training."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from os import PathLike

import torch
from torch import Tensor, nn

from simsearch.extract.card import ModelCard, Weights
from simsearch.extract.device import choose_device
from simsearch.extract.networks.resnet import ResNet, ResNetArguments
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment import Augmenter, Edits
from simsearch.training.checkpoint import Checkpoint
from simsearch.training.loop import Recipe, Step, train
from simsearch.training.photographs import load_photographs
from simsearch.training.text import text_bank

NETWORK = ResNetArguments(
    block="basic", depths=(1, 1, 1, 1), widths=(32, 64, 128, 512), stem="plain", stem_width=32, row=512
)
PREPROCESSING = Preprocessing(
    size=112,
    fit="squash",
    resize=112,
    kernel="bilinear",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
JPEG_QUALITIES = (5, 40)
TEXTS = 2000
TRAINING_DATA = (
    "9,410 photographs of at most 192 pixels: Caltech-101 without faces (CC BY 4.0), flowers (CC BY), clothing (CC0), "
    "groceries (MIT)"
)


def mini_card(training_data: str) -> ModelCard:
    """Return the card of mini without weights: an all-zero digest stands where `export` writes the real one."""
    return ModelCard(
        name="mini",
        summary="embedded default: narrow ResNet of the SimCLR v2 family, trained to find edited copies by js",
        status="unverified",
        network="resnet",
        arguments=asdict(NETWORK),
        dimension=NETWORK.dimension,
        non_negative=True,
        metric="js",
        preprocessing=PREPROCESSING,
        weights=Weights(file="weights.safetensors", sha256="0" * 64, licence="Apache-2.0"),
        training_data=training_data,
        reference="Chen et al., Big Self-Supervised Models are Strong Semi-Supervised Learners, 2020",
        limits="Sees 112 x 112 pixels: small text and crops to less than a tenth of the area are beyond it. "
        "Mirrored and quarter-turned copies are not trained for.",
    )


def train_mini(
    paths: Iterable[str | PathLike[str]],
    recipe: Recipe,
    *,
    device: str,
    report: Callable[[Step], None],
    checkpoint: Checkpoint | None = None,
    texts: int = TEXTS,
) -> nn.Module:
    """Return mini's network, trained on the photographs found in `paths`.

    Args:
        paths: Folders, images or tars.
        recipe: Length, batch, rates, weights of the loss.
        device: "auto", "cpu", "cuda" or "cuda:N"; photographs and augmentation are on it too.
        report: Called after every step; on a GPU after every tenth.
        checkpoint: Where the run is saved and gone on from; by default nowhere.
        texts: Strings rendered to be laid over photographs.

    Raises:
        Paused: the checkpoint's `pause` said so; the run is saved.
        InputError: an input is no image, there are none, or there is no such device.
    """
    torch.manual_seed(recipe.seed)
    photographs = load_photographs(paths, PREPROCESSING, jpeg=JPEG_QUALITIES, seed=recipe.seed)
    where = choose_device(device)
    bank = text_bank(PREPROCESSING.size, count=texts, seed=recipe.seed).to(where)
    augmenter = Augmenter(photographs.to(where), bank, Edits(), seed=recipe.seed)
    mean, std = (255 * torch.tensor([PREPROCESSING.mean, PREPROCESSING.std], device=where)).view(2, 1, 3, 1, 1)

    def normalise(pixels: Tensor) -> Tensor:
        normalised: Tensor = (pixels - mean) / std
        return normalised

    return train(ResNet(NETWORK), augmenter, recipe, normalise=normalise, report=report, checkpoint=checkpoint)
