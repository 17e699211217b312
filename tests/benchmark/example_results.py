"""A small run's results, each part filled: two methods that ran, one that is missing, two splits, three edits."""

from __future__ import annotations

from simsearch.benchmark import needle_results as n
from simsearch.benchmark import results as r

EDITS = (
    ("jpg_compression_10", "jpg_compression", "compression"),
    ("rotation_60_and_rescaling", "rotation", "geometry"),
    ("text_length_50", "text_length", "text"),
)
METHODS = (("dhash", "hamming"), ("mini", "js"), ("mini", "cosine"))
FPR = 0.005


def estimate(value: float, *, supported: bool = True) -> r.Estimate:
    return r.Estimate(value, max(0.0, value - 0.02), min(1.0, value + 0.02), supported)


def spread(value: float) -> r.Spread:
    return r.Spread(value, max(0.0, value - 0.01), min(1.0, value + 0.01))


def operating(recall: float, fpr: float = FPR) -> r.OperatingPoint:
    return r.OperatingPoint(
        fpr, 0.16, estimate(fpr * 0.9, supported=False), estimate(recall, supported=False), estimate(recall - 0.05)
    )


def curve(recall: float) -> r.Curve:
    return r.Curve((None, 0.1, 0.2, 0.4, None), (0.0, 0.001, 0.02, 0.5, 1.0), (0.0, recall - 0.2, recall, 0.98, 1.0))


def split(method: str, metric: str, seed: int, auc: float) -> r.PaperSplit:
    attacks = tuple(
        r.Attack(
            name, family, category, auc - i / 20, auc - i / 10, auc - i / 20, estimate(0.8), estimate(0.7), 0.9 - i / 10
        )
        for i, (name, family, category) in enumerate(EDITS)
    )
    groups = (
        *(
            r.Group(category, "category", 1, auc, auc - 0.05, auc, estimate(0.8), estimate(0.75), 0.8)
            for _, _, category in EDITS
        ),
        r.Group("text", "text", 1, auc, auc - 0.05, auc, estimate(0.8), estimate(0.75), 0.8),
        r.Group("no text", "text", 2, auc, auc - 0.05, auc, estimate(0.8), estimate(0.75), 0.8),
    )
    return r.PaperSplit(
        method=method,
        metric=metric,
        seed=seed,
        database=250,
        attacked=100,
        edits=len(EDITS),
        auc=estimate(auc),
        auc_right_image=estimate(auc - 0.05),
        auc_on_grid=auc - 0.001,
        grid=(0.05, 0.4),
        grid_of_paper=method == "dhash",
        right_image_first=estimate(0.82),
        operating=(operating(0.81), operating(0.83, 0.01), operating(0.85, 0.05)),
        roc=curve(0.85),
        roc_right_image=curve(0.8),
        attacks=attacks,
        groups=groups,
    )


def mean(method: str, metric: str, auc: float) -> r.PaperMean:
    def over(name: str, family: str, category: str, value: float) -> r.AttackMean:
        return r.AttackMean(name, family, category, *(spread(value) for _ in range(6)))

    return r.PaperMean(
        method=method,
        metric=metric,
        splits=2,
        auc=spread(auc),
        auc_right_image=spread(auc - 0.05),
        auc_on_grid=spread(auc - 0.001),
        grid_of_paper=method == "dhash",
        right_image_first=spread(0.82),
        fpr=FPR,
        recall=spread(0.81),
        recall_right_image=spread(0.76),
        supported=False,
        operating=tuple(
            r.RecallMean(fpr, spread(fpr), spread(0.8 + fpr), spread(0.75 + fpr), fpr >= 0.05)
            for fpr in (FPR, 0.01, 0.05)
        ),
        attacks=tuple(over(*edit, auc - i / 20) for i, edit in enumerate(EDITS)),
        groups=(
            *(over(category, "category", category, auc) for _, _, category in EDITS),
            over("text", "text", "text", auc - 0.02),
            over("no text", "text", "no text", auc + 0.01),
        ),
    )


def needle_method(method: str, metric: str, recall: float) -> n.NeedleMethod:
    along = (estimate(recall), estimate(recall - 0.1, supported=False), None)
    return n.NeedleMethod(
        method,
        metric,
        2e4,
        thresholds=(
            n.NeedleThreshold(estimate(0.4), 60, 55, "supported"),
            n.NeedleThreshold(estimate(0.3, supported=False), 6, 7, "beyond_calibration"),
            n.NeedleThreshold(None, 0, 0, "unsupported"),
        ),
        groups=(n.NeedleGroup("paper", 1, along), n.NeedleGroup("today", 1, along)),
        edits=tuple(n.NeedleEdit(name, family, along) for name, family, _ in EDITS[:2]),
        curve=tuple(n.NeedleCurve(group, (1e3, 1e4, 1e5), (0.9, recall, 0.5)) for group in ("paper", "today")),
        strata=(
            n.NeedleStratum("across", "", 600_000, (60, 6, None)),
            n.NeedleStratum("sources", "city, <sea>", 400_000, (50, 5, None)),
            n.NeedleStratum("sources", "city, wood", 200_000, (10, 1, None)),
            n.NeedleStratum("look_alikes", "", 90_000, (900, 100, None)),
            n.NeedleStratum("textures", "dtd", 1_000, (10, 1, None)),
            n.NeedleStratum("edited", "", 10_000, (1, 0, None)),
        ),
        held_out=(
            n.NeedleHeldOut("<sea>", 1e4, 1.0, 0.39, 400_000, 40.0, 55, 0.8, 2.1, "supported"),
            n.NeedleHeldOut("city", 1e5, 1.0, None, 400_000, 4.0, 0, 0.0, 2.1, "unsupported"),
        ),
        nearest=(n.NeedlePair("city/a.jpg", "<sea>/b.jpg", 0.21),),
        distractors=(n.NeedleDistractors("many", 1_000, 20, (2.0, 0.2, None), (3, 0, None), (2, 0, None), ()),),
    )


def needle() -> n.NeedleResults:
    limits = tuple(n.NeedleLimit(library, 1.0) for library in (1e4, 1e5, 1e6))
    change = (estimate(0.1), estimate(0.1, supported=False), None)
    return n.NeedleResults(
        sources=(n.NeedleSource("city", 900, 20, textures=False), n.NeedleSource("dtd", 40, 0, textures=True)),
        pairs=600_000,
        known_copies=2,
        limits=limits,
        group_edits={"paper": (EDITS[0][0],), "today": (EDITS[1][0],)},
        methods=(needle_method("dhash", "hamming", 0.7), needle_method("mini", "js", 0.8)),
        differences=(n.NeedleDifference(("dhash", "hamming"), ("mini", "js"), "paper", change),),
    )


def example() -> r.Results:
    """Results as a run writes them."""
    sweeps = (
        *(
            r.SweepPoint(
                "hash_length", "dhash", f"dhash(size={side})", "hamming", side * side, *three, FPR, *two, False
            )
            for side in (8, 11, 16)
        ),
        *(
            r.SweepPoint("keypoint_count", "orb", f"orb(count={count})", "hamming", count, *three, FPR, *two, False)
            for count in (30, 100)
        ),
        *(r.SweepPoint("database_size", "mini", "mini", "js", size, *three, FPR, *two, False) for size in (100, 250)),
    )
    return r.Results(
        settings={"seeds": [0, 1], "attacked": 100, "edits": ["paper"], "fpr": [FPR, 0.01, 0.05]},
        photographs=r.Photographs(
            "bsds500", 500, "ab" * 32, (r.RejectedFile("train/broken.jpg", "truncated", "JPEG: the file is cut"),)
        ),
        methods=(
            r.Method("dhash", "dHash", "hash", "hamming", ("hamming",), "cd" * 32, bits=64),
            r.Method("mini", "mini", "network", "js", ("js", "cosine"), "ef" * 32, dimension=512),
            r.Method("orb", "ORB", "keypoints", missing='ORB needs OpenCV: pip install -e ".[benchmark]"'),
        ),
        paper=tuple(split(*method, seed, 0.94 + i / 50) for i, method in enumerate(METHODS) for seed in (0, 1)),
        means=tuple(mean(*method, 0.94 + i / 50) for i, method in enumerate(METHODS)),
        sweeps=sweeps,
        transfer=(
            r.Transfer("dhash", "hamming", FPR, 0.16, *(estimate(v) for v in (0.0045, 0.81, 0.02, 0.78, 0.7))),
            r.Transfer("mini", "js", FPR, 0.3, *(estimate(v) for v in (0.005, 0.9, 0.008, 0.88, 0.87))),
        ),
        perception=tuple(
            r.PerceptionRow(
                method, metric, category, edit, 0.001, 0.1, estimate(0.0005, supported=False), estimate(0.7), 250
            )
            for method, metric in METHODS[:2]
            for category in ("all", "train")
            for edit in ("all", "jpg_compression_10", "text_length_50")
        ),
        copy_detection=tuple(r.CopyDetection(*method, estimate(0.8), estimate(0.7), 0.9) for method in METHODS),
        chains=tuple(
            r.ChainPoint(*method, k, FPR, 0.2, estimate(1 - k / 10), estimate(0.98 - k / 10))
            for method in METHODS
            for k in range(1, 7)
        ),
        templates=(
            r.Templates(
                "dhash",
                "hamming",
                "memes",
                6,
                60,
                60,
                estimate(0.75),
                estimate(0.7),
                0.74,
                (operating(0.37),),
                curve(0.5),
            ),
        ),
        times=(
            r.Time("dhash", 200, 1, 0.8, 0.7, 0.9, 3.1, "cpu"),
            r.Time("mini", 200, 32, 9.5, 9.0, 11.0, 11.8, "cpu"),
        ),
        examples=(
            r.Example("closest_stranger", "dhash", "hamming", 0, "train/a.jpg", EDITS[1][0], "test/b.jpg", 0.2, 0.16),
            r.Example("false_match", "mini", "js", 0, "train/<c>.jpg", EDITS[0][0], "test/b.jpg", 0.1, 0.3),
            r.Example("missed_copy", "mini", "js", 1, "val/d.jpg", EDITS[2][0], "val/d.jpg", None, 0.3),
        ),
        needle=needle(),
        seconds={"edits and rows": 61.5, "scores": 4.25},
        provenance={"date": "2025-01-01", "command": "simsearch benchmark bsds500", "commit": "0" * 40},
    )


three = tuple(spread(value) for value in (0.94, 0.87, 0.935))
two = (spread(0.81), spread(0.76))
