"""A fine-tuning run from its settings to an exported model, with its gains and losses measured."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from simsearch.errors import DependencyMissing
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.zoo.card import ModelCard
from simsearch.extract.zoo.find import find_model
from simsearch.images.source import Rejected
from simsearch.runtime.cpu import default_workers
from simsearch.training.checkpoint import Paused
from simsearch.training.config import FinetuneConfig
from simsearch.training.data.augmentation_plan import trained_families
from simsearch.training.data.batches import Batches, Recipe
from simsearch.training.data.pairs import read_pairs
from simsearch.training.data.views import ViewMaker
from simsearch.training.export import export
from simsearch.training.network import exported_card, head_of, starting_point
from simsearch.training.setup import Run, prepared_run
from simsearch.training.validation.evaluation import scores
from simsearch.training.validation.regression_guard import GuardTable, compare
from simsearch.training.validation.report import verdict, write_guard, write_readme

if TYPE_CHECKING:
    from simsearch.training.callback import RunCallback, StepReport
    from simsearch.training.module import Finetuning, Material

MODEL = "model"
_NOT_TRAINING = ("output", "export", "guard", "tensorboard", "workers", "save_every")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        folder: Of the run.
        card: Of the exported model, which lies in `folder`/model.
        table: The guard's.
        steps: Of the optimiser.
        seconds: Of training.
        images: Photographs trained on.
        rejected: Files that could not be used.
    """

    folder: Path
    card: ModelCard
    table: GuardTable
    steps: int
    seconds: float
    images: int
    rejected: tuple[Rejected, ...]


def finetune(
    config: FinetuneConfig,
    output: Path,
    *,
    device: str = "auto",
    force: bool = False,
    command: str = "simsearch finetune",
    report: Callable[[StepReport], None] = lambda _: None,
    judged: Callable[[int, int], None] = lambda *_: None,
    pause: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train as the settings say, prove what changed, and export the model to `output`/model.

    A run that was stopped, or killed, resumes from its last save when it is called again with the same settings.

    Args:
        config: The settings.
        output: Folder of the run; created if missing.
        device: "auto", "cpu", "cuda" or "cuda:N".
        force: Export also where the guard refuses.
        command: For the model's README.
        report: Called after each step (on a GPU after every tenth).
        judged: Called at the end with the edits evaluated and their number.
        pause: Called after each step; once it returns True the run is saved and `Paused` is raised.

    Raises:
        InputError: An edit, image, pair or part of the network is not there, or the folder holds another run.
        GuardRefused: A family of edits fell by more than the margin; the table is written, the model is not.
        Paused: `pause` returned True.
        DependencyMissing: Lightning is not installed.
    """
    require_lightning(tensorboard=config.tensorboard)
    run = prepared_run(config, output, device)
    from simsearch.training.callback import RUN
    from simsearch.training.trainer import fit

    module, keeper = _parts(run, report, pause)
    keeper.restore(module)
    if not keeper.over:
        fit(run, module, keeper)
        if keeper.paused:
            share = 100 * module.progress.share
            raise Paused(f"{share:.0f} % of the run is done and saved in {run.folder / RUN}")
    state = keeper.best if config.validation.patience and keeper.best else module.weights()
    network = module.network.cpu().eval()
    network.load_state_dict(state)
    start = "random weights" if config.start_model is None else Path(config.start_model).name
    candidate = run.folder / f"{MODEL}.candidate"
    card = export(network, exported_card(run.card, config, start, config.images), candidate)
    table = _guarded(run, candidate, judged)
    facts: dict[str, Any] = {
        "start": start,
        "model": card.name,
        "weights_sha256": card.weights.sha256,
        **({} if config.start_model is None else {"start_sha256": run.card.weights.sha256}),
        "steps": module.progress.number // config.accumulation,
        "minutes": round(module.progress.seconds / 60, 2),
        "images": len(run.train),
        "looks": [[look.step, round(look.recall, 4)] for look in keeper.looks],
    }
    write_guard(table, run.folder, {"verdict": verdict(table), **facts})
    if table.fallen and not force:
        shutil.rmtree(candidate)
        table.require()
    write_readme(card, table, candidate, command=command, start=start)
    shutil.rmtree(run.folder / MODEL, ignore_errors=True)
    candidate.rename(run.folder / MODEL)
    return Outcome(run.folder, card, table, facts["steps"], module.progress.seconds, len(run.train), run.rejected)


def require_lightning(*, tensorboard: bool) -> None:
    """Require the packages of training.

    Raises:
        DependencyMissing: It is not.
    """
    from importlib.util import find_spec

    for name in ("lightning", *(("tensorboard",) if tensorboard else ())):
        if find_spec(name) is None:
            raise DependencyMissing(f'fine-tuning needs {name}: pip install -e ".[train]"')


def _parts(run: Run, report: Callable[[StepReport], None], pause: Callable[[], bool]) -> tuple[Finetuning, RunCallback]:
    from simsearch.training.callback import RunCallback
    from simsearch.training.module import Finetuning

    config = run.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed + 1)
        head = head_of(config.head, run.card.dimension)
    module = Finetuning(
        config, _material(run), network=run.network, head=head, similarity=run.similarity, teacher=run.teacher
    )
    keeper = RunCallback(
        run.folder,
        _digest(run),
        total=config.steps * config.accumulation if config.steps else 0,
        seconds=60 * config.minutes if config.minutes else 0.0,
        trial=run.trial(*config.validation.edits) if config.validation.every else None,
        metric=run.similarity,
        fpr=run.fpr,
        report=report,
        pause=pause,
    )
    return module, keeper


def _material(run: Run) -> Material:
    from simsearch.training.module import Material

    config = run.config
    pairs = None if config.pairs is None else read_pairs(config.pairs.file, side=run.side)
    recipe = Recipe(
        run.plans,
        mirror=config.views.mirror,
        size=config.batch,
        side=run.side,
        seed=config.seed,
        alike=config.alike,
        world=config.devices,
        pairs=pairs,
        n_pairs=0 if config.pairs is None else config.pairs.batch,
    )
    Batches(run.train, recipe)  # refuses a batch larger than the photographs before anything is started
    by_pillow = any(not entry.form for plan in run.plans for entry in plan.entries)
    workers = default_workers() if config.workers is None else config.workers
    maker = ViewMaker(run.train.squares(run.side), run.train.sizes.float(), run.plans, run.trains_on_luminance)
    return Material(run.train, recipe, maker, run.card.preprocessing, workers if by_pillow else 0)


def _digest(run: Run) -> str:
    """Return the digest of all that determines the run: settings, start, photographs."""
    values = run.config.model_dump(mode="json", exclude=set(_NOT_TRAINING))
    values["start"] = run.card.fingerprint
    values["photographs"] = [hashlib.sha256(part.pixels.numpy().data).hexdigest() for part in (run.train, run.held)]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _guarded(run: Run, candidate: Path, judged: Callable[[int, int], None]) -> GuardTable:
    """Return the table of the start against the exported model, both run as in a search."""
    config, how = run.config, run.card.preprocessing
    after = NeuralExtractor(candidate, device=str(run.device))
    if config.start_model is None:
        from simsearch.training.callback import embedder

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            _, fresh = starting_point(config)
        before: tuple[Any, str] = embedder(fresh.eval(), run.card.preprocessing, torch.device("cpu")), after.metric
    else:
        extractor = NeuralExtractor(find_model(config.start_model), device=str(run.device))
        before, how = (extractor.embed_pixels, extractor.metric), extractor.preprocessing
    trial = run.trial(*config.guard.edits, start=how)
    queries = _counted(trial.queries(), len(trial.edits), judged)
    found = scores(trial.originals(), queries, [before[0], after.embed_pixels], [before[1], after.metric])
    return compare(
        found[0],
        found[1],
        trial.edits,
        trained=trained_families(*run.plans),
        fpr=run.fpr,
        margin=config.guard.margin,
        draws=config.guard.draws,
        seed=config.seed,
    )


def _counted(queries: Iterator[Any], total: int, judged: Callable[[int, int], None]) -> Iterator[Any]:
    for done, pixels in enumerate(queries, start=1):
        yield pixels
        judged(done, total)
