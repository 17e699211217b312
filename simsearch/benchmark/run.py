"""A whole run: photographs in, rows computed once and stored, every protocol scored, results out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from simsearch.benchmark.data.array_cache import ArrayCache
from simsearch.benchmark.data.edit_set import ORIGINAL, Edits, copy_id, edit_names
from simsearch.benchmark.data.embed import Need, RowEmbedder
from simsearch.benchmark.data.methods import MethodEntry, MethodSpec, assemble
from simsearch.benchmark.data.photographs import Gallery, Picture, look_at
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.benchmark.data.splits import Split, split_pictures
from simsearch.benchmark.needle.protocol import Needle
from simsearch.benchmark.needle.strangers import NeedleWorld, gather, needle_groups
from simsearch.benchmark.needle_results import NeedleResults
from simsearch.benchmark.protocols import jobs as tasks
from simsearch.benchmark.protocols.aggregate import paper_means
from simsearch.benchmark.protocols.examples import with_thumbnails
from simsearch.benchmark.protocols.jobs import Task, WholeTask
from simsearch.benchmark.protocols.paper import Rules
from simsearch.benchmark.protocols.sweeps import Point, sweep_points, sweep_result
from simsearch.benchmark.protocols.templates import TemplateTask, read_templates, split_templates, template_task
from simsearch.benchmark.protocols.timing import measure_times
from simsearch.benchmark.results import (
    ChainPoint,
    CopyDetection,
    Example,
    PaperSplit,
    PerceptionRow,
    Photographs,
    Results,
    SweepPoint,
    Templates,
    Time,
    Transfer,
)
from simsearch.benchmark.settings import Settings
from simsearch.errors import InputError
from simsearch.images.perturb import dejavu_sans_bold
from simsearch.runtime.cpu import default_workers
from simsearch.runtime.processes import Pool, Progress
from simsearch.runtime.provenance import provenance

CACHE = "cache"

Stages = Callable[[str], AbstractContextManager[Progress]]
Job = TypeVar("Job")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class World:
    """One set of photographs with its splits; all of their rows are stored."""

    gallery: Gallery
    splits: tuple[Split, ...]


def run_benchmark(
    path: Path,
    settings: Settings,
    output: Path,
    *,
    workers: int | None = None,
    stages: Stages | None = None,
    keep_copies: bool = False,
) -> Results:
    """Run every protocol of the settings; finished parts are stored in `cache` below the output.

    Args:
        path: A folder or a tar of photographs.
        settings: Of the run.
        output: Folder of cache and thumbnails; the results themselves are returned.
        workers: Processes; by default one a core, 0 works in this one.
        keep_copies: Also store the edited copies in `cache`, some 10 MB a photograph and 100 edits, for later methods.
        stages: Returns, for a stage's name, a context of its progress callback, called with (done, total).

    Raises:
        InputError: Too few photographs, no method that can run, an unknown name.
        DependencyMissing: No font is given and matplotlib, which brings one, is not installed.
        SimsearchError: A worker died.
    """
    entries, methods = assemble(settings)
    if not entries:
        raise InputError("no method can run: " + "; ".join(f"{m.name}: {m.missing}" for m in methods))
    chains = [f"chain_{k}" for k in range(1, settings.chains + 1)]
    names = edit_names(settings.edits)
    font = settings.font or dejavu_sans_bold()
    groups = needle_groups(settings) if "needle" in settings.protocols else {}
    every = dict.fromkeys([*names, *chains, *(made for edits in groups.values() for made in edits.values())])
    edits = Edits.of(list(every), font=font, seed=settings.edit_seed)
    with Pool(default_workers() if workers is None else workers) as pool:
        engine = RowEmbedder(RowCache(ArrayCache(output / CACHE), edits, keep_copies), pool)
        copies = tuple(map(copy_id, names)), tuple(map(copy_id, chains))
        run = Run(settings, tuple(entries), engine, *copies, groups, stages or _silent)
        results = run.results(path, output)
    return replace(results, methods=tuple(methods), settings={**results.settings, "font": font.name})


@dataclass(frozen=True, slots=True)
class Run:
    """The state that all stages of a run share.

    Attributes:
        settings: Of the run.
        entries: The methods that can run.
        engine: The embedder.
        copies: The edits of the main protocols, by id.
        chains: The chains, by id.
        groups: Edits of the needle protocol.
        stages: Reports progress.
        seconds: By stage.
    """

    settings: Settings
    entries: tuple[MethodEntry, ...]
    engine: RowEmbedder
    copies: tuple[str, ...]
    chains: tuple[str, ...]
    groups: Mapping[str, Mapping[str, str]]
    stages: Stages
    seconds: dict[str, float] = field(default_factory=dict)

    def results(self, path: Path, output: Path) -> Results:
        """Return all results but the methods that are missing."""
        if set(self.settings.protocols) == {"needle"}:
            found, (main, *others) = self._needle(path)
            return self._told(main.facts, needle=found, other_photographs=tuple(one.facts for one in others))
        points = sweep_points(self.settings, self.entries)
        world = self._world(path, points, self.settings.seeds)
        protocols = self.settings.protocols
        splits = self._paper(world) if "paper" in protocols else ()
        transfer, there = self._transfer(world)
        templates, variants = self._templates()
        needle, (_, *others) = self._needle(path) if "needle" in protocols else (None, (world.gallery,))
        return self._told(
            world.gallery.facts,
            paper=splits,
            means=paper_means(splits),
            sweeps=self._sweeps(world, points),
            transfer=transfer,
            perception=self._perception(world) if "perception" in protocols else (),
            copy_detection=self._detection(world) if "copy_detection" in protocols else (),
            chains=self._chains(world) if self.chains else (),
            templates=templates,
            times=self._times(world) if "times" in protocols else (),
            examples=self._examples(world, output) if "paper" in protocols else (),
            needle=needle,
            other_photographs=tuple(one.facts for one in (there, variants, *others) if one is not None),
        )

    def _told(self, photographs: Photographs, **parts: Any) -> Results:
        """Return results of these parts, with settings and provenance."""
        return Results(
            settings=self.settings.as_json(),
            photographs=photographs,
            methods=(),
            seconds={stage: round(spent, 3) for stage, spent in self.seconds.items()},
            provenance=provenance(),
            **parts,
        )

    def _needle(self, path: Path) -> tuple[NeedleResults, Sequence[Gallery]]:
        """Return the needle protocol, and the photographs that took part; the first set is the main one."""
        settings = self.settings.needle
        paths = (path, *settings.more, *settings.strangers)
        with self.stage("photographs") as progress:
            galleries = [look_at(one, workers=self.engine.pool.workers, progress=progress) for one in paths]
        needle = Needle(self.settings, self.engine, self.entries, self.groups, self.stage)
        while True:
            asked = 1 + len(settings.more)
            world: NeedleWorld = gather(settings, galleries[:asked], galleries[asked:])
            refused = needle.make(world)
            if not refused:
                return needle.results(world), galleries
            galleries = [gallery.without(refused) for gallery in galleries]

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Time a stage and show its progress."""
        started = time.perf_counter()
        with self.stages(name) as progress:
            yield progress
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started

    def _world(self, path: Path, points: Sequence[Point], seeds: Sequence[int], *, main: bool = True) -> World:
        """Return photographs, splits and rows; drop a photograph that cannot be edited and draw splits again."""
        with self.stage("photographs") as progress:
            gallery = look_at(path, workers=self.engine.pool.workers, progress=progress)
        while True:
            splits = tuple(split_pictures(gallery.pictures, seed, self.settings.attacked) for seed in seeds)
            wanted: dict[Picture, list[Need]] = {picture: [] for picture in gallery.pictures}
            self._want(wanted, self.entries, splits)
            if main:
                self._want_more(wanted, points, splits)
            with self.stage("copies") as progress:
                refused = self.engine.make(wanted, progress=progress)
            if not refused:
                return World(gallery, splits)
            gallery = gallery.without(refused)

    def _want(self, wanted: dict[Picture, list[Need]], entries: Sequence[MethodEntry], splits: Sequence[Split]) -> None:
        for split in splits:
            for picture in split.database:
                wanted[picture] += [(entry, (ORIGINAL,)) for entry in entries]
            for picture in split.queries:
                wanted[picture] += [(entry, self.copies) for entry in entries]

    def _want_more(self, wanted: dict[Picture, list[Need]], points: Sequence[Point], splits: Sequence[Split]) -> None:
        """Add the rows that sweeps, chains and perception's table need besides."""
        self._want(wanted, [point.entry for point in points], splits[: self.settings.sweeps.splits])
        for picture in splits[0].queries if self.chains else ():
            wanted[picture] += [(entry, self.chains) for entry in self.entries]
        for needs in wanted.values() if "perception" in self.settings.protocols else ():
            needs += [(entry, (ORIGINAL,)) for entry in self.entries]

    @property
    def rules(self) -> Rules:
        """The rules of figures."""
        return Rules(self.settings.fpr, self.settings.bootstrap, self.settings.seeds[0])

    def _task(self, spec: MethodSpec, metric: str, split: Split, copies: tuple[str, ...]) -> Task:
        return Task(self.engine.row_cache, spec, metric, split, copies, self.rules)

    def _tasks(self, splits: Sequence[Split], copies: tuple[str, ...]) -> list[Task]:
        return [
            self._task(entry.spec, metric, split, copies)
            for entry in self.entries
            for metric in entry.method.metrics
            for split in splits
        ]

    def _map(
        self,
        name: str,
        function: Callable[[Job], Done],
        jobs: Sequence[Job],
        here: Sequence[Task | WholeTask | TemplateTask] = (),
    ) -> list[Done]:
        """Return the results of jobs; distances of a network's rows are measured in this process, on its device."""
        with self.stage(name) as progress:
            for task in here:
                if task.spec.device != "cpu":
                    task.distances()
            return self.engine.pool.map(function, jobs, progress=progress)

    def _paper(self, world: World) -> tuple[PaperSplit, ...]:
        jobs = self._tasks(world.splits, self.copies)
        return tuple(self._map("scores", Task.figures, jobs, jobs))

    def _sweeps(self, world: World, points: Sequence[Point]) -> tuple[SweepPoint, ...]:
        splits = world.splits[: self.settings.sweeps.splits]
        jobs = [
            replace(
                self._task(p.entry.spec, p.entry.method.metric, p.split(split), self.copies), rules=p.rules(self.rules)
            )
            for p in points
            for split in splits
        ]
        found = self._map("sweeps", Task.figures, jobs, jobs) if jobs else []
        return tuple(
            sweep_result(point, found[i * len(splits) : (i + 1) * len(splits)]) for i, point in enumerate(points)
        )

    def _perception(self, world: World) -> tuple[PerceptionRow, ...]:
        attacked = tuple(dict.fromkeys(picture for split in world.splits for picture in split.queries))
        rules = replace(self.rules, fpr=(self.settings.perception_fpr,))
        jobs = [
            WholeTask(replace(task, rules=rules), world.gallery.pictures, attacked)
            for task in self._tasks(world.splits[:1], self.copies)
        ]
        return tuple(row for rows in self._map("perception", tasks.perception, jobs, jobs) for row in rows)

    def _detection(self, world: World) -> tuple[CopyDetection, ...]:
        jobs = self._tasks(world.splits[:1], self.copies)
        with_precision = [(task, self.settings.precision) for task in jobs]
        return tuple(self._map("copy detection", tasks.detection, with_precision, jobs))

    def _chains(self, world: World) -> tuple[ChainPoint, ...]:
        jobs = self._tasks(world.splits[:1], self.chains)
        lengths = range(1, len(self.chains) + 1)
        found = self._map("chains", tasks.chains, [(task, tuple(lengths)) for task in jobs], jobs)
        return tuple(point for points in found for point in points)

    def _transfer(self, world: World) -> tuple[tuple[Transfer, ...], Gallery | None]:
        if self.settings.transfer is None:
            return (), None
        other = self._world(self.settings.transfer, (), self.settings.seeds[:1], main=False)
        here, there = (self._tasks(one.splits[:1], self.copies) for one in (world, other))
        jobs = list(zip(here, there, strict=True))
        return tuple(self._map("transfer", tasks.transfer, jobs, [*here, *there])), other.gallery

    def _templates(self) -> tuple[tuple[Templates, ...], Gallery | None]:
        if self.settings.templates is None:
            return (), None
        template_of = read_templates(self.settings.templates)
        with self.stage("photographs") as progress:
            gallery = look_at(self.settings.templates.parent, workers=self.engine.pool.workers, progress=progress)
        gallery = gallery.only(template_of)
        with self.stage("copies") as progress:
            needs: list[Need] = [(entry, (ORIGINAL,)) for entry in self.entries]
            refused = self.engine.make(dict.fromkeys(gallery.pictures, needs), progress=progress)
        gallery = gallery.without(refused)
        split = split_templates(gallery.pictures, template_of, self.settings.seeds[0])
        jobs = [
            TemplateTask(self.engine.row_cache, entry.spec, metric, split, gallery.name, self.rules)
            for entry in self.entries
            for metric in entry.method.metrics
        ]
        return tuple(self._map("templates", template_task, jobs, jobs)), gallery

    def _times(self, world: World) -> tuple[Time, ...]:
        with self.stage("times"):
            chosen = world.splits[0].queries[: self.settings.timed]
            return measure_times(self.entries, chosen, self.engine.pool, self.engine.row_cache.store)

    def _examples(self, world: World, output: Path) -> tuple[Example, ...]:
        jobs = [
            replace(
                self._task(e.spec, e.method.metric, world.splits[0], self.copies), rules=replace(self.rules, repeats=1)
            )
            for e in self.entries
        ]
        chosen = tuple(example for found in self._map("examples", tasks.paper_examples, jobs) for example in found)
        pictures = {picture.name: picture for picture in world.gallery.pictures}
        return with_thumbnails(chosen, pictures, self.engine.row_cache.edits, output)


def _silent(_: str) -> AbstractContextManager[Progress]:
    return nullcontext(lambda _done, _total: None)
