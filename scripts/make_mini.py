"""Train the embedded default model by its recipe, and write its folder and what the run was."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bits_rows import fitting_rows
from simsearch.extract.networks.build import load_network
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.published.write_model import to_toml
from simsearch.extract.quantise.hyperplanes import map_for
from simsearch.extract.zoo.background_rows import write_background
from simsearch.extract.zoo.card import CARD, ModelCard, QuantiserFile, load_card
from simsearch.runtime.provenance import write_record
from simsearch.training.callback import StepReport
from simsearch.training.config import FinetuneConfig, read_config
from simsearch.training.export import export
from simsearch.training.finetune import MODEL, finetune
from simsearch.training.hash_head import fit_lda
from simsearch.training.network import exported_card
from simsearch.training.validation.report import GUARD

TRAINING = "training.json"
BITS_IMAGES, BITS_COPIES = 6000, 8  # that quantisers are fitted to
BACKGROUND_SOURCE = "photographs of ImageNet classes, scenes and textures, all distinct, none trained on"


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/make_mini", description=__doc__)
    parser.add_argument("--config", type=Path, default=Path("configs/mini.yaml"), help="the recipe")
    parser.add_argument("--run", type=Path, default=Path("runs/mini"), help="of the training; gone on with if stopped")
    parser.add_argument("--finished", type=Path, help="a run that is over: its model is taken and nothing is trained")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--force", action="store_true", help="also where the guard refuses the model")
    parser.add_argument("--background", type=Path, default=Path("../shared/data/strangers/calibration.tar"))
    parser.add_argument("--output", type=Path, default=Path("models/mini"))
    parser.add_argument("--results", type=Path, default=Path("results/mini"))
    parser.add_argument("--bits", type=int, nargs="*", default=[96, 256], help="lengths of the quantisers")
    parser.add_argument("--only-bits", action="store_true", help="fit the quantisers of the model that is there")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    run = arguments.finished or arguments.run
    if not arguments.only_bits:
        if not arguments.finished:
            _train(config, run, arguments.device, force=arguments.force)
        ship(run, config, arguments.output, arguments.results)
        add_background(arguments.output, arguments.background)
    add_quantisers(arguments.output, config, arguments.config, arguments.bits)


def ship(run: Path, config: FinetuneConfig, folder: Path, results: Path) -> ModelCard:
    """Write a finished run's model with the recipe's texts, and what the run was; return its card."""
    source = run / MODEL
    card = load_card(source)
    network = load_network(card, source)
    told: dict[str, Any] = json.loads((run / GUARD).read_text(encoding="utf-8"))
    shipped = export(network, exported_card(card, config, told["start"], config.images), folder)
    facts = {key: told[key] for key in ("start", "start_sha256", "steps", "minutes", "images") if key in told}
    guard = {key: told[key] for key in ("overall", "families", "fpr", "strangers", "margin")}
    write_record(
        results / TRAINING,
        {"recipe": config.model_dump(mode="json"), "batch": config.batch, **facts, "guard": guard},
        verdict=told["verdict"],
    )
    return shipped


def add_background(folder: Path, photographs: Path) -> None:
    """Write the model's rows of strangers into its folder and name them in its card."""
    extractor = NeuralExtractor(folder, device="cpu", dtype="float32")
    told = write_background(extractor, [photographs], folder, source=BACKGROUND_SOURCE)
    card = load_card(folder).model_copy(update={"background": told})
    (folder / CARD).write_text(to_toml(card), encoding="utf-8")


def add_quantisers(folder: Path, config: FinetuneConfig, recipe: Path, lengths: list[int]) -> None:
    """Fit quantisers to the model's rows of the photographs that it was trained on, and name them in its card."""
    model = NeuralExtractor(folder, device="cpu", dtype="float32")
    photographs = [Path(images) for images in config.images]
    rows = fitting_rows(model, photographs, recipe=recipe, most=BITS_IMAGES, copies=BITS_COPIES, seed=config.seed)
    how = map_for(model.metric)
    source = f"{len(rows.clean):,} photographs of its training and {BITS_COPIES} edited copies of each"
    entries = []
    for bits in lengths:
        quantiser = fit_lda(*rows, bits=bits, how=how, model=model.fingerprint, source=source)
        name = f"quantiser-{bits}.safetensors"
        quantiser.save(folder / name)
        entries.append(QuantiserFile(bits=bits, file=name, digest=quantiser.digest))
    card = load_card(folder).model_copy(update={"quantisers": tuple(entries)})
    (folder / CARD).write_text(to_toml(card), encoding="utf-8")


def _train(config: FinetuneConfig, run: Path, device: str, *, force: bool) -> None:
    bar = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=Console(stderr=True))
    with bar:
        task = bar.add_task("training", total=1.0)

        def report(told: StepReport) -> None:
            bar.update(task, completed=told.share, description=f"step {told.step}, loss {told.loss:.3f}")

        finetune(config, run, device=device, force=force, command="scripts/make_mini", report=report)


if __name__ == "__main__":
    main()
