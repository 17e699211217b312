"""The protocols as jobs for the workers: stored rows in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simsearch.benchmark.data.methods import MethodSpec
from simsearch.benchmark.data.nearest import Distances, Nearest, Sides, measure_split, nearest
from simsearch.benchmark.data.photographs import Picture
from simsearch.benchmark.data.row_cache import RowCache
from simsearch.benchmark.data.splits import Split
from simsearch.benchmark.protocols.copy_detection import chain_points, copy_detection
from simsearch.benchmark.protocols.examples import examples
from simsearch.benchmark.protocols.paper import Rules, Subject, paper_split
from simsearch.benchmark.protocols.perception import perception_rows
from simsearch.benchmark.protocols.transfer import transferred
from simsearch.benchmark.results import ChainPoint, CopyDetection, Example, PaperSplit, PerceptionRow, Transfer
from simsearch.images.perturb import Perturbation


@dataclass(frozen=True, slots=True)
class Task:
    """One method and metric on one split.

    Attributes:
        row_cache: The stored rows.
        spec: The method.
        metric: The distance.
        split: The photographs.
        copies: Of the attacked ones, by id.
        rules: Of figures.
    """

    row_cache: RowCache
    spec: MethodSpec
    metric: str
    split: Split
    copies: tuple[str, ...]
    rules: Rules

    @property
    def names(self) -> tuple[str, str]:
        """Method and metric."""
        return self.spec.method.name, self.metric

    @property
    def edits(self) -> list[Perturbation]:
        """The edits behind the copies."""
        return [self.row_cache.edits.perturbation(copy) for copy in self.copies]

    def distances(self) -> Distances:
        """Return the distances, from the cache or measured."""
        return measure_split(self.row_cache, self.spec, self.metric, self.split, self.copies)

    def figures(self) -> PaperSplit:
        """Return the paper's figures."""
        subject = Subject(*self.names, self.split.seed, len(self.split.database), self.edits)
        return paper_split(self.distances(), subject, self.rules)


@dataclass(frozen=True, slots=True)
class WholeTask:
    """One method and metric with all photographs in the database; copies of some are the queries."""

    task: Task
    pictures: tuple[Picture, ...]
    attacked: tuple[Picture, ...]

    @property
    def spec(self) -> MethodSpec:
        """The method."""
        return self.task.spec

    def distances(self) -> Nearest:
        """Return the distances, from the cache or measured."""
        task = self.task
        return nearest(task.row_cache, task.spec, task.metric, Sides.of(self.pictures, self.attacked), task.copies)


def paper_examples(task: Task) -> tuple[Example, ...]:
    """Return example pairs."""
    return examples(task.distances(), task.figures(), task.split)


def detection(job: tuple[Task, float]) -> CopyDetection:
    """Return copy detection at a precision."""
    task, precision = job
    return copy_detection(task.distances(), task.names, task.rules, precision)


def chains(job: tuple[Task, Sequence[int]]) -> tuple[ChainPoint, ...]:
    """Return the recall by length of chain."""
    task, lengths = job
    return chain_points(task.distances(), task.names, lengths, task.rules)


def perception(job: WholeTask) -> tuple[PerceptionRow, ...]:
    """Return perception's table."""
    task = job.task
    names = [edit.name for edit in task.edits]
    return perception_rows(job.distances(), job.attacked, (*task.names, names), task.rules)


def transfer(job: tuple[Task, Task]) -> Transfer:
    """Return the paper's Table 2, by one method and metric on splits of two sets of photographs."""
    here, there = job
    return transferred(here.distances(), there.distances(), here.names, here.rules)
