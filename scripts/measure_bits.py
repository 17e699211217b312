"""Measure how good bits are: by length and quantiser, beside the float rows that they are made of and other hashes.

The paper's protocol: some photographs of a folder are the library, others strangers, all edited in 58 ways. Quantisers
are fitted to photographs of another kind. Intervals are of whole source images drawn again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from bits_rows import FittingRows, fitting_rows
from compare_models import trial_of
from measure_strangers import estimate
from simsearch.decide import supported
from simsearch.decide.bootstrap import Area, RecallAtFpr
from simsearch.distance import by_name, hamming
from simsearch.extract.load import load_extractor
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.quantise.fit import fit_quantiser
from simsearch.extract.quantise.hyperplanes import KINDS, Map, Quantiser, map_for
from simsearch.extract.zoo.find import find_model
from simsearch.runtime.provenance import write_record
from simsearch.search.hamming.asymmetric import asymmetric
from simsearch.training.hash_head import fit_head, fit_lda
from simsearch.training.validation.evaluation import Scores

FPR = 0.005
HASHES = ("dhash", "phash", "phash(size=16)", "blockmean")
Rows = NDArray[Any]
Measure = Callable[[Rows, Rows], NDArray[np.float64]]


class Way(NamedTuple):
    """One way to compare images: what a row becomes, and the distance of these, queries first."""

    name: str
    facts: dict[str, Any]
    query: Callable[[Rows], Rows]
    library: Callable[[Rows], Rows]
    measure: Measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini", help="name or folder")
    parser.add_argument(
        "--fit", type=Path, nargs="+", default=[Path(f"../shared/data/train/train-{i}.tar") for i in range(3)]
    )
    parser.add_argument("--recipe", type=Path, default=Path("configs/mini.yaml"), help="whose edits the head is shown")
    parser.add_argument("--most", type=int, default=4000, help="photographs that quantisers are fitted to")
    parser.add_argument("--copies", type=int, default=6, help="edited copies of each for the head")
    parser.add_argument("--photographs", type=Path, default=Path("../shared/data/bsds500"))
    parser.add_argument("--library", type=int, default=250)
    parser.add_argument("--all", type=int, default=500, help="photographs used, the others being strangers")
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 96, 128, 256])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("results/bits.json"))
    arguments = parser.parse_args()
    model = NeuralExtractor(find_model(arguments.model), device=arguments.device)
    fitted = fitting_rows(
        model,
        arguments.fit,
        recipe=arguments.recipe,
        most=arguments.most,
        copies=arguments.copies,
        seed=arguments.seed,
    )
    how = map_for(model.metric)
    hashes = [load_extractor(name) for name in HASHES]
    extractors = [model, *hashes]
    trial = trial_of(
        arguments.photographs,
        *[one.preprocessing for one in extractors],
        library=arguments.library,
        most=arguments.all,
        seed=arguments.seed,
    )
    library = [one.embed_pixels(pixels) for one, pixels in zip(extractors, trial.originals(), strict=True)]
    queries: list[list[Rows]] = [[] for _ in extractors]
    for seen in track(trial.queries(), "edits", total=len(trial.edits), console=Console(stderr=True)):
        for rows, one, pixels in zip(queries, extractors, seen, strict=True):
            rows.append(one.embed_pixels(pixels))
    table = []
    for way in ways(fitted, model, arguments.bits, how, arguments.seed):
        found = _scores(way, library[0], queries[0])
        table.append({"name": way.name, **way.facts, **_told(found, arguments.seed)})
        print(table[-1], flush=True)
    for one, own, edited in zip(hashes, library[1:], queries[1:], strict=True):
        bits = one.bits or 8 * one.dimension
        way = Way(one.name, {"bits": bits, "bytes": one.dimension}, _same, _same, _counting(bits))
        table.append({"name": way.name, **way.facts, **_told(_scores(way, own, edited), arguments.seed)})
        print(table[-1], flush=True)
    values = {
        "model": model.name,
        "weights_sha256": model.card.weights.sha256,
        "photographs": arguments.photographs.name,
        "library": len(trial.own),
        "strangers": len(trial.strangers),
        "edits": len(trial.edits),
        "fitted_to": len(fitted.clean),
        "copies": arguments.copies,
        "map": how,
        "fpr": FPR,
        "supported": supported(FPR, len(trial.strangers)),
        "table": table,
    }
    first = table[0]["recall_right_image"]["value"]
    best = max((row for row in table if row.get("bits") == 256), key=lambda row: row["recall_right_image"]["value"])
    verdict = (
        f"right image at FPR {FPR:g}: {model.metric} on floats {first:.3f}, the best of 256 bits ({best['name']}) "
        f"{best['recall_right_image']['value']:.3f}"
    )
    write_record(arguments.output, values, verdict=verdict)
    print(verdict)


def ways(fitted: FittingRows, model: NeuralExtractor, lengths: list[int], how: Map, seed: int) -> Iterator[Way]:
    """Floats, then each quantiser at each length, compared by bits and, asymmetrically, by floats against bits."""
    size = 2 * model.dimension
    yield Way(f"{model.metric} on floats", {"bytes": size}, _same, _same, by_name(model.metric))
    for bits in lengths:
        for kind in KINDS:
            if kind == "lda":
                quantiser = fit_lda(fitted.clean, fitted.edited, bits=bits, how=how, model=model.fingerprint)
            elif kind == "head":
                quantiser = fit_head(
                    fitted.clean, fitted.edited, bits=bits, how=how, model=model.fingerprint, seed=seed
                )
            else:
                quantiser = fit_quantiser(
                    fitted.clean, kind=kind, bits=bits, how=how, model=model.fingerprint, seed=seed
                )
            yield from _of(quantiser)


def _of(quantiser: Quantiser) -> Iterator[Way]:
    bits = quantiser.bits
    facts = {"kind": quantiser.kind, "bits": bits, "bytes": -(-bits // 8)}
    yield Way(
        f"{quantiser.kind} {bits}", {**facts, "query": "bits"}, quantiser.encode, quantiser.encode, _counting(bits)
    )
    yield Way(
        f"{quantiser.kind} {bits}, float query",
        {**facts, "query": "floats"},
        quantiser.margins,
        quantiser.encode,
        asymmetric,
    )


def _counting(bits: int) -> Measure:
    return lambda a, b: hamming(a, b, bits=bits)


def _same(rows: Rows) -> Rows:
    return rows


def _scores(way: Way, library: Rows, queries: list[Rows]) -> Scores:
    """What `simsearch.training.validation.evaluation.scores` gives, of rows that are there."""
    own, n = way.library(library), len(library)
    right, strange = [], []
    for rows in queries:
        distances = way.measure(way.query(rows), own)
        right.append(np.diagonal(distances[:n]))
        strange.append(distances[n:].min(axis=1))
    return Scores(np.stack(right, axis=1), np.stack(strange, axis=1))


def _told(found: Scores, seed: int) -> dict[str, Any]:
    return {
        "auc_right_image": estimate(Area(), found, seed),
        "recall_right_image": estimate(RecallAtFpr(FPR), found, seed),
    }


if __name__ == "__main__":
    main()
