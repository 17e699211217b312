"""Fetching a card's published weights into the user's own models."""

from __future__ import annotations

import shutil
from pathlib import Path

from simsearch.errors import InputError, WeightsError
from simsearch.extract.card import Weights, load_card
from simsearch.extract.convert import convert
from simsearch.extract.fetch import Progress, fetch
from simsearch.extract.zoo import find_model, has_weights, own_models

_DOWNLOADS = "downloads"
_CHECKPOINT = "checkpoint"


def pull(name: str, *, progress: Progress | None = None) -> Path:
    """Fetch and convert the weights of a card, and return the folder of the model; one that is there is left alone.

    Interrupted, the next call goes on. The card of the new folder says what was fetched, with its SHA-256.

    Args:
        name: Of a card.
        progress: Called with the bytes of a file that there are, and how many there will be if that is known.

    Raises:
        ModelNotFound: There is no such card.
        InputError: The name is a folder, or the card names no address.
        WeightsError: The weights cannot be fetched, are not those that the card names, or do not fit the network.
        DependencyMissing: TensorFlow is needed to read them and is not installed.
    """
    if "/" in name:
        raise InputError(f"{name} is a folder; pull takes the name of a card")
    folder = find_model(name)
    if has_weights(folder):
        return folder
    weights = load_card(folder).weights
    if weights.url is None:
        raise WeightsError(f"{name}: {folder / str(weights.file)} is missing and the card names no address; restore it")
    downloads = own_models() / name / _DOWNLOADS
    source = _fetched(weights, downloads, progress)
    made = convert(source, name, weights.form, origin=weights.url)
    shutil.rmtree(downloads)
    return made


def _fetched(weights: Weights, downloads: Path, progress: Progress | None) -> Path:
    """The file, or the folder of a checkpoint."""
    assert weights.url is not None  # the caller looked
    if weights.form != "simclr-tf":
        target = downloads / weights.url.rsplit("/", 1)[-1]
        if not target.exists():
            fetch(weights.url, target, sha256=weights.sha256, progress=progress)
        return target
    base = weights.url if weights.url.endswith("/") else f"{weights.url}/"
    fetch(base + _CHECKPOINT, downloads / _CHECKPOINT, progress=progress)
    stem = _named((downloads / _CHECKPOINT).read_text(encoding="utf-8", errors="replace"), base)
    for name in (f"{stem}.index", f"{stem}.data-00000-of-00001"):
        if not (downloads / name).exists():
            fetch(base + name, downloads / name, progress=progress)
    return downloads


def _named(text: str, base: str) -> str:
    """The checkpoint that TensorFlow's little text file names, without the folders of whoever wrote it."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model_checkpoint_path":
            stem = value.strip().strip('"').rsplit("/", 1)[-1]
            if stem and not stem.startswith("."):
                return stem
    raise WeightsError(f"{base}{_CHECKPOINT} names no checkpoint; has the address changed?")
