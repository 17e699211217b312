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


def speed(record: Mapping[str, Any], memory: Mapping[str, Any]) -> Iterator[str]:
    """The lines on how fast a machine embeds.

    Args:
        record: `results/embedding.json`.
        memory: `results/memory.json`.
    """
    cores = record["measured"]["machine"]["cores"]
    yield (
        f"`scripts/measure_embedding.py` on {cores} CPU cores, random weights, images a second of a batch: ours (batch "
        "norm folded, channels last), as torch runs the same network, and as torch.compile makes it of that. The last "
        "column is the share of the machine's float32 matrix rate."
    )
    yield ""
    rows = []
    for name, one in record["networks"].items():
        rates = one["images_per_second"]
        told = [f"{rates[way]['median']:.1f}" if way in rates else "failed" for way in ("ours", "eager", "compiled")]
        over = [f"{one['over'][way]:.2f}" if way in one["over"] else "" for way in ("eager", "compiled")]
        rows.append([cell(name), f"{one['gmac']:.2f}", *told, *over, f"{one['share_of_matrix_rate']:.2f}"])
    heads = [
        "network",
        "GMAC",
        "ours",
        "torch",
        "compiled",
        "ours over torch",
        "ours over compiled",
        "of the matrix rate",
    ]
    yield from table(heads, rows)
    yield ""
    yield (
        "Where `compiled` is ahead, `simsearch embed --compile` may pay for many thousand images: it compiles the "
        "folded network first, which takes a minute, and goes on only if that still gives the golden rows."
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
