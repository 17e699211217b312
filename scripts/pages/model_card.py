"""A model's README beside its card, and the project's table of it: made from the records of measurements alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pages.plain_torch import plain_torch
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import Contender, contenders
from simsearch.benchmark.report.markdown import cell, paragraph, spread, table
from simsearch.benchmark.results import Results
from simsearch.extract.zoo.card import ModelCard

BESIDE = ("haar", "dhash")
"""The hashes that stand beside a model: the strongest of ours, and the paper's."""
PUBLISHED = "SimCLR v2 ResNet-50 2x by js, published: any-match AUC .984, recall .866; dHash: .941, .810"
WEAKEST = 6
EDITS = (
    "jpg_compression_10",
    "cropping_10_and_rescaling",
    "cropping_40_and_rescaling",
    "cropping_60_and_rescaling",
    "rotation_10_and_rescaling",
    "rotation_60_and_rescaling",
    "brightness_enhancement_2",
    "text_length_30",
    "gaussian_noise_0.05",
)

Records = Mapping[str, Mapping[str, Any]]


def model_page(card: ModelCard, run: Results, records: Records, *, needle: Sequence[str] = ()) -> str:
    """Return a model's README.

    Args:
        card: Its card.
        run: The paper's protocol on BSDS500, the model among the methods.
        records: What else was measured, by the name of its file: `training`, and where they are there `dev`,
            `strangers` and `left_out`.
        needle: Lines on the needle protocol, which come first.
    """
    first = ["## Copies found at one expected false match", "", *needle, ""] if needle else []
    lines = [
        f"# {card.name}",
        "",
        f"{card.summary[0].upper()}{card.summary[1:]}.",
        "",
        f"- **Row**: {card.dimension} non-negative values; searched by {card.metric}.",
        f"- **Input**: the whole image, squashed to {card.preprocessing.size} x {card.preprocessing.size} pixels.",
        f"- **Weights**: {card.weights.licence}; trained on {card.training_data}.",
        f"- **Training**: {_training(records['training'])}.",
        f"- **Limits**: {card.limits}",
        f"- **Reference**: {card.reference}.",
        "",
        f"Made by `scripts/make_{card.name}`, which also measured what follows (`results/{card.name}/`,",
        "`results/benchmark/bsds500.json`). BSDS500 was used neither for training nor for choosing anything.",
        "",
        *first,
        "## Without this library",
        "",
        "In this folder, with torch, Pillow and safetensors (pictures upright and in sRGB; compare rows by js):",
        "",
        *plain_torch(card),
        "",
        "## The paper's protocol",
        "",
        *protocol(card.name, run, records),
    ]
    if "left_out" in records:
        lines += ["", "## Edits that training never showed", "", *left_out(records["left_out"])]
    if "dev" in records:
        lines += ["", "## Beside the version before it", "", *_versions(records["dev"])]
    return "\n".join(lines) + "\n"


def protocol(name: str, run: Results, records: Records) -> list[str]:
    """Return a model by the paper's protocol: the figures, the supported rate beside them, and single edits."""
    chosen = [one for one in contenders(run) if one.method.name in (name, *BESIDE)]
    own = next(one for one in chosen if one.method.name == name)
    attacks = sorted(own.mean.attacks, key=lambda attack: attack.auc_right_image.mean)[:WEAKEST]
    told = ", ".join(f"{edit_title(one.name)} {one.auc_right_image.mean:.3f}" for one in attacks)
    first = own.splits[0]
    lines = [
        *paragraph(
            f"{run.photographs.name}: {first.database} photographs in the database, {first.attacked} + {first.attacked}"
            f" edited in {first.edits} ways, means over {own.mean.splits} splits (lowest-highest). Recall is at a "
            f"false-positive rate of {100 * own.mean.fpr:g} %, which {first.attacked} edited strangers "
            f"{'' if own.mean.supported else 'do not '}support (`supported: {str(own.mean.supported).lower()}`). "
            f"{PUBLISHED}."
        ),
        "",
        *_figures(chosen),
        "",
        *paragraph(f"Weakest edits of {own.label} (right-image AUC): {told}."),
    ]
    if "strangers" in records:
        lines += ["", *_strangers(records["strangers"])]
    return [
        *lines,
        "",
        "Share of copies whose first match is the right photograph, by edit:",
        "",
        *_first(chosen),
    ]


def left_out(record: Mapping[str, Any]) -> list[str]:
    """Return what a family of edits loses that training did not show."""
    rows = []
    for name, found in record["left_out"].items():
        lowest = min(found["families"], key=lambda one: one["after"] - one["before"])
        worst = f"{lowest['family']} {lowest['before']:.3f} to {lowest['after']:.3f}"
        rows.append([cell(name), f"{found['own']['before']:.3f}", f"{found['own']['after']:.3f}", cell(worst)])
    return [
        *paragraph(
            f"A network of the same kind, trained from random weights for {record['steps']} steps of "
            f"{record['batch']} pairs at {record['size']} pixels, once with all edits and once more without each "
            f"group: recall of that group's copies at a false-positive rate of {100 * record['fpr']:g} %, "
            f"{record['looked_for']} photographs among {record['strangers']} strangers "
            "(`scripts/measure_left_out.py`). So short a training is weaker than the model; the change is what counts."
        ),
        "",
        *table(["left out", "trained", "never shown", "the family that fell most"], rows),
    ]


def _figures(chosen: Sequence[Contender]) -> list[str]:
    rows = [
        [cell(one.label), *(spread(value) for value in (m.auc, m.auc_right_image, m.recall, m.recall_right_image))]
        for one in chosen
        for m in (one.mean,)
    ]
    return table(["", "any-match AUC", "right-image AUC", "any-match recall", "right-image recall"], rows)


def _first(chosen: Sequence[Contender]) -> list[str]:
    """One line an edit, one column a method by the metric that it recommends."""
    columns = [one for one in chosen if one.metric == one.method.metric]
    by_name = [{attack.name: attack for attack in one.mean.attacks} for one in columns]
    rows = [
        [cell(edit_title(edit)), *(spread(each[edit].right_image_first) for each in by_name)]
        for edit in EDITS
        if edit in by_name[0]
    ]
    return table(["edit", *(cell(one.method.label) for one in columns)], rows)


def _strangers(record: Mapping[str, Any]) -> list[str]:
    recall, area = record["recall_right_image"], record["auc_right_image"]
    return paragraph(
        f"With {record['library']} photographs of {record['photographs']} looked for among {record['strangers']:,} "
        f"strangers of another set (`scripts/measure_strangers.py`; `supported: {str(record['supported']).lower()}`): "
        f"right-image recall {recall['value']:.3f} ({recall['low']:.3f}-{recall['high']:.3f}) at "
        f"{100 * record['fpr']:g} %, AUC {area['value']:.4f} ({area['low']:.4f}-{area['high']:.4f}); intervals over "
        "source images."
    )


def _versions(record: Mapping[str, Any]) -> list[str]:
    area, recall = record["auc_right_image"], record["recall_right_image"]
    return paragraph(
        f"{record['library']} photographs that neither was trained on and {record['strangers']} strangers, "
        f"{record['edits']} edits (`scripts/compare_models.py`): right-image AUC {area['before']:.4f} to "
        f"{area['after']:.4f} ({area['low']:+.4f} to {area['high']:+.4f}), recall at {100 * record['fpr']:g} % "
        f"{recall['before']:.3f} to {recall['after']:.3f} ({recall['low']:+.3f} to {recall['high']:+.3f})."
    )


def _training(record: Mapping[str, Any]) -> str:
    machine = record["measured"]["machine"]
    where = machine["gpu"] or f"{machine['cores']} CPU cores"
    begun = f" from {record['start']} (weights {record['start_sha256'][:12]})" if "start_sha256" in record else ""
    return f"{record['steps']:,} steps of {record['batch']} pairs in {record['minutes']:.0f} minutes on {where}{begun}"
