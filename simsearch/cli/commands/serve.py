"""`simsearch serve`: a library over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simsearch.cli import options, terminal
from simsearch.cli.options import named

app = typer.Typer(rich_markup_mode=None)


@options.command(
    app,
    "serve --library photos.library",
    "serve --library photos.library --write-token secret.txt",
    "serve --library photos.library --host 0.0.0.0 --read-token reading.txt --write-token writing.txt",
)
def serve(
    *,
    library: options.LibraryFolder,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen; one that others reach needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="N", help="0 takes a free one.")] = 8000,
    read_token: Annotated[
        Path | None,
        typer.Option("--read-token", metavar="FILE", parser=named, help="Holds the token that whoever asks must send."),
    ] = None,
    write_token: Annotated[
        Path | None,
        typer.Option(
            "--write-token",
            metavar="FILE",
            parser=named,
            help="Holds the token for adding, removing, deciding, and asking; without one nobody adds or removes.",
        ),
    ] = None,
    review_token: Annotated[
        Path | None,
        typer.Option(
            "--review-token",
            metavar="FILE",
            parser=named,
            help="Holds the token for deciding and asking alone, for reviewers who shall not add or remove.",
        ),
    ] = None,
    max_body: Annotated[
        str, typer.Option("--max-body", metavar="SIZE", help="Of one request, as 32MiB; a larger one is refused.")
    ] = "32MiB",
    max_queue: Annotated[
        int, typer.Option("--queue", min=1, metavar="N", help="Requests that wait or are worked on, at most.")
    ] = 64,
    body_seconds: Annotated[
        float, typer.Option("--body-seconds", min=0.1, metavar="S", help="In which a request's body has to arrive.")
    ] = 30.0,
    poll_seconds: Annotated[
        float, typer.Option("--poll-seconds", min=0.01, metavar="S", help="Between looks for newer commits.")
    ] = 1.0,
    drain_seconds: Annotated[
        float, typer.Option("--drain-seconds", min=0.1, metavar="S", help="For requests under way after SIGTERM.")
    ] = 30.0,
    lease_seconds: Annotated[
        float, typer.Option("--lease-seconds", min=1, metavar="S", help="For which a reviewer has a pair to decide.")
    ] = 300.0,
    max_pixels: options.MaxPixels = options.MAX_PIXELS,
    channel: options.Channel = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", help="What made the library's rows, where that is your own module:Class."
        ),
    ] = None,
    device: options.Device = "auto",
    as_json: options.AsJson = False,
) -> None:
    """Answer requests about a library over HTTP, until Ctrl-C or SIGTERM; those under way are answered first.

    The address is printed once connections are taken. Newer commits of the library, by whatever process, are taken up
    as they come. Without tokens whoever is on this machine may ask, and nobody may change anything. docs/serve.md says
    what can be asked.
    """
    from simsearch.extract.load import load_extractor
    from simsearch.serve import ServeSettings, Tokens
    from simsearch.serve import serve as run
    from simsearch.serve.settings import size_named

    settings = ServeSettings(
        max_body=size_named(max_body),
        queue=max_queue,
        body_s=body_seconds,
        poll_s=poll_seconds,
        drain_s=drain_seconds,
        lease_s=lease_seconds,
        max_pixels=max_pixels,
    )

    def started(url: str) -> None:
        if as_json:
            terminal.show_json({"url": url})
        else:
            terminal.show(f"serving {library} at {url}")
        terminal.flush()

    run(
        library,
        host=host,
        port=port,
        tokens=Tokens.of_files(read_token, write_token, review_token),
        settings=settings,
        channel=channel,
        extractor=None if model is None else load_extractor(model, device=device),
        device=device,
        started=started,
    )
