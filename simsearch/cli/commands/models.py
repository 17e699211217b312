"""`simsearch models`: which models there are, and what each is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal
from simsearch.cli.options import AsJson, command
from simsearch.cli.progress import shown

if TYPE_CHECKING:
    from simsearch.extract.zoo.card import ModelCard


class SourceForm(StrEnum):
    """The forms of published weights; a test holds them equal to those of a card."""

    SAFETENSORS = "safetensors"
    TORCH = "torch"
    SIMCLR_TF = "simclr-tf"


app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@command(app, "models list", "models list --json", name="list")
def list_(as_json: AsJson = False) -> None:
    """Print the models that there are a card of, and whether their weights are here.

    Besides these every network of timm can be named, as timm:NAME, one in a file as onnx:FILE or torchscript:FILE, and
    every hash, as dhash or phash(size=16).
    """
    from simsearch.extract.zoo.find import find_model, has_weights, list_models

    cards = [(card, "ready" if has_weights(find_model(card.name)) else "no weights") for card in list_models()]
    if as_json:
        for card, state in cards:
            terminal.show_json({**_brief(card), "state": state})
        return
    header = ("name", "dimensions", "metric", "state", "status", "licence of weights", "")
    rows = [
        (c.name, c.dimension, c.metric, state, c.status, c.weights.licence, terminal.escaped(c.summary))
        for c, state in cards
    ]
    terminal.show_columns([header, *rows], indent=0, right=(1,))
    if any(state != "ready" for _, state in cards):
        terminal.hint("weights that are not here: simsearch models pull NAME")


@command(app, "models pull simclr_v2_r50_2x_sk1", "models pull sscd_disc_mixup --json")
def pull(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A card that `models list` shows.")],
    as_json: AsJson = False,
) -> None:
    """Fetch the published weights of a card, and make a model of them.

    Interrupted, the same command goes on. The weights are kept in ~/.cache/simsearch/models, or below XDG_CACHE_HOME.
    """
    from simsearch.extract.published.pull import pull as fetched
    from simsearch.extract.zoo.card import load_card

    with shown("pull") as advance:
        folder = fetched(name, progress=advance)
    _show_made(load_card(folder), str(folder), as_json=as_json)


@command(
    app,
    "models convert --from simclr-tf r50_2x_sk1/ --to simclr_v2_r50_2x_sk1",
    "models convert --from torch sscd_disc_mixup.torchvision.pt --to sscd_disc_mixup",
    "models convert --from torch mine.pt --to timm:resnet50 --name mine",
)
def convert(
    source: Annotated[Path, typer.Argument(metavar="PATH", help="The file, or the folder of a checkpoint.")],
    *,
    form: Annotated[SourceForm, typer.Option("--from", help="What the file is.")],
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="The card of its network, or timm:NAME.")],
    name: Annotated[str | None, typer.Option("--name", help="What to call the model; by default as the card.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a model of published weights that were fetched by other means, or of your own for a network of timm."""
    from simsearch.extract.published.convert import convert as converted
    from simsearch.extract.zoo.card import load_card

    folder = converted(source, to, form.value, called=name)
    _show_made(load_card(folder), str(folder), as_json=as_json)


@command(app, "models show mini", "models show mini --json")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the zoo, or a model folder with a slash.")],
    as_json: AsJson = False,
) -> None:
    """Print the card of a model: network, weights and their licence, training data, limits."""
    from simsearch.extract.zoo.card import load_card
    from simsearch.extract.zoo.find import find_model

    folder = find_model(name)
    card = load_card(folder)
    known = None if card.weights.sha256 is None else card.fingerprint
    facts = {**card.model_dump(mode="json"), "fingerprint": known, "folder": str(folder)}
    if as_json:
        terminal.show_json(facts)
        return
    terminal.show_columns(list(_flat(facts)), indent=0)


def _show_made(card: ModelCard, folder: str, *, as_json: bool) -> None:
    if as_json:
        terminal.show_json({**_brief(card), "folder": folder, "origin": card.weights.origin})
        return
    terminal.show(f"{card.name} is ready in {folder}")
    if card.weights.origin:
        checked = "they give its golden rows" if card.status == "verified" else "nobody here has checked these weights"
        terminal.show(f"made of {card.weights.origin}; {checked} (status {card.status})")


def _brief(card: ModelCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "summary": card.summary,
        "dimension": card.dimension,
        "metric": card.metric,
        "non_negative": card.non_negative,
        "weights_licence": card.weights.licence,
        "status": card.status,
        "fingerprint": None if card.weights.sha256 is None else card.fingerprint,
    }


def _flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            rows.append((f"{prefix}{key}", " ".join(str(value).split())))
    return rows
