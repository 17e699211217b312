"""Published weights as a model folder: read, fitted to our network, written as safetensors, with golden rows."""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

from torch import Tensor

from simsearch.errors import InputError, WeightsError, shown
from simsearch.extract.networks.build import arguments_of, build_network
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.published.write_model import write_model
from simsearch.extract.zoo.card import ModelCard, load_card
from simsearch.extract.zoo.find import find_model, is_packaged, own_models
from simsearch.extract.zoo.golden import GOLDEN
from simsearch.images.workers.process import importable
from simsearch.naming import TIMM
from simsearch.runtime.files import sha256_of

Form = Literal["safetensors", "torch", "simclr-tf"]
_PATIENCE_S = 600.0
_READER = "simsearch.extract.published.torch_file_child"


def convert(
    source: Path,
    name: str,
    form: Form,
    *,
    called: str | None = None,
    origin: str | None = None,
    folder: Path | None = None,
) -> Path:
    """Make a model folder of published weights, or of one's own, and return it.

    Args:
        source: The file that was fetched; of `simclr-tf` the folder of the checkpoint.
        name: The card whose network the weights are of, or `timm:NAME`.
        form: What the file is.
        called: What the model is called; by default as the card.
        origin: Where it came from; by default its name.
        folder: Where to write; by default among the user's own models, where commands find it by its name.

    Raises:
        ModelNotFound: There is no such card or network.
        InputError: A model cannot be called so.
        ModelError: They are the very weights that the card's golden rows were made of, and do not give them here.
        WeightsError: The file cannot be read, or holds the weights of another network; the message says which key.
        DependencyMissing: TensorFlow is needed and not installed.
    """
    card = _card(name, called)
    state = state_of(source, card, form)
    digest = digest_of(source)
    verified = card.status == "verified" and digest == card.weights.sha256 and called is None
    origin_text = {"origin": f"{origin or source.name}, SHA-256 {digest}"}
    target = folder or own_models() / card.name
    status = "verified" if verified else "unverified"
    golden = find_model(name) / GOLDEN if verified else None
    write_model(
        state,
        card.model_copy(update={"status": status, "weights": card.weights.model_copy(update=origin_text)}),
        target,
    )
    if golden is not None and golden.parent != target:
        shutil.copyfile(golden, target / GOLDEN)
        NeuralExtractor(target, device="cpu", dtype="float32").admit()
    return target


def _card(name: str, called: str | None) -> ModelCard:
    if name.startswith(TIMM):
        from simsearch.extract.neural.timm_model import timm_card

        card = timm_card(name)
    else:
        card = load_card(find_model(name))
    if called is not None and is_packaged(called):
        raise InputError(f"{shown(called)} is a model that comes with the package: give another name")
    try:
        return card if called is None else ModelCard.model_validate(card.model_dump() | {"name": called})
    except ValueError as error:
        raise InputError(f"no model can be called {shown(called)}: small letters, digits, '.', '_' and '-'") from error


def digest_of(source: Path) -> str:
    """Return the SHA-256 of a file, or of the files of a folder with their names, in order."""
    if source.is_file():
        return sha256_of(source)
    whole = hashlib.sha256()
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        whole.update(f"{path.name} {digest_of(path)}\n".encode())
    return whole.hexdigest()


def read_torch(source: Path) -> dict[str, Tensor]:
    """Return the tensors of a PyTorch file by name, read in a process of its own.

    Raises:
        WeightsError: The file is missing, damaged, or holds anything but tensors and plain values.
    """
    from safetensors.torch import load_file

    if not source.is_file():
        raise WeightsError(f"{source} is no file; give the one that was fetched")
    with tempfile.TemporaryDirectory(prefix="simsearch-convert-") as temporary:
        output = Path(temporary) / "tensors.safetensors"
        command = [sys.executable, "-m", _READER, str(source.resolve()), str(output)]
        environment = os.environ | importable()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S, env=environment
        )
        if done.returncode:
            why = (done.stderr.strip().splitlines() or [f"its reader ended with {done.returncode}"])[-1]
            raise WeightsError(f"{source} cannot be read: {why}")
        return load_file(output)


def state_of(source: Path, card: ModelCard, form: Form) -> dict[str, Tensor]:
    """Return the state of the card's network, every weight in its place.

    Raises:
        WeightsError: The file cannot be read, or holds the weights of another network.
        DependencyMissing: TensorFlow is needed and not installed.
    """
    network = build_network(card)
    if form == "simclr-tf":
        from simsearch.extract.networks.resnet import ResNet
        from simsearch.extract.published.simclr_checkpoint import read_checkpoint, state_from_variables

        if not isinstance(network, ResNet):
            raise WeightsError(f"{card.name} is no network of SimCLR's; choose another card, or --from torch")
        state = state_from_variables(network, read_checkpoint(source))
    else:
        found = _tensors(source) if form == "safetensors" else read_torch(source)
        family = importlib.import_module(f"simsearch.extract.networks.{card.network}")
        state = family.published(found, arguments_of(card)) if hasattr(family, "published") else found
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()]
        raise WeightsError(f"{source.name} does not fit {card.name}: {' '.join(lines[1:3])[:300]}") from error
    return {name: value.detach().contiguous() for name, value in network.state_dict().items()}


def _tensors(source: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(source)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{source} cannot be read: {error}") from error
