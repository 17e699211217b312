"""Methods of one run taken over into another on the same photographs, as after a model was trained anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from simsearch.benchmark.results import Results
from simsearch.errors import InputError

_OF_THE_RUN = ("models", "protocols", "device", "metrics", "compare_distances")
"""Settings that may differ: they change which figures there are, not what a figure is."""


def merged(old: Results, new: Results) -> Results:
    """Return the results in which each method of the newer run stands in the place of its older figures.

    What the newer run did not measure of such a method is gone, since it was another model's; examples stay the older
    run's for all other methods. Every method taken over carries the newer run's provenance.

    Args:
        old: Results of several methods.
        new: Results of some of them, or of others, for the same photographs, splits and edits.

    Raises:
        InputError: the runs differ in photographs or settings, so that their figures do not compare.
    """
    if old.photographs.digest != new.photographs.digest:
        raise InputError(
            f"{new.photographs.name} is another set of photographs than the older run had; they cannot be merged"
        )
    for key in sorted(set(old.settings) | set(new.settings)):
        if key not in _OF_THE_RUN and old.settings.get(key) != new.settings.get(key):
            raise InputError(
                f"setting {key} is {new.settings.get(key)!r} here and {old.settings.get(key)!r} in the older run; "
                "run again with the older one's settings"
            )
    names = {method.name for method in new.methods}
    taken = {method.name: replace(method, measured=new.provenance) for method in new.methods}
    methods = [taken.pop(method.name, method) for method in old.methods]
    changes: dict[str, Any] = {"methods": (*methods, *taken.values())}
    for field in fields(Results):
        rows, newer = getattr(old, field.name), getattr(new, field.name)
        if isinstance(rows, tuple) and any(hasattr(row, "method") for row in (*rows, *newer)):
            changes[field.name] = _rows(rows, newer, names)
    return replace(old, **changes)


def _rows(old: Sequence[Any], new: Sequence[Any], names: set[str]) -> tuple[Any, ...]:
    """The new rows of each method where its first old one stood; those of further methods at the end."""
    out, done = list[Any](), set[str]()
    for row in old:
        if row.method not in names:
            out.append(row)
        elif row.method not in done:
            done.add(row.method)
            out += [one for one in new if one.method == row.method]
    return (*out, *(one for one in new if one.method not in done))
