"""Make every page of measured figures from results/, and the README's block of them, so that none can drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from goals import goal
from pages.benchmark import benchmark_page
from pages.billion import billion_page
from pages.bits import bits_page
from pages.decisions import decisions_page, transfer_brief, worst
from pages.duplicates import duplicates_page
from pages.fused import fused_brief, fused_page
from pages.goals import goals_page
from pages.model_card import model_page, protocol
from pages.models import models_table, speed
from pages.serve import serve_page
from simsearch.benchmark.report.markdown import cell, paragraph, table
from simsearch.benchmark.report.needle_tables import needle_brief
from simsearch.benchmark.results import Results
from simsearch.extract.zoo.card import CARD, load_card

ROOT = Path(__file__).parents[1]
_BILLION = ("scale/plan", "search/billion_rows", "search/billion")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def main() -> None:
    for path, text in pages(ROOT).items():
        (ROOT / path).write_text(text, encoding="utf-8")


def pages(root: Path) -> dict[str, str]:
    """Return every page that is made from results, by its path; of the README only the block between the markers."""
    results = root / "results"
    return {
        "README.md": rendered((root / "README.md").read_text(encoding="utf-8"), _block(results)),
        "docs/finetuning.md": rendered(
            (root / "docs" / "finetuning.md").read_text(encoding="utf-8"), _finetuned(results)
        ),
        "docs/bits.md": rendered((root / "docs" / "bits.md").read_text(encoding="utf-8"), _bits(results)),
        "docs/models.md": rendered((root / "docs" / "models.md").read_text(encoding="utf-8"), _models(root)),
        "docs/second-look.md": rendered(
            (root / "docs" / "second-look.md").read_text(encoding="utf-8"),
            _second_look(results / "spatial"),
        ),
        "docs/decisions.md": rendered(
            (root / "docs" / "decisions.md").read_text(encoding="utf-8"),
            decisions_page(*_decisions(results)),
        ),
        "docs/duplicates.md": rendered(
            (root / "docs" / "duplicates.md").read_text(encoding="utf-8"),
            duplicates_page(*(_read(results / "act" / f"{name}.json") for name in ("peers", "duplicates"))),
        ),
        "docs/serve.md": rendered(
            (root / "docs" / "serve.md").read_text(encoding="utf-8"),
            serve_page(*(_read(results / "serve" / f"{name}.json") for name in ("serve", "soak", "rows"))),
        ),
        "docs/scale.md": rendered((root / "docs" / "scale.md").read_text(encoding="utf-8"), _killed(results)),
        "docs/billion.md": rendered(
            (root / "docs" / "billion.md").read_text(encoding="utf-8"),
            billion_page(*(_read(results / f"{name}.json") for name in _BILLION)),
        ),
        "docs/benchmark.md": _benchmark(results),
        "docs/performance.md": goals_page(results),
        "models/mini/README.md": model_page(
            load_card(root / "models" / "mini"), _paper(results), _records(results), needle=_needle(results)
        ),
    }


def _second_look(results: Path) -> list[str]:
    read = {name: _read(results / f"{name}.json") for name in ("fused", "fused_search", "candidates")}
    indexed = {"of 320 pixels": "indexing", "enlarged to 12 megapixels": "indexing_12mp"}
    costs = {what: _read(results / f"{name}.json") for what, name in indexed.items()}
    return fused_page(read["fused"], read["fused_search"], read["candidates"], costs)


def _decisions(results: Path) -> list[dict[str, Any]]:
    return [_read(results / "decide" / f"{name}.json") for name in ("calibration", "transfer", "normalisation")]


def _benchmark(results: Path) -> str:
    runs = {path.stem: Results.from_json(path.read_bytes()) for path in sorted((results / "benchmark").glob("*.json"))}
    published = _read(results / "published" / "needle_in_a_haystack.json")
    needle = results / "needle.json"
    found = Results.from_json(needle.read_bytes()) if needle.exists() else None
    return benchmark_page(runs, published, needle=found)


def rendered(text: str, block: list[str]) -> str:
    """Return a page with these lines between its markers."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return "\n".join([head + BEGIN, "", *block, "", END]) + tail


def _finetuned(results: Path) -> list[str]:
    """The table of a fine-tuning run's guard, what was trained and what was not; and how fast the loop is."""
    record, loop = _read(results / "finetuning.json"), _read(results / "training.json")
    rows = []
    for one in (*record["families"], record["overall"]):
        change, interval = f"{one['difference']:+.3f}", f"{one['low']:+.3f} to {one['high']:+.3f}"
        recalls = [f"{one['before']:.3f}", f"{one['after']:.3f}"]
        rows.append([cell(one["family"]), "yes" if one["trained"] else "no", *recalls, change, interval])
    machine = record["measured"]["machine"]
    return [
        *paragraph(
            f"{record['steps']} steps in {record['minutes']:.0f} minutes on {machine['cores']} CPU cores, "
            f"{record['images']} photographs; recall of the right image of held-out ones at a false-positive rate of "
            f"{100 * record['fpr']:g} % on {record['strangers']} strangers, edited alike, with the interval of the "
            "change over source images:"
        ),
        "",
        *table(["family", "trained", "before", "after", "change", "95 % interval"], rows),
        "",
        *paragraph(
            f"The loop by mini's recipe, which shows each picture at three scales: {loop['loop_images_a_second']:.0f} "
            f"views a second on {loop['measured']['machine']['cores']} CPU cores, all augmentation included, "
            f"{loop['loop_over_network']:.2f} of what the network's forward and backward passes alone would give "
            "(`scripts/measure_training.py`)."
        ),
    ]


def _bits(results: Path) -> list[str]:
    names = ("bits", "bit_drift", "search/hamming", "search/asymmetric", "search/billion")
    return bits_page(*(_read(results / f"{name}.json") for name in names))


def _models(root: Path) -> list[str]:
    """The cards that come with the package, whatever models this user has besides."""
    cards = [load_card(path.parent) for path in sorted((root / "models").glob(f"*/{CARD}"))]
    results = root / "results"
    costs = models_table(cards, _read(results / "models.json"))
    embedding = [_read(path) for path in sorted(results.glob("embedding*.json"))]
    return [
        *costs,
        "",
        "## How fast",
        "",
        *speed(embedding, _read(results / "memory.json"), _read(results / "bit_drift.json")),
    ]


def _killed(results: Path) -> list[str]:
    record = _read(results / "scale" / "ray.json")
    return [f"`scripts/measure_ray.py`, {record['images']:,} photographs: {record['verdict']}."]


def _block(results: Path) -> list[str]:
    pipeline, decode = _read(results / "pipeline.json"), _read(results / "decode.json")
    return [
        *paragraph(
            "What counts in a large library: how many edited copies are found where one false match is "
            "expected, of the paper's 58 edits, 25 of today and 5 of an agency? "
            "(`scripts/measure_needle.py --mode test`, "
            "`configs/today.yaml`; each edit in [docs/benchmark.md](docs/benchmark.md))."
        ),
        "",
        *_needle(results),
        "",
        *paragraph(
            "With keypoints beside the rows (`index --model mini --model points`), photographs of others and rates "
            "counted apart ([docs/second-look.md](docs/second-look.md)):"
        ),
        "",
        *fused_brief(_read(results / "spatial" / "fused.json")),
        "",
        *_worth(_decisions(results)[1]),
        "",
        'The protocol of "Needle In A Haystack, Fast" (`simsearch benchmark`). More stands in [mini\'s card]'
        "(models/mini/README.md).",
        "",
        *protocol("mini", _paper(results), _records(results)),
        "",
        f"On {pipeline['measured']['machine']['cores']} CPU cores, no GPU:",
        "",
        f"- {_pipeline(pipeline)} (`scripts/measure_pipeline.py`)",
        *(f"- {_decode(name, size)} (`scripts/measure_decode.py`)" for name, size in decode["sizes"].items()),
    ]


def _worth(transfer: dict[str, Any]) -> list[str]:
    low, high = worst(transfer)
    return [
        *paragraph(
            "What is an expectation worth? False matches predicted for photographs of a source that the rates were not "
            "counted on / observed, with the 95 % interval, at a pair rate of 1e-5 "
            "([docs/decisions.md](docs/decisions.md)):"
        ),
        "",
        *transfer_brief(transfer),
        "",
        *paragraph(
            f"Over six channels the observed number was {low:.2g} to {high:.2g} times the predicted one: so far can "
            "rates of other photographs be wrong. `simsearch calibrate` counts your own."
        ),
    ]


def _needle(results: Path) -> list[str]:
    run = Results.from_json((results / "needle.json").read_bytes())
    assert run.needle is not None
    return needle_brief(run, run.needle)


def _paper(results: Path) -> Results:
    return Results.from_json((results / "benchmark" / "bsds500.json").read_bytes())


def _records(results: Path) -> dict[str, Any]:
    """What was measured of mini beside the paper's protocol, by the names of the files."""
    return {path.stem: _read(path) for path in (results / "mini").glob("*.json")}


def _pipeline(record: dict[str, Any]) -> str:
    rates = record["images_per_second"]["median"]
    share = record["share_of_slowest_stage"]["median"]
    alone = f"decoding {rates['decode']:,.0f}, the network {rates['network']:,.0f}"
    return f"images a second, one core a stage: {alone}, the pipeline {rates['pipeline']:,.0f}: {share:.2f} (goal 0.90)"


def _decode(name: str, size: dict[str, Any]) -> str:
    target = goal("G17").targets[name]
    within = f"{100 * size['share_within_0.02']:.1f} % of rows within js 0.02"
    return f"decode and resize of a JPEG, {name}: {size['ratio']['median']:.2f} x Pillow (goal {target}), {within}"


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


if __name__ == "__main__":
    main()
