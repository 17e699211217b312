"""The Typer app: all commands, in the order in which a newcomer meets them."""

from __future__ import annotations

from typing import Annotated

import typer

import simsearch
from simsearch.cli.commands import (
    benchmark,
    bits,
    calibrate,
    compare,
    doctor,
    embed,
    finetune,
    index,
    maintain,
    models,
    query,
    reembed,
    serve,
)
from simsearch.cli.commands.act import accounts, duplicates, review
from simsearch.cli.commands.lists import check, edit, exchange
from simsearch.cli.commands.scale import plan

app = typer.Typer(
    name="simsearch",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"simsearch {simsearch.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Find near-copies of images by deep embeddings.

    `index` makes a library from folders of images; `query` finds what resembles an image in it; `duplicates` finds what
    is several times in a folder.

    Exit codes: 0 done; 1 done but some inputs were rejected (index, embed, benchmark: only with --strict); 2 wrong
    usage; 3 an error, told in one line; 10 `check` found something listed; 129, 130, 143 ended by SIGHUP, Ctrl-C or
    SIGTERM, with what was committed kept.
    """


_lists = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_lists.add_typer(edit.app)
_lists.add_typer(exchange.app)
app.add_typer(index.app)
app.add_typer(reembed.app)
app.add_typer(maintain.app)
app.add_typer(query.app)
app.add_typer(compare.app)
app.add_typer(duplicates.app)
app.add_typer(review.app, name="review", help="Decide of pairs of pictures; what was decided sticks.")
app.add_typer(calibrate.app)
app.add_typer(accounts.app)
app.add_typer(check.app)
app.add_typer(_lists, name="list", help="Keep block and allow lists, and exchange them with others.")
app.add_typer(serve.app)
app.add_typer(plan.app)
app.add_typer(embed.app)
app.add_typer(benchmark.app)
app.add_typer(finetune.app)
app.add_typer(bits.app, name="bits", help="Turn images into bits, and fit how.")
app.add_typer(models.app, name="models", help="Show which models there are.")
app.add_typer(doctor.app)
