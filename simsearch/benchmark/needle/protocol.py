"""The needle protocol: rows in, figures out, one method after the other.

Recall at one expected false match in a library of N strangers shows what a false-positive rate on some hundred
strangers cannot: how a method performs at the scale of its use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simsearch.benchmark.data.edit_set import ORIGINAL
from simsearch.benchmark.data.embed import Need, RowEmbedder
from simsearch.benchmark.data.methods import MethodEntry
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.needle.distractors import ComparedPhotographs, count_distractors
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
from simsearch.benchmark.needle.pairs import ImagePairs, Originals, Parts, stranger_pairs
from simsearch.benchmark.needle.strangers import NeedleWorld
from simsearch.benchmark.needle.strata import edited_of, strata_of
from simsearch.benchmark.needle_results import NeedleDistractors, NeedleMethod, NeedleResults
from simsearch.benchmark.settings import Settings
from simsearch.decide.copy_recall import Draws
from simsearch.decide.pair_rate import PairTail, allowed_pairs
from simsearch.runtime.processes import Progress

Stage = Callable[[str], AbstractContextManager[Progress]]

_TIMES = 50  # times the stranger pairs that the largest rate allows, so that draws and single sources have enough
_FEWEST_KEPT, _MOST_KEPT = 2_000, 1 << 20
_EDITED = 8  # copies of each photograph whose pairs with strangers are counted


@dataclass(frozen=True, slots=True)
class Needle:
    """One run of the protocol.

    Attributes:
        settings: Of the benchmark.
        engine: The embedder.
        entries: The methods.
        groups: By group, its edits' names in reports, and in full.
        stage: Times a stage and reports its progress.
    """

    settings: Settings
    engine: RowEmbedder
    entries: Sequence[MethodEntry]
    groups: Mapping[str, Mapping[str, str]]
    stage: Stage

    @property
    def made_as(self) -> dict[str, str]:
        """The full name of each edit, by its name in reports."""
        return {name: made for edits in self.groups.values() for name, made in edits.items()}

    @property
    def copies(self) -> tuple[str, ...]:
        """The copy ids of these edits."""
        ids = {name: copy for copy, name in self.engine.row_cache.edits.names.items()}
        return tuple(ids[name] for name in self.made_as.values())

    def make(self, world: NeedleWorld) -> dict[str, str]:
        """Compute and store all rows; return the messages of refused photographs, by SHA-256."""
        count: dict[Picture, list[Need]] = {
            picture: [(entry, (ORIGINAL,)) for entry in self.entries] for picture in world.pictures
        }
        for place in world.queries:
            count[world.pictures[place]] += [(entry, self.copies) for entry in self.entries]
        with self.stage("copies") as progress:
            return self.engine.make(count, progress=progress)

    def results(self, world: NeedleWorld) -> NeedleResults:
        """Return the results of every method by every metric."""
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
        self, entry: MethodEntry, metric: str, world: NeedleWorld, draws: Draws
    ) -> tuple[Subject, Drawn, NeedleMethod]:
        row_cache, spec = self.engine.row_cache, entry.spec
        library = Originals(spec, metric, [row_cache.rows(spec.key, one, [ORIGINAL])[0] for one in world.pictures])
        limits = limits_of(self.settings.needle.libraries, self.settings.needle.expected)
        strangers = world.strangers
        total = strangers.pairs()
        most = allowed_pairs(max(limit.rate for limit in limits), total)[0]
        count = int(np.clip(_TIMES * most, _FEWEST_KEPT, _MOST_KEPT))
        pairs, reach = stranger_pairs(library, strangers, count, seed=self.settings.seeds[0])
        counted = strangers.counts(pairs.left, pairs.right)
        left, right = pairs.left[counted], pairs.right[counted]
        tail = PairTail.of(pairs.distances[counted], left, right, total=float(total[0]), reach=reach).nearest(count)
        own, sample = self._copies(library, world)
        groups = {group: tuple(edits) for group, edits in self.groups.items()}
        subject = Subject(tail, strangers, own, tuple(self.made_as), groups, limits)
        drawn = Drawn.of(subject, draws)
        thresholds = thresholds_of(subject, drawn)
        of_groups, of_edits = recalls_of(subject, drawn)
        highest = max((one.threshold.value for one in thresholds if one.threshold), default=0.0)
        method = NeedleMethod(
            method=spec.method.name,
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

    def _copies(self, library: Originals, world: NeedleWorld) -> tuple[NDArray[np.float64], list[tuple[int, Parts]]]:
        """Return distances (q, e) of copies to their originals, and a sample of copies of each, balanced over edits."""
        names = self.copies
        own = np.empty((len(world.queries), len(names)))
        sample = []
        for number, place in enumerate(world.queries):
            parts = self.engine.row_cache.rows(library.spec.key, world.pictures[place], names)
            own[number] = library.to_own(parts, place)
            sample.append((place, [parts[(number * self._sampled + i) % len(names)] for i in range(self._sampled)]))
        return own, sample

    def _near_copies(self, library: Originals, sample: list[tuple[int, Parts]], reach: float) -> ImagePairs:
        """Return pairs of a copied photograph and any photograph within the radius of a copy."""
        places = np.repeat([place for place, _ in sample], self._sampled)
        found = library.near([part for _, parts in sample for part in parts], reach)
        return ImagePairs(places[found.left], found.right, found.distances)

    def _distractors(
        self, entry: MethodEntry, library: Originals, world: NeedleWorld, subject: Subject
    ) -> tuple[NeedleDistractors, ...]:
        asked = library.some(np.array(world.queries))
        names = [world.pictures[place].name for place in world.queries]
        known = {bytes.fromhex(picture.sha256) for picture in world.pictures}
        found = []
        for path in self.settings.needle.distractors:
            with self.stage("distractors") as progress:
                one = count_distractors(
                    path, entry.extractor, asked, ComparedPhotographs(names, known, subject), progress
                )
            found += [one] if one is not None else []
        return tuple(found)
