"""Augmentation plans: which edits reach which image of a batch, and their strengths, drawn as arrays beforehand.

Draws depend on the seed and on their place in the run alone, so a resumed run draws what it would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from simsearch import naming
from simsearch.errors import InputError
from simsearch.images.perturb import FAMILIES, PAPER, PLATFORM, Perturbation, by_name
from simsearch.images.perturb.family import Family
from simsearch.training.augment import FORMS
from simsearch.training.config import Edit, View

SETS: dict[str, tuple[Perturbation, ...]] = {"paper": PAPER, "platform": PLATFORM}


@dataclass(frozen=True, slots=True)
class Draw:
    """The draws of a batch.

    Attributes:
        hits: (e, n) whether each of e edits reaches each of n images.
        strengths: (e, n) float64, at which strength; 0 for edits without.
    """

    hits: NDArray[np.bool_]
    strengths: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EditEntry:
    """One edit of a view, its name parsed.

    Attributes:
        edit: The setting.
        family: The family whose strength is drawn; None for a fixed name, a set, or a user's own.
        options: The parentheses behind the family's name.
        form: The tensor form that makes it on the device; empty where Pillow does.
        fixed: The strength in a fixed name.
    """

    edit: Edit
    family: Family | None
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    form: str = ""
    fixed: float = 0.0

    def perturbation(self, strength: float, rng: np.random.Generator) -> Perturbation:
        """Return the perturbation of that strength; of a set, one of its perturbations by chance."""
        if self.edit.edit in SETS:
            chosen = SETS[self.edit.edit]
            return chosen[rng.integers(len(chosen))]
        if self.family is not None:
            return self.family.at(_written(strength), self.options)
        return by_name(self.edit.edit.replace("{}", _written(strength)))

    def strengths(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        """Return n strengths, drawn evenly between the ends (or their logarithms), as the family allows them."""
        if self.edit.strength is None:
            return np.full(n, self.fixed)
        low, high = self.edit.strength
        drawn = np.exp(rng.uniform(math.log(low), math.log(high), n)) if self.edit.log else rng.uniform(low, high, n)
        return drawn if self.family is None else _allowed(self.family, drawn, low, high)


@dataclass(frozen=True, slots=True)
class Plan:
    """A view, its names parsed.

    Attributes:
        entries: Its edits, in order.
        clean: Share of the images without any.
    """

    entries: tuple[EditEntry, ...]
    clean: float

    def draw(self, rng: np.random.Generator, n: int) -> Draw:
        """Return the draws for n images."""
        shares = np.array([[entry.edit.share] for entry in self.entries]).reshape(-1, 1)
        edited = rng.random(n) >= self.clean
        hits = (rng.random((len(self.entries), n)) < shares) & edited
        strengths = [entry.strengths(rng, n) for entry in self.entries]
        return Draw(hits, np.array(strengths).reshape(len(self.entries), n))


def plan_of(view: View, where: str, *, engine: str = "auto") -> Plan:
    """Return a view with its names parsed; each edit is tried at both of its ends.

    Args:
        view: The setting.
        where: Its name in messages.
        engine: `auto` uses tensor forms where there are any, `pillow` none.

    Raises:
        InputError: There is no such edit, or a strength is not allowed; `where` and the name begin the message.
    """
    entries = (_entry(edit, f"{where}.edits.{i}") for i, edit in enumerate(view.edits))
    return Plan(tuple(_formed(entry) if engine == "auto" else entry for entry in entries), view.clean)


def trained_families(*plans: Plan) -> frozenset[str]:
    """Return the families that training shows; chains and sets count with all that they may draw."""
    rng, found = np.random.default_rng(0), set[str]()
    for entry in (entry for plan in plans for entry in plan.entries):
        if entry.edit.edit in SETS:
            found |= {perturbation.family for perturbation in SETS[entry.edit.edit]}
        else:
            found.add(entry.perturbation(_ends(entry)[0], rng).family)
    return frozenset(found)


def perturbations(names: tuple[str, ...], where: str) -> tuple[Perturbation, ...]:
    """Return the perturbations of these names and sets, each once.

    Raises:
        InputError: There is no such edit; `where` begins the message.
    """
    found: dict[str, Perturbation] = {}
    for name in names:
        try:
            chosen = SETS[name] if name in SETS else (by_name(name),)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        found |= {perturbation.name: perturbation for perturbation in chosen}
    return tuple(found.values())


def ends_of(plan: Plan) -> tuple[Perturbation, ...]:
    """Return a view's edits at the lowest and the highest strength, each once; of a set, all."""
    rng, found = np.random.default_rng(0), dict[str, Perturbation]()
    for entry in plan.entries:
        chosen = SETS.get(entry.edit.edit) or tuple(entry.perturbation(end, rng) for end in _ends(entry))
        found |= {perturbation.name: perturbation for perturbation in chosen}
    return tuple(found.values())


def _entry(edit: Edit, where: str) -> EditEntry:
    try:
        head, options = naming.parse(edit.edit)
        family = next((family for family in FAMILIES if "{}" in head and family.template == head), None)
        entry = EditEntry(edit, family, options)
        for end in _ends(entry):
            entry.perturbation(end, np.random.default_rng(0))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return entry


def _formed(entry: EditEntry) -> EditEntry:
    """Return the edit with its tensor form, if it has one and the name has no more than a strength."""
    if entry.family is not None:
        form, fixed = ("" if entry.options else entry.family.name), 0.0
    elif "{}" in entry.edit.edit or entry.edit.edit in SETS:
        return entry
    else:
        perturbation = by_name(entry.edit.edit)
        if perturbation.family not in FORMS or len(perturbation.parameters) > 1:
            return entry
        form, fixed = perturbation.family, float(sum(perturbation.parameters.values()))
    return replace(entry, form=form, fixed=fixed) if form in FORMS else entry


def _ends(entry: EditEntry) -> tuple[float, ...]:
    if entry.edit.strength is None:
        return (0.0,)
    low, high = entry.edit.strength
    both = np.array([low, high])
    first, last = both if entry.family is None else _allowed(entry.family, both, low, high)
    return (float(first), float(last)) if first != last else (float(first),)


def _allowed(family: Family, drawn: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return strengths that the family allows (whole, odd or multiple), between the ends where possible."""
    step = 2 if family.allowed.odd else family.allowed.multiple if family.allowed.whole else 0
    if not step:
        return drawn
    origin = 1 if family.allowed.odd else 0
    first, last = math.ceil((low - origin) / step), math.floor((high - origin) / step)
    steps = np.round((drawn - origin) / step)
    whole: NDArray[np.float64] = origin + step * (np.clip(steps, first, last) if first <= last else steps)
    return whole


def _written(strength: float) -> str:
    return str(int(strength)) if float(strength).is_integer() else f"{strength:.6g}"
