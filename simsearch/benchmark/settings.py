"""The settings of a benchmark: a YAML file and flags, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from simsearch.distance import metric_name
from simsearch.errors import InputError
from simsearch.runtime.user_files import one_is_a_list

Metric = Annotated[str, pydantic.AfterValidator(metric_name)]
Protocol = Literal["paper", "perception", "copy_detection", "times", "needle"]


class Sweeps(pydantic.BaseModel, frozen=True, extra="forbid"):
    """Long jobs: one parameter of a method changed at a time, on the first `splits` splits.

    Attributes:
        hash_length: By method, the values of its `size`.
        keypoint_count: By method, the values of its `count`.
        cutoff: By method, the values of its `cutoff`.
        database_size: Numbers of images in the database, the attacked ones always among them.
        splits: How many of the seeds are used.
    """

    hash_length: dict[str, tuple[pydantic.PositiveInt, ...]] = {}
    keypoint_count: dict[str, tuple[pydantic.PositiveInt, ...]] = {}
    cutoff: dict[str, tuple[pydantic.PositiveInt, ...]] = {}
    database_size: tuple[pydantic.PositiveInt, ...] = ()
    splits: pydantic.PositiveInt = 1


class Needle(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The needle protocol: copies found at one expected false match in a library of N strangers.

    Attributes:
        groups: By name, edits whose mean recall is reported together; by default all of `edits`.
        queries: Photographs of PATH that are edited, taken evenly from its sources.
        more: Further folders or tars from which photographs are edited.
        strangers: Further folders or tars of photographs that are strangers only.
        sources: A CSV with the columns name and source; by default folders and the beginnings of tar members' names.
        textures: Sources whose pairs are counted separately; their photographs are not edited.
        known_copies: Pairs of names that are copies of each other, or a CSV with the columns one and other.
        libraries: Sizes N of a library.
        expected: False matches of a query to be expected in it; the first is the main one.
        pictures: A folder or tar from which edits take other pictures; by default they draw them by chance.
        distractors: Folders, tars or Parquet files of rows (by `simsearch embed`) that are compared as a stress test.
    """

    groups: dict[str, tuple[str, ...]] = {}
    queries: pydantic.PositiveInt = 500
    more: tuple[Path, ...] = ()
    strangers: tuple[Path, ...] = ()
    sources: Path | None = None
    textures: tuple[str, ...] = ()
    known_copies: Path | tuple[tuple[str, str], ...] = ()
    libraries: tuple[Annotated[float, pydantic.Field(ge=1)], ...] = pydantic.Field(
        default=(1e4, 1e5, 1e6), min_length=1
    )
    expected: tuple[pydantic.PositiveFloat, ...] = pydantic.Field(default=(1, 0.01, 0.0001), min_length=1)
    pictures: Path | None = None
    distractors: tuple[Path, ...] = ()

    _lists = pydantic.field_validator(
        "more", "strangers", "textures", "distractors", "libraries", "expected", mode="before"
    )(one_is_a_list)

    @pydantic.field_serializer("more", "strangers", "distractors", "sources", "pictures", "known_copies", mode="plain")
    def _last_names(self, value: Any) -> Any:
        """Reduce paths to their last names, so that no path of a machine is published."""
        if isinstance(value, tuple):
            return [self._last_names(one) for one in value]
        return value.name if isinstance(value, Path) else value


class Settings(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One run of the benchmark.

    Attributes:
        models: Names of methods, as `phash(size=16)`, `mini`, `module:Class`; `networks` stands for the whole zoo.
        protocols: To report; chains, templates, transfer and sweeps are reported where they are set.
        seeds: One split of the photographs each.
        edit_seed: Of noise, letters and places, the same for every split.
        attacked: Photographs edited in each half; by default 100, or the half where that is smaller.
        edits: Names of perturbations, and the sets `paper` and `platform`.
        font: A TrueType file for text; by default DejaVu Sans Bold for the paper's Impact, which cannot be shipped.
        fpr: False-positive rates at which recall is reported; the first is the main one.
        bootstrap: Draws of every interval.
        metrics: By method the distances to score; by default the one that it recommends.
        compare_distances: Score every network by js (where it is defined), cosine, l1 and l2.
        chains: The longest chain of mild edits; 0 for none.
        sweeps: Long jobs.
        needle: The needle protocol's own settings.
        transfer: A second folder of photographs, on which thresholds of the first are used.
        templates: A CSV with the columns image and template.
        perception_fpr: The rate of perception's table.
        precision: Of copy detection's recall.
        timed: Photographs whose time is taken.
        device: Of networks.
    """

    models: tuple[str, ...] = ("mini", "dhash")
    protocols: tuple[Protocol, ...] = ("paper", "perception", "copy_detection", "times")
    seeds: tuple[pydantic.NonNegativeInt, ...] = pydantic.Field(default=(0,), min_length=1)
    edit_seed: pydantic.NonNegativeInt = 0
    attacked: pydantic.PositiveInt | None = None
    edits: tuple[str, ...] = pydantic.Field(default=("paper",), min_length=1)
    font: Path | None = None
    fpr: tuple[pydantic.PositiveFloat, ...] = pydantic.Field(default=(0.005, 0.01, 0.05), min_length=1)
    bootstrap: pydantic.PositiveInt = 1000
    metrics: dict[str, tuple[Metric, ...]] = {}
    compare_distances: bool = False
    chains: pydantic.NonNegativeInt = pydantic.Field(default=0, le=20)
    sweeps: Sweeps = Sweeps()
    needle: Needle = Needle()
    transfer: Path | None = None
    templates: Path | None = None
    perception_fpr: pydantic.PositiveFloat = pydantic.Field(default=0.001, lt=1)
    precision: pydantic.PositiveFloat = pydantic.Field(default=0.9, le=1)
    timed: pydantic.PositiveInt = 50
    device: str = "auto"

    _lists = pydantic.field_validator("seeds", "edits", "models", "fpr", "protocols", mode="before")(one_is_a_list)

    @pydantic.field_validator("seeds", "edits", "models", "fpr")
    @classmethod
    def _each_once(cls, value: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same value stands there twice")
        return value

    @pydantic.field_validator("fpr")
    @classmethod
    def _rates(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if max(value) >= 1:
            raise ValueError("a false-positive rate must be below 1")
        return value

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON types; paths are reduced to last names, so that none of a machine is published."""
        values: dict[str, Any] = self.model_dump(mode="json")
        for key in ("font", "transfer", "templates"):
            path = getattr(self, key)
            values[key] = None if path is None else path.name
        return values


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Return the settings with these values; flags give numbers as text.

    Raises:
        InputError: A value is not allowed, or there is no such setting; it is named.

    Example:
        >>> settings_of({"models": ["dhash"], "seeds": ["1", "2"]}).seeds
        (1, 2)
    """
    try:
        return Settings.model_validate(values)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        known = ", ".join(Settings.model_fields)
        raise InputError(f"{where or 'settings'}: {first['msg']}; the settings are {known}") from error
