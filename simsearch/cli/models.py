"""`simsearch models`: which models there are, and what each is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal
from simsearch.cli.options import AsJson, Config, examples

if TYPE_CHECKING:
    from simsearch.extract.card import ModelCard

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", epilog=examples("models list", "models list --json"))
def list_(as_json: AsJson = False, config: Config = None) -> None:
    """Print the models that are installed."""
    from simsearch.extract.zoo import list_models

    cards = list_models()
    if as_json:
        for card in cards:
            terminal.show_json(_brief(card))
        return
    header = ("name", "dimensions", "metric", "weights", "status", "")
    rows = [(c.name, c.dimension, c.metric, c.weights.licence, c.status, terminal.escaped(c.summary)) for c in cards]
    terminal.show_columns([header, *rows], indent=0, right=(1,))


@app.command(epilog=examples("models show mini", "models show mini --json"))
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model of the zoo, or a model folder with a slash.")],
    as_json: AsJson = False,
    config: Config = None,
) -> None:
    """Print the card of a model: network, weights and their licence, training data, limits."""
    from simsearch.extract.card import load_card
    from simsearch.extract.zoo import find_model

    folder = find_model(name)
    card = load_card(folder)
    facts = {**card.model_dump(mode="json"), "fingerprint": card.fingerprint, "folder": str(folder)}
    if as_json:
        terminal.show_json(facts)
        return
    terminal.show_columns(list(_flat(facts)), indent=0)


def _brief(card: ModelCard) -> dict[str, Any]:
    return {
        "name": card.name,
        "summary": card.summary,
        "dimension": card.dimension,
        "metric": card.metric,
        "non_negative": card.non_negative,
        "weights_licence": card.weights.licence,
        "status": card.status,
        "fingerprint": card.fingerprint,
    }


def _flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{key}.")
        elif value is not None:
            rows.append((f"{prefix}{key}", " ".join(str(value).split())))
    return rows
