"""The weights that timm publishes for a network: from Hugging Face's cache, ours, or the network, in that order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from simsearch.errors import ModelNotFound, WeightsError
from simsearch.extract.networks.build import most_bytes
from simsearch.extract.zoo.download import fetch as fetched
from simsearch.runtime.files import user_cache

_SAFE = {"pytorch_model.bin": "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}


def weights_file(name: str, *, fetch: bool) -> Path:
    """Return the file of a network's weights, fetched if it is not here and may be.

    One request without retries: where there is no network connection, this is told within seconds.

    Args:
        name: As timm calls the network.
        fetch: Whether it may be fetched.

    Raises:
        ModelNotFound: Timm has no weights of that name for it.
        WeightsError: It is not here and cannot or may not be fetched, or timm publishes none.
    """
    import timm

    try:
        told: Any = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        base = name.split(".", maxsplit=1)[0]
        known = [one for one in timm.list_pretrained(f"{base}*") if one.split(".")[0] == base]
        raise ModelNotFound(f"timm has no weights {name[:80]!r}; there are: {', '.join(known) or 'none'}") from error
    if told is None or not (told.hf_hub_id or told.url):
        raise WeightsError(f"timm:{name}: nobody publishes weights for it; see timm.list_pretrained()")
    own = _ours() / name
    ready = (path for path in (own / "model.safetensors", own / "weights.pth") if path.is_file())
    here = _cached(told) or next(ready, None)
    if here is not None:
        return here
    url, file = _published(told)
    if not fetch:
        raise WeightsError(
            f"timm:{name}: the weights are not here, and are fetched only when you name the model yourself: "
            f"--model timm:{name}"
        )
    try:
        digest = fetched(url, own / file, most_bytes=_most(name))
    except WeightsError as error:
        raise WeightsError(
            f"timm:{name}: the weights are not here and cannot be fetched ({error}); run this once where there is a "
            f"network connection, and bring {_ours()} along, or the cache of Hugging Face's hub"
        ) from error
    (own / f"{file}.sha256").write_text(f"{digest} {url}\n", encoding="utf-8")
    return own / file


def thrown_away(path: Path) -> bool:
    """Remove a file that cannot be read, if it is one that we fetched, and tell whether it was."""
    if not path.is_relative_to(_ours()):
        return False
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)
    return True


def _ours() -> Path:
    return user_cache() / "timm"


def _cached(told: Any) -> Path | None:
    """Return the file in the cache of Hugging Face's hub, which other programs may have filled."""
    from huggingface_hub import try_to_load_from_cache

    if not told.hf_hub_id:
        return None
    repository, revision, files = _in_hub(told)
    there = (try_to_load_from_cache(repository, file, revision=revision) for file in files)
    return next((Path(found) for found in there if isinstance(found, str)), None)


def _published(told: Any) -> tuple[str, str]:
    """Return the file's address, and the name of our copy."""
    from huggingface_hub import hf_hub_url

    if not told.hf_hub_id:
        return told.url, "weights.pth"
    repository, revision, (file, _) = _in_hub(told)
    ours = "model.safetensors" if file.endswith(".safetensors") else "weights.pth"
    return hf_hub_url(repository, file, revision=revision), ours


def _in_hub(told: Any) -> tuple[str, str | None, tuple[str, str]]:
    """Return repository, revision, and the file as safetensors and as it is named."""
    file = told.hf_hub_filename or "pytorch_model.bin"
    repository, _, revision = told.hf_hub_id.partition("@")
    return repository, revision or None, (_SAFE.get(file, file), file)


def _most(name: str) -> int:
    import timm

    with torch.device("meta"):
        return most_bytes(timm.create_model(name, pretrained=False))
