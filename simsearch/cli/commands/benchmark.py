"""`simsearch benchmark`: which method suits these images, by the protocols of the paper and its peers."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsearch.cli import terminal
from simsearch.cli.config import load_settings
from simsearch.cli.exit_codes import SOME_REJECTED
from simsearch.cli.options import AsJson, Quiet, Strict, command
from simsearch.cli.progress import shown
from simsearch.errors import InputError

if TYPE_CHECKING:
    from simsearch.benchmark.needle_results import NeedleResults
    from simsearch.benchmark.results import Estimate, PaperMean, Results
    from simsearch.benchmark.settings import Settings

app = typer.Typer(rich_markup_mode=None)
_NEVER_CHOSEN_ON = "bsds500"


def _load_config(context: typer.Context, path: Path | None) -> Path | None:
    from simsearch.benchmark.settings import Settings

    context.obj = load_settings(context, path, Settings.model_fields)
    return path


@dataclass(frozen=True, kw_only=True)
class BenchmarkFlags:
    """The flags of the command; None where a setting is left to the file, or to its default."""

    context: typer.Context
    path: Annotated[Path | None, typer.Argument(metavar="PATH", help="A folder or a tar of photographs.")] = None
    models: Annotated[
        str | None,
        typer.Option(
            "--models",
            metavar="A,B,C",
            help="Hashes and keypoints, as phash(size=16); models of the zoo (networks: all); your own module:Class.",
        ),
    ] = None
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Folder for results, report and finished parts.")
    ] = None
    edits: Annotated[
        str | None,
        typer.Option("--edits", metavar="A,B", help="paper, platform, or names of single edits.  [default: paper]"),
    ] = None
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="N,N", help="One split of the photographs each.  [default: 0]")
    ] = None
    attacked: Annotated[
        int | None,
        typer.Option("--attacked", min=1, metavar="N", help="Photographs edited in each half.  [default: 100]"),
    ] = None
    fpr: Annotated[
        str | None, typer.Option("--fpr", metavar="P,P", help="False-positive rates.  [default: 0.005,0.01,0.05]")
    ] = None
    chains: Annotated[
        int | None, typer.Option("--chains", min=0, metavar="K", help="Also chains of up to K mild edits.")
    ] = None
    transfer: Annotated[
        Path | None, typer.Option("--transfer", metavar="PATH", help="Use the thresholds on these photographs too.")
    ] = None
    templates: Annotated[
        Path | None, typer.Option("--templates", metavar="FILE.csv", help="Columns image and template, as of memes.")
    ] = None
    font: Annotated[Path | None, typer.Option("--font", metavar="FILE.ttf", help="Of text in edits.")] = None
    device: Annotated[
        str | None, typer.Option("--device", metavar="NAME", help="Where networks run.  [default: auto]")
    ] = None
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, metavar="N", help="Processes; 0: this one.  [default: one a core]")
    ] = None
    replot: Annotated[
        bool, typer.Option("--replot", help="Make tables, plots and report again from results.json alone.")
    ] = False
    listed: Annotated[bool, typer.Option("--list", help="Print all methods and edits that can be named, and exit.")] = (
        False
    )
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE.json", help="Append the run's figures to this list.")
    ] = None
    strict: Strict = False
    as_json: AsJson = False
    quiet: Quiet = False
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.yaml",
            is_eager=True,
            callback=_load_config,
            help="Read settings and flags from a file; flags win.",
        ),
    ] = None

    def settings(self) -> Settings:
        """Return the settings of the benchmark, from the file and from the flags, which win.

        Raises:
            typer.BadParameter: One is not allowed.
        """
        from simsearch.benchmark.settings import Settings, settings_of
        from simsearch.naming import split_names

        values: dict[str, Any] = dict(self.context.obj)
        values |= {
            key: value for key, value in vars(self).items() if key in Settings.model_fields and value is not None
        }
        try:
            for key, split in (("models", split_names), ("edits", split_names), ("seeds", _parts), ("fpr", _parts)):
                if isinstance(values.get(key), str):
                    values[key] = split(values[key])
            return settings_of(values)
        except InputError as error:
            raise typer.BadParameter(str(error)) from error


@command(
    app,
    "benchmark photos/ --models mini,dhash,phash --output report/",
    "benchmark photos/ --models 'orb,sift(count=100,cutoff=5)' --seeds 0,1,2 --output report/",
    "benchmark photos/ --config configs/benchmark.yaml --output report/",
    "benchmark photos/ --config configs/today.yaml --output report/",
    "benchmark --output report/ --replot",
    "benchmark --list",
    flags=BenchmarkFlags,
)
def benchmark(flags: BenchmarkFlags) -> None:
    """Compare methods on your photographs: edited copies are looked for, strangers must not be found.

    Writes results.json, tables.md, plots and report.html. Finished parts are kept below the output folder: an
    interrupted run goes on where it stopped, and another method computes only what is its own.
    """
    if flags.listed:
        _print_names()
        return
    settings = flags.settings()
    folder = _given(flags.output, "--output")
    if flags.replot:
        from simsearch.benchmark.results import read_results

        results = read_results(folder)
    else:
        results = _run(_given(flags.path, "PATH"), settings, folder, flags.workers)
    report = _written(results, folder, flags.log, replot=flags.replot)
    if flags.as_json:
        terminal.show_json(_facts(results, folder, report))
    else:
        _print(results, report)
    if flags.strict and results.photographs.rejected:
        raise typer.Exit(SOME_REJECTED)


def _run(path: Path, settings: Settings, folder: Path, workers: int | None) -> Results:
    from simsearch.benchmark.results import write_results
    from simsearch.benchmark.run import run_benchmark

    results = run_benchmark(path, settings, folder, workers=workers, stages=lambda name: shown(f"benchmark: {name}"))
    write_results(results, folder)
    return results


def _written(results: Results, folder: Path, log: Path | None, *, replot: bool) -> Path:
    from simsearch.benchmark.report import write_output
    from simsearch.benchmark.run_log import append_log

    if log is not None and not replot:
        append_log(results, log)
    elif _NEVER_CHOSEN_ON in results.photographs.name.lower() and not replot:
        terminal.hint("BSDS500 is for finished candidates only; --log results/bsds500_log.json records each run")
    return write_output(results, folder)


def _facts(results: Results, folder: Path, report: Path) -> dict[str, Any]:
    return {
        "output": str(folder),
        "report": str(report),
        "photographs": results.photographs.count,
        "rejected": len(results.photographs.rejected),
        "missing": {method.name: method.missing for method in results.methods if method.missing is not None},
        "methods": [
            {
                "method": mean.method,
                "metric": mean.metric,
                "auc": mean.auc.mean,
                "auc_right_image": mean.auc_right_image.mean,
                "auc_on_grid": mean.auc_on_grid.mean,
                "fpr": mean.fpr,
                "recall": mean.recall.mean,
                "recall_right_image": mean.recall_right_image.mean,
                "supported": mean.supported,
            }
            for mean in results.means
        ],
        "needle": None if results.needle is None else _needle_facts(results.needle),
    }


def _needle_facts(needle: NeedleResults) -> list[dict[str, Any]]:
    """Return the recall of each method's groups at each library and number of expected false matches."""
    return [
        {
            "method": one.method,
            "metric": one.metric,
            "group": group.name,
            "library": limit.library,
            "expected": limit.expected,
            "recall": share and share.value,
            "support": threshold.support,
        }
        for one in needle.methods
        for group in one.groups
        for limit, share, threshold in zip(needle.limits, group.recall, one.thresholds, strict=True)
    ]


def _print(results: Results, report: Path) -> None:
    photographs = results.photographs
    terminal.show(f"{photographs.count:,} photographs of {photographs.name}, {len(photographs.rejected):,} rejected")
    labels = {method.name: method.label for method in results.methods}
    if results.means:
        head = (
            "method",
            "metric",
            "AUC",
            "right image",
            "AUC, paper's grid",
            f"recall at FPR {results.means[0].fpr:g}",
        )
        rows = [(labels.get(mean.method, mean.method), mean.metric, *_figures(results, mean)) for mean in results.means]
        terminal.show_columns([head, *rows], right=(2, 3, 4))
    if results.needle is not None:
        _print_needle(results, results.needle)
    for method in results.methods:
        if method.missing is not None:
            terminal.note(f"{method.name} is missing: {method.missing}")
    for file in photographs.rejected[:10]:
        terminal.note(f"rejected: {file.name}: {file.code}: {file.message}")
    terminal.show(f"report: {report}")


def _print_needle(results: Results, needle: NeedleResults) -> None:
    """Print the recall of each method's groups at one expected false match, library by library."""
    from simsearch.benchmark.report.leaderboard import label
    from simsearch.benchmark.report.needle_tables import LEGEND, MARKS, size

    columns = [(number, i) for number in range(len(needle.group_edits)) for i in needle.main]
    groups = list(needle.group_edits)
    rows = []
    for one in needle.methods:
        found = [(one.groups[number].recall[i], MARKS[one.thresholds[i].support]) for number, i in columns]
        cells = (f"{share.value:.3f}{mark}" if share else "" for share, mark in found)
        rows.append((label(results, one.key), *cells))
    head = ("found in a library of", *(f"{groups[number]}, {size(needle.limits[i])}" for number, i in columns))
    terminal.show_columns([head, *rows], right=tuple(range(1, len(head))))
    terminal.note(LEGEND)


def _figures(results: Results, mean: PaperMean) -> tuple[str, str, str, str]:
    """Return the figures of one method and metric; 95 % intervals are the means of those of its splits."""
    splits = [split for split in results.paper if split.key == mean.key]
    recall = _with_interval([split.operating[0].recall for split in splits])
    return (
        _with_interval([split.auc for split in splits]),
        _with_interval([split.auc_right_image for split in splits]),
        f"{mean.auc_on_grid.mean:.4f}",
        recall if mean.supported else f"{recall} too few strangers",
    )


def _with_interval(of_splits: list[Estimate]) -> str:
    value, low, high = (statistics.mean(getattr(one, end) for one in of_splits) for end in ("value", "low", "high"))
    return f"{value:.3f} ({low:.3f}-{high:.3f})"


def _print_names() -> None:
    from simsearch.extract.load import known_methods
    from simsearch.images.perturb import listing

    lines = ["Methods, for --models (parameters with their defaults):", ""]
    for method in known_methods():
        parameters = ",".join(f"{key}={str(value).lower()}" for key, value in method.parameters.items())
        lines.append(f"  {method.name}{f'({parameters})' if parameters else ''}")
        lines.append(f"      {method.summary}{'' if method.usable else f'; not usable here: {method.advice}'}")
    lines += ["  module:Class", "      your own class derived from simsearch.Extractor", ""]
    lines += ["Edits, for --edits (besides the sets paper and platform):", "", *listing().splitlines()]
    for line in lines:
        terminal.show(line)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _given(value: Path | None, what: str) -> Path:
    if value is None:
        raise typer.BadParameter(f"{what} is missing: give it as a flag, or in --config")
    return value
