"""The measured part of the page on models: every card with what it costs and gives, and how fast images become rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simsearch.benchmark.report.markdown import cell, table
from simsearch.extract.zoo.card import ModelCard


def models_table(cards: Sequence[ModelCard], counted: Mapping[str, Any]) -> list[str]:
    """Return the lines between the page's markers.

    Args:
        cards: Of every model.
        counted: `results/models.json`.
    """
    heads = ["model", "what", "row", "metric", "pixels", "million parameters", "GMAC", "licence of weights", "status"]
    rows = []
    for card in sorted(cards, key=lambda card: (card.name != "mini", card.name)):
        size = counted["models"][card.name]
        costs = [str(size["pixels"]), f"{size['million_parameters']:,.1f}", f"{size['gmac']:.2f}"]
        told = [f"`{card.name}`", cell(card.summary), str(card.dimension), card.metric]
        rows.append([*told, *costs, cell(card.weights.licence), card.status])
    return [
        "Parameters and multiply-adds of one image are counted by `scripts/measure_models.py`.",
        "",
        *table(heads, rows),
    ]


_MOST_JS = 0.02
_WAYS = ("ours", "ours_compiled", "eager", "compiled")


def speed(records: Sequence[Mapping[str, Any]], memory: Mapping[str, Any], drift: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines on how fast machines embed.

    Args:
        records: `results/embedding*.json`, one of each machine.
        memory: `results/memory.json`.
        drift: `results/bit_drift.json`.
    """
    yield (
        "`scripts/measure_embedding.py`, random weights, images a second of a batch: ours (batch norm folded, channels "
        "last) as it is and compiled, as torch runs the same network in float32, and as torch.compile makes it of "
        "that. Ratios are those of the faster of ours; the last column is the share of the machine's rate of matrix "
        "products in that dtype that ours takes as it is."
    )
    yield ""
    rows = [
        [cell(_machine(record)), cell(name), *_rates(one), _share(record, one)]
        for record in records
        for name, one in record["networks"].items()
    ]
    heads = ["machine", "network", "GMAC", "dtype", "ours", "ours compiled", "torch", "torch compiled", "over torch"]
    yield from table([*heads, "over torch compiled", "of the matrix rate"], rows)
    yield ""
    yield (
        "Where `ours compiled` is ahead, `simsearch embed --compile` pays for many thousand images: it compiles the "
        "network first, which takes a minute or less, and goes on only if that still gives the golden rows."
    )
    yield ""
    moved = drift["js_of_rows_in_bfloat16_99"]
    yield (
        f"On photographs bfloat16 moves 99 % of the rows of {drift['model']}, with its trained weights, by a js of at "
        f"most {moved:.3f} (`scripts/measure_bit_drift.py`), {beside_g16(moved)}."
    )
    for record in records:
        path = record["from_files"]
        rates = {name: rate["median"] for name, rate in path["images_per_second"].items()}
        yield ""
        yield (
            f"From JPEG files of 500 x 375 pixels to rows of mini, {path['workers']} decoding processes, "
            f"{_machine(record)}: decoding alone {rates['decode']:,.0f} images a second, the network alone "
            f"{rates['network']:,.0f}, both together {rates['pipeline']:,.0f}; Pillow in a DataLoader with the same "
            f"network {rates['dataloader']:,.0f}."
        )
    yield ""
    yield f"`scripts/measure_memory.py`: {memory['verdict']}."


def beside_g16(js: float) -> str:
    """Say whether a js of 99 % of rows is one that goal G16 allows."""
    return f"{'within' if js <= _MOST_JS else 'more than'} the {_MOST_JS} of goal G16"


def _machine(record: Mapping[str, Any]) -> str:
    machine = record["measured"]["machine"]
    return f"{machine['cores']} cores, {machine['cpu']}"


def _rates(one: Mapping[str, Any]) -> list[str]:
    rates = {way: each["median"] for way, each in one["images_per_second"].items()}
    told = [f"{rates[way]:.1f}" if way in rates else "failed" for way in _WAYS]
    best = max(one["over"], key=lambda mine: rates[mine])
    over = [f"{one['over'][best][way]['median']:.2f}" if way in rates else "" for way in _WAYS[2:]]
    return [f"{one['gmac']:.2f}", one["dtype"], *told, *over]


def _share(record: Mapping[str, Any], one: Mapping[str, Any]) -> str:
    measured = one["dtype"] in record.get("matrix_flops", {})  # one record is from before that was
    return f"{one['share_of_matrix_rate']:.2f}" if measured else ""
