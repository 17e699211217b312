"""The measured part of the page on models: every card with what it costs and gives, and how fast images become rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simsearch.benchmark.tables import cell, table
from simsearch.extract.card import ModelCard


def models_table(cards: Sequence[ModelCard], counted: Mapping[str, Any]) -> list[str]:
    """The lines between the page's markers.

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


_WAYS = ("ours", "ours_compiled", "eager", "compiled")


def speed(record: Mapping[str, Any], memory: Mapping[str, Any], drift: Mapping[str, Any]) -> Iterator[str]:
    """The lines on how fast a machine embeds.

    Args:
        record: `results/embedding.json`.
        memory: `results/memory.json`.
        drift: `results/bit_drift.json`.
    """
    cores = record["measured"]["machine"]["cores"]
    yield (
        f"`scripts/measure_embedding.py` on {cores} CPU cores, random weights, images a second of a batch: ours (batch "
        "norm folded, channels last) as it is and compiled, as torch runs the same network in float32, and as "
        "torch.compile makes it of that. Ratios are those of the faster of ours; the last column is the share of the "
        "machine's float32 matrix rate that ours takes as it is."
    )
    yield ""
    rows = []
    for name, one in record["networks"].items():
        rates = {way: each["median"] for way, each in one["images_per_second"].items()}
        told = [f"{rates[way]:.1f}" if way in rates else "failed" for way in _WAYS]
        best = max(one["over"], key=lambda mine: rates[mine])
        over = [f"{one['over'][best][way]['median']:.2f}" if way in rates else "" for way in _WAYS[2:]]
        share = f"{one['share_of_matrix_rate']:.2f}"
        rows.append([cell(name), f"{one['gmac']:.2f}", one["dtype"], *told, *over, share])
    heads = ["network", "GMAC", "dtype", "ours", "ours compiled", "torch", "torch compiled", "over torch"]
    yield from table([*heads, "over torch compiled", "of the matrix rate"], rows)
    yield ""
    yield (
        "Where `ours compiled` is ahead, `simsearch embed --compile` pays for many thousand images: it compiles the "
        "network first, which takes a minute or less, and goes on only if that still gives the golden rows."
    )
    yield ""
    apart = ", ".join(f"{name} {one['js_from_eager_99']:.4f}" for name, one in record["networks"].items())
    yield (
        f"99 % of those rows are within this js of torch's in float32: {apart}. Trained weights move further: "
        f"on photographs bfloat16 moves 99 % of the rows of {drift['model']} by at most "
        f"{drift['js_of_rows_in_bfloat16_99']:.3f} (`scripts/measure_bit_drift.py`), more than the 0.02 of goal G16."
    )
    yield ""
    path = record["from_files"]
    rates = {name: rate["median"] for name, rate in path["images_per_second"].items()}
    yield (
        f"From JPEG files of 500 x 375 pixels to rows of mini, {path['workers']} decoding processes: decoding alone "
        f"{rates['decode']:,.0f} images a second, the network alone {rates['network']:,.0f}, both together "
        f"{rates['pipeline']:,.0f}; Pillow in a DataLoader with the same network {rates['dataloader']:,.0f}."
    )
    yield ""
    yield f"`scripts/measure_memory.py`: {memory['verdict']}."
