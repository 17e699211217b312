"""The needle protocol: rows in, figures out, one method after the other.

Recall at one expected false match in a library of N strangers says what a false-positive rate on some hundred strangers
cannot: what is left of a method where it has to work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.edits import ORIGINAL
from simsearch.benchmark.data.embed import Engine, Need
from simsearch.benchmark.data.methods import Entry
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.needle.distractors import Near, count_distractors
from simsearch.benchmark.needle.figures import (
    Drawn,
    Subject,
    curves_of,
    differences_of,
    held_out_of,
    limits_of,
    nearest_of,
    recalls_of,
    thresholds_of,
)
from simsearch.benchmark.needle.pairs import Library, Pairs, Parts, stranger_pairs
from simsearch.benchmark.needle.strangers import NeedleWorld
from simsearch.benchmark.needle.strata import edited_of, strata_of
from simsearch.benchmark.needle_results import NeedleDistractors, NeedleMethod, NeedleResults
from simsearch.benchmark.settings import Settings
from simsearch.decide.copy_recall import Draws
from simsearch.decide.pair_rate import PairTail, allowed_pairs
from simsearch.runtime.processes import Progress

Stage = Callable[[str], AbstractContextManager[Progress]]

_TIMES = 50  # as many stranger pairs are kept as the largest rate allows, so that draws and single sources have enough
_FEWEST_KEPT, _MOST_KEPT = 2_000, 1 << 20
_EDITED = 8  # copies of each photograph whose pairs with strangers are counted


@dataclass(frozen=True, slots=True)
class Needle:
    """One run of the protocol.

    Attributes:
        settings: Of the benchmark.
        engine: Makes and keeps rows.
        entries: The methods.
        groups: By group, what its edits are called and the names by which they are made.
        stage: Times a stage and tells of its progress.
    """

    settings: Settings
    engine: Engine
    entries: Sequence[Entry]
    groups: Mapping[str, Mapping[str, str]]
    stage: Stage

    @property
    def made_as(self) -> dict[str, str]:
        """Each edit once, by what it is called, with the name by which it is made."""
        return {name: made for edits in self.groups.values() for name, made in edits.items()}

    @property
    def copies(self) -> tuple[str, ...]:
        """The copy ids of these edits."""
        ids = {name: copy for copy, name in self.engine.shelf.edits.names.items()}
        return tuple(ids[name] for name in self.made_as.values())

    def make(self, world: NeedleWorld) -> dict[str, str]:
        """Make and store all rows; return the messages of photographs that cannot take part, by SHA-256."""
        wanted: dict[Picture, list[Need]] = {
            picture: [(entry, (ORIGINAL,)) for entry in self.entries] for picture in world.pictures
        }
        for place in world.queries:
            wanted[world.pictures[place]] += [(entry, self.copies) for entry in self.entries]
        with self.stage("copies") as progress:
            return self.engine.make(wanted, progress=progress)

    def results(self, world: NeedleWorld) -> NeedleResults:
        """Every method by every metric."""
        settings = self.settings.needle
        strangers = world.strangers
        draws = Draws.of(
            strangers,
            len(world.queries),
            rng=np.random.default_rng(self.settings.seeds[0]),
            repeats=self.settings.bootstrap,
        )
        keys, subjects, drawn, methods = [], [], [], []
        jobs = [(entry, metric) for entry in self.entries for metric in entry.method.metrics]
        with self.stage("needle") as progress:
            for number, (entry, metric) in enumerate(jobs, start=1):
                subject, one, method = self._method(entry, metric, world, draws)
                keys.append(method.key)
                subjects.append(subject)
                drawn.append(one)
                methods.append(method)
                progress(number, len(jobs))
        return NeedleResults(
            sources=world.facts,
            pairs=int(strangers.pairs()[0]),
            known_copies=len(world.copies),
            limits=limits_of(settings.libraries, settings.expected),
            group_edits={group: tuple(edits) for group, edits in self.groups.items()},
            methods=tuple(methods),
            differences=differences_of(keys, subjects, drawn),
        )

    def _method(
        self, entry: Entry, metric: str, world: NeedleWorld, draws: Draws
    ) -> tuple[Subject, Drawn, NeedleMethod]:
        shelf, maker = self.engine.shelf, entry.maker
        library = Library(maker, metric, [shelf.rows(maker.key, one, [ORIGINAL])[0] for one in world.pictures])
        limits = limits_of(self.settings.needle.libraries, self.settings.needle.expected)
        strangers = world.strangers
        total = strangers.pairs()
        most = allowed_pairs(max(limit.rate for limit in limits), total)[0]
        wanted = int(np.clip(_TIMES * most, _FEWEST_KEPT, _MOST_KEPT))
        pairs, reach = stranger_pairs(library, strangers, wanted, seed=self.settings.seeds[0])
        counted = strangers.counts(pairs.left, pairs.right)
        left, right = pairs.left[counted], pairs.right[counted]
        tail = PairTail.of(pairs.distances[counted], left, right, total=float(total[0]), reach=reach).nearest(wanted)
        own, sample = self._copies(library, world)
        groups = {group: tuple(edits) for group, edits in self.groups.items()}
        subject = Subject(tail, strangers, own, tuple(self.made_as), groups, limits)
        drawn = Drawn.of(subject, draws)
        thresholds = thresholds_of(subject, drawn)
        of_groups, of_edits = recalls_of(subject, drawn)
        highest = max((one.threshold.value for one in thresholds if one.threshold), default=0.0)
        method = NeedleMethod(
            method=maker.method.name,
            metric=metric,
            supported_library=1 / tail.supported_rate,
            thresholds=thresholds,
            groups=of_groups,
            edits=of_edits,
            curve=curves_of(subject),
            strata=(
                *strata_of(pairs, world, thresholds),
                edited_of(world, self._near_copies(library, sample, highest), self._sampled, thresholds),
            ),
            held_out=held_out_of(subject, world, draws),
            nearest=nearest_of(subject, [picture.name for picture in world.pictures]),
            distractors=self._distractors(entry, library, world, subject),
        )
        return subject, drawn, method

    @property
    def _sampled(self) -> int:
        """Copies of each photograph that are compared with strangers."""
        return min(_EDITED, len(self.made_as))

    def _copies(self, library: Library, world: NeedleWorld) -> tuple[NDArray[np.float64], list[tuple[int, Parts]]]:
        """Distances from all copies to their originals (q, e); and some copies of each, every edit about as often."""
        names = self.copies
        own = np.empty((len(world.queries), len(names)))
        sample = []
        for number, place in enumerate(world.queries):
            parts = self.engine.shelf.rows(library.maker.key, world.pictures[place], names)
            own[number] = library.to_own(parts, place)
            sample.append((place, [parts[(number * self._sampled + i) % len(names)] for i in range(self._sampled)]))
        return own, sample

    def _near_copies(self, library: Library, sample: list[tuple[int, Parts]], reach: float) -> Pairs:
        """Pairs of a copied photograph and any photograph, for each copy that comes within the reach of it."""
        places = np.repeat([place for place, _ in sample], self._sampled)
        found = library.near([part for _, parts in sample for part in parts], reach)
        return Pairs(places[found.left], found.right, found.distances)

    def _distractors(
        self, entry: Entry, library: Library, world: NeedleWorld, subject: Subject
    ) -> tuple[NeedleDistractors, ...]:
        asked = library.some(np.array(world.queries))
        names = [world.pictures[place].name for place in world.queries]
        known = {bytes.fromhex(picture.sha256) for picture in world.pictures}
        found = []
        for path in self.settings.needle.distractors:
            with self.stage("distractors") as progress:
                one = count_distractors(path, entry.extractor, asked, Near(names, known, subject), progress)
            found += [one] if one is not None else []
        return tuple(found)
