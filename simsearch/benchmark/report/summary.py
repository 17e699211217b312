"""The summary of a benchmark in plain words: the best method, its confidence, and its failures."""

from __future__ import annotations

from dataclasses import dataclass

from simsearch.benchmark.needle_results import NeedleMethod, NeedleResults
from simsearch.benchmark.report.labels import edit_title
from simsearch.benchmark.report.leaderboard import Contender, answer_rate, contenders, label
from simsearch.benchmark.results import Attack, Estimate, OperatingPoint, Results

_HARD = 0.5  # an edit of which the best method loses more than half defeats all
_CHEAPER = 0.5  # a method is worth naming as cheaper from half the time


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a run.

    Attributes:
        headline: One sentence.
        sentences: Qualifications of it.
        best: The best contender, if any ran the paper's protocol.
        rate: The false-positive rate of the comparison.
        supported: Whether there are enough strangers for that rate.
    """

    headline: str
    sentences: tuple[str, ...]
    best: Contender | None = None
    rate: float = 0.0
    supported: bool = False


def answer(results: Results) -> Answer:
    """Return the answer in plain words; it says so where the paper's protocol was not run."""
    found = contenders(results)
    if not found and results.needle and results.needle.methods:
        return Answer(needle_answer(results.needle, results), ())
    if not found:
        missing = [method.label for method in results.methods if method.missing]
        said = f" Missing: {', '.join(missing)}." if missing else ""
        return Answer(f"No method was compared on {results.photographs.count:,} photographs.{said}", ())
    best, rate = found[0], answer_rate(found)
    point = best.at(rate)
    headline = (
        f"For these photographs {best.label} finds {per_cent(point.recall_right_image)} of edited copies "
        f"while flagging {per_cent(point.measured_fpr)} of strangers."
    )
    sentences = [_sure(point, best), _runner_up(found, rate), _cheaper(found, rate), _strict(best, rate), _hard(found)]
    return Answer(headline, tuple(said for said in sentences if said), best, rate, point.recall.supported)


def needle_answer(needle: NeedleResults, results: Results) -> str:
    """Return a sentence on the highest recall of all groups together at the middle library."""
    i, best = needle.middle, strongest(needle)
    shares = [f"{per_cent(share)} of {group.name}" for group in best.groups if (share := group.recall[i])]
    limit = needle.limits[i]
    shares_text = (
        " and ".join(filter(None, [", ".join(shares[:-1]), *shares[-1:]])) or "no share that could be measured"
    )
    return (
        f"In a library of {limit.library:,.0f} strangers, with {limit.expected:g} false match expected a query, "
        f"{label(results, best.key)} finds {shares_text}."
    )


def strongest(needle: NeedleResults) -> NeedleMethod:
    """Return the method with the highest recall of all groups together at the middle library."""

    def found(one: NeedleMethod) -> float:
        return sum(share.value for group in one.groups if (share := group.recall[needle.middle]))

    return max(needle.methods, key=found)


def per_cent(share: Estimate | float, digits: int | None = None) -> str:
    """Return a share in per cent, with a decimal where it is near 0 or 100.

    Example:
        >>> per_cent(0.873), per_cent(0.0052), per_cent(1.0), per_cent(0.0)
        ('87 %', '0.5 %', '100 %', '0 %')
    """
    value = share.value if isinstance(share, Estimate) else share
    if digits is None:
        digits = 0 if 0.1 <= value <= 0.95 or value in {0.0, 1.0} else 1
    return f"{100 * value:.{digits}f} %"


def between(share: Estimate) -> str:
    """Return the interval of a share in per cent.

    Example:
        >>> between(Estimate(0.5, 0.42, 0.583))
        '42-58 %'
    """
    digits = 1 if share.value < 0.1 or share.value > 0.95 else 0
    return f"{100 * share.low:.{digits}f}-{100 * share.high:.{digits}f} %"


def hardest(one: Contender, count: int = 5) -> list[Attack]:
    """Return the edits of which a method finds the fewest copies, the worst first."""
    return sorted(one.attacks(), key=lambda attack: (attack.recall_right_image.value, attack.auc_right_image))[:count]


def _sure(point: OperatingPoint, best: Contender) -> str:
    sources = best.splits[0].attacked
    said = (
        f"The share found is {between(point.recall_right_image)}, that of strangers "
        f"{between(point.measured_fpr)} (95 % intervals; {sources} copied photographs and {sources} strangers"
    )
    said += f" in each of {len(best.splits)} splits)." if len(best.splits) > 1 else ")."
    if not point.recall.supported:
        said += f" {sources} strangers are too few for a rate of {100 * point.fpr:g} %: not supported."
    return said


def _runner_up(found: tuple[Contender, ...], rate: float) -> str:
    if len(found) < 2:
        return ""
    first, second = (one.at(rate).recall_right_image for one in found[:2])
    chance = second.high >= first.low
    said = "the intervals overlap, so their order may be chance" if chance else "the intervals do not overlap"
    return f"Next comes {found[1].label} with {per_cent(second)} ({between(second)}); {said}."


def _cheaper(found: tuple[Contender, ...], rate: float) -> str:
    best = found[0]
    timed = [(one, one.time.ms) for one in found[1:] if one.time is not None]
    if best.time is None or not timed:
        return ""
    quick = [(one, ms) for one, ms in timed if ms <= _CHEAPER * best.time.ms]
    if not quick:
        return f"It takes {milliseconds(best.time.ms)} an image, and none of the others is twice as fast."
    other, ms = quick[0]
    share = per_cent(other.at(rate).recall_right_image)
    return f"{other.label} takes {milliseconds(ms)} an image instead of {milliseconds(best.time.ms)} and finds {share}."


def _strict(best: Contender, rate: float) -> str:
    main = best.mean.fpr
    if main >= rate:
        return ""
    point = best.at(main)
    verdict = "" if point.recall.supported else f", which {best.splits[0].attacked} strangers cannot vouch for"
    found = per_cent(point.recall_right_image)
    return f"At the stricter {100 * main:g} % of strangers it finds {found}{verdict}."


def _hard(found: tuple[Contender, ...]) -> str:
    every = [one.mean.attacks for one in found]
    best = [(max(a.recall_right_image.mean for a in same), same[0]) for same in zip(*every, strict=True)]
    if not best:
        return ""
    lost = [attack for share, attack in sorted(best, key=lambda pair: pair[0]) if share < _HARD]
    if not lost:
        return "Every edit is seen through by one of the methods for at least half of the copies."
    names = [edit_title(attack.name) for attack in lost]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"After these edits no method finds half of the copies: {'; '.join(names[:4])}{more}."


def milliseconds(value: float) -> str:
    """Return a time in milliseconds as text.

    Example:
        >>> milliseconds(0.834), milliseconds(15.3), milliseconds(190.4)
        ('0.83 ms', '15 ms', '190 ms')
    """
    return f"{value:.2g} ms" if value < 10 else f"{value:.0f} ms"
