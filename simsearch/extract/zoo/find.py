"""Where model folders are found: the checkout, the installed package, the user's own."""

from __future__ import annotations

import re
from pathlib import Path

from simsearch.errors import ModelNotFound, shown
from simsearch.extract.zoo.card import CARD, ModelCard, load_card
from simsearch.runtime.files import PACKAGE, user_cache

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


_LISTED = 70  # characters of names in a message


def model_roots() -> list[Path]:
    """Return the folders that are searched for models, first come first served."""
    # Beside an installed package `models` may be anybody's; a checkout, which has no `_models`, keeps its own there.
    own = PACKAGE / "_models" if (PACKAGE / "_models").is_dir() else PACKAGE.parent / "models"
    return [own, user_cache() / "models"]


def find_model(name: str | Path) -> Path:
    """Return the folder of a model: the path itself if `name` has a separator, else the zoo's folder of that name.

    Raises:
        ModelNotFound: There is none; the message lists those that there are.
    """
    if isinstance(name, Path) or "/" in name:
        folder = Path(name)
        if _is_there(folder):
            return folder
        raise ModelNotFound(f"{shown(folder)} holds no {CARD}; give a model's folder or one of: {_known()}")
    roots = model_roots() if _NAME.fullmatch(name) else []
    folders = [root / name for root in roots if _is_there(root / name)]
    if folders:
        return next((folder for folder in folders if has_weights(folder)), folders[0])
    raise ModelNotFound(
        f"no model is called {shown(name, 60)!r}; there are: {_known()}. "
        f"A folder is named with a slash: ./{shown(name, 30)}"
    )


def list_models() -> list[ModelCard]:
    """Return the cards of all models in the zoo, by name."""
    names = {card.parent.name for root in model_roots() for card in root.glob(f"*/{CARD}")}
    return [load_card(find_model(name)) for name in sorted(names)]


def has_weights(folder: Path) -> bool:
    """Tell whether a model folder holds the weights that its card names."""
    file = load_card(folder).weights.file
    return file is not None and (folder / file).is_file()


def own_models() -> Path:
    """Return the folder of the models that this user fetched or converted."""
    return model_roots()[-1]


def is_packaged(name: str) -> bool:
    """Tell whether a model of that name comes with the package."""
    return any((root / name / CARD).exists() for root in model_roots()[:-1])


def _known() -> str:
    names = sorted({card.parent.name for root in model_roots() for card in root.glob(f"*/{CARD}")})
    short = [name for i, name in enumerate(names) if len(", ".join(names[: i + 1])) <= _LISTED]
    more = "" if len(short) == len(names) else f", ... (`simsearch models list` shows all {len(names)})"
    return ", ".join(short) + more if names else "none installed"


def _is_there(folder: Path) -> bool:
    try:
        return (folder / CARD).is_file()
    except (OSError, ValueError):  # a name that no file system takes
        return False
