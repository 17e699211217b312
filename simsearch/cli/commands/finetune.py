"""`simsearch finetune`: a better extractor for the edits that one's own images suffer."""

from __future__ import annotations

import shlex
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal
from simsearch.cli.exit_codes import SIGNALLED
from simsearch.cli.options import AsJson, Device, command
from simsearch.cli.progress import Advance, shown
from simsearch.cli.signals import ENDING
from simsearch.errors import GuardRefused, InputError

if TYPE_CHECKING:
    from simsearch.training.callback import StepReport
    from simsearch.training.config import FinetuneConfig
    from simsearch.training.finetune import Outcome

app = typer.Typer(rich_markup_mode=None)


@command(
    app,
    "finetune configs/watermark.yaml",
    "finetune configs/watermark.yaml --images photos/ --output runs/watermark --device cuda",
    "index photos/ --library photos.library --model ./runs/watermark/model",
    config=False,
)
def finetune(
    settings: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="What to train on and for which edits.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Folder of the run.  [default: `output` in the file]")
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            "--images",
            metavar="PATH",
            help="Train on these: a folder or tar; may be given again.  [default: `images` in the file]",
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            "--teacher",
            metavar="NAME",
            help="Learn from this model too, as `timm:NAME` or `onnx:FILE`.  [default: `distillation` in the file]",
        ),
    ] = None,
    device: Device = "auto",
    force: Annotated[bool, typer.Option("--force", help="Export the model also where the guard refuses.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train an extractor for your own edits, prove what changed, and export it as a model folder.

    Writes DIR/model, the table of recall before and after as DIR/guard.json (and .png), and DIR/log.csv. A run that was
    stopped goes on where it was saved last. Exits with 3, without a model, when a family of edits got worse.
    """
    config = _read(settings, images, teacher)
    folder = output or config.output
    if folder is None:
        raise typer.BadParameter("--output is missing: give it as a flag, or as `output` in the file")
    from simsearch.training.checkpoint import Paused
    from simsearch.training.finetune import finetune as run

    more = [*(["--output", str(folder)] if output else []), *(f"--images={path}" for path in images or ())]
    more += [] if teacher is None else [f"--teacher={teacher}"]
    command = shlex.join(["simsearch", "finetune", str(settings), *more])
    try:
        with shown("finetune") as advance, shown("finetune: guard") as judged, _Stop() as stop:

            def step(report: StepReport) -> None:
                stop.training = True
                _show_step(advance, report)

            def judge(done: int, total: int | None) -> None:
                stop.training = False
                judged(done, total)

            options: dict[str, Any] = {"device": device, "force": force, "command": command, "pause": stop.now}
            outcome = run(config, folder, report=step, judged=judge, **options)
    except Paused as paused:
        terminal.note(f"stopped: {paused}; the same command goes on from there")
        raise typer.Exit(SIGNALLED + stop.received[0]) from paused
    except GuardRefused as refused:
        if as_json:
            terminal.show_json({"output": str(folder), "model": None, "guard": refused.table.as_json()})
        else:
            terminal.show_columns(refused.table.lines(), right=(1, 3, 4, 5))
        raise
    if as_json:
        terminal.show_json(_facts(outcome))
    else:
        _print(outcome)


def _read(settings: Path, images: list[Path] | None, teacher: str | None) -> FinetuneConfig:
    """Return the settings in the file, with the images and the teacher given in place of its own."""
    from simsearch.training.config import config_of, read_config

    try:
        values = read_config(settings).model_dump(exclude_unset=True)
        if images:
            values["images"] = tuple(map(str, images))
        if teacher is not None:
            values["distillation"] = {**(values.get("distillation") or {}), "teacher": teacher}
        return config_of(values, source=str(settings))
    except InputError as error:
        raise typer.BadParameter(str(error)) from error


class _Stop:
    """Ctrl-C, SIGTERM and SIGHUP end training after the step under way, saved; before and after it they end at once.

    Attributes:
        training: Whether steps are being taken.
        received: The signals meanwhile.
    """

    def __init__(self) -> None:
        self.training = False
        self.received: list[signal.Signals] = []
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Stop:
        if threading.current_thread() is threading.main_thread():  # elsewhere no signal arrives
            handlers = {number: signal.getsignal(number) for number in ENDING}
            self._before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
            for number in self._before:
                signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def now(self) -> bool:
        """Return, after each step, whether to stop."""
        self.training = True
        return bool(self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.training and not self.received:
            self.received.append(signal.Signals(number))
        elif not self.training or number == signal.SIGINT:
            handler = self._before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            raise KeyboardInterrupt


def _show_step(advance: Advance, report: StepReport) -> None:
    advance(report.step, round(report.step / report.share) if report.share else None)


def _facts(outcome: Outcome) -> dict[str, Any]:
    from simsearch.training.finetune import MODEL

    return {
        "output": str(outcome.folder),
        "model": str(outcome.folder / MODEL),
        "name": outcome.card.name,
        "fingerprint": outcome.card.fingerprint,
        "steps": outcome.steps,
        "minutes": round(outcome.seconds / 60, 2),
        "images": outcome.images,
        "rejected": len(outcome.rejected),
        "guard": outcome.table.as_json(),
    }


def _print(outcome: Outcome) -> None:
    from simsearch.training.finetune import MODEL
    from simsearch.training.validation.report import GUARD, verdict

    terminal.show(f"{outcome.steps:,} steps in {outcome.seconds / 60:.1f} minutes on {outcome.images:,} photographs")
    terminal.show_columns(outcome.table.lines(), right=(1, 3, 4, 5))
    terminal.show(verdict(outcome.table))
    terminal.show(f"model: {outcome.folder / MODEL}   table: {outcome.folder / GUARD}")
    for rejected in outcome.rejected[:10]:
        terminal.note(f"rejected: {rejected.source.printable}: {rejected.code}: {rejected.message}")
    if len(outcome.rejected) > 10:
        terminal.note(f"and {len(outcome.rejected) - 10:,} more rejected")
