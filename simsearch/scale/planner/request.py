"""What is planned: how many images, by which model, on which machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from simsearch.distance import METRICS
from simsearch.errors import InputError, MetricError


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a model makes.

    Attributes:
        model: Its name.
        dimension: Values of a row; bytes of a code.
        metric: Of searches.
        bytes: Of a row in the library.
        gmac: Billions of multiply-adds of an image; None where that is not known.
        bits: Of a code; None for rows of numbers.
    """

    model: str
    dimension: int
    metric: str
    bytes: int
    gmac: float | None = None
    bits: int | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """One of the machines.

    Attributes:
        cores: Of its processor.
        memory: Bytes of main memory that may be used; None for any number.
        disk: Bytes on disk; None for any number.
        gpus: How many GPUs it has.
        gpu_memory: Bytes of each.
    """

    cores: int = 2
    memory: int | None = None
    disk: int | None = None
    gpus: int = 0
    gpu_memory: int = 0

    @property
    def gpu_room(self) -> int | None:
        """Bytes of all its GPUs; None where it has none."""
        return self.gpus * self.gpu_memory if self.gpus else None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is to be planned.

    Attributes:
        images: How many.
        rows: What the model makes of each.
        machine: Where.
        recall: Share of the ten nearest that are to be found; 1 for exact search.
        kind: Of the index, as for `spec_for`.
        bytes_a_row: As for `spec_for`.
        queries_per_second: That are to be answered; None for as many as it gives.
        machines: Among which the images are split.
        on_disk: Whether the lists of the index stay on the disk.
    """

    images: int
    rows: Rows
    machine: Machine = Machine()
    recall: float = 0.95
    kind: str = "auto"
    bytes_a_row: int | None = None
    queries_per_second: float | None = None
    machines: int = 1
    on_disk: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.recall <= 1:
            raise InputError(f"recall is {self.recall} and must be above 0 and at most 1")
        if self.images < 1 or self.machines < 1:
            raise InputError(f"{self.images} images on {self.machines} machines: there must be one of each at least")
        if self.rows.metric not in METRICS or METRICS[self.rows.metric].of_codes != (self.rows.bits is not None):
            what = "codes" if self.rows.bits is not None else "rows"
            raise MetricError(f"{self.rows.metric} is no distance between {what} of {self.rows.model}")

    @property
    def share(self) -> int:
        """Images of one machine."""
        return -(-self.images // self.machines)

    def of_one_machine(self) -> PlanRequest:
        """Return the request for one of the machines."""
        return replace(self, images=self.share, machines=1)
