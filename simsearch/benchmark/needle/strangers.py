"""The images of the needle protocol: strangers of several sources, some of which are edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simsearch import naming
from simsearch.benchmark.data.edit_set import edit_names
from simsearch.benchmark.data.photographs import Gallery, Picture
from simsearch.benchmark.data.sources import known_copies, read_copies, read_sources, source_of, spread_evenly
from simsearch.benchmark.needle_results import NeedleSource
from simsearch.benchmark.settings import Needle, Settings
from simsearch.decide.pair_rate import Strangers
from simsearch.errors import InputError
from simsearch.images.perturb import FAMILIES, by_name


@dataclass(frozen=True, slots=True)
class NeedleWorld:
    """Photographs with their sources and known copies.

    Attributes:
        pictures: All strangers, those that are edited among them.
        sources: Of each.
        textures: Names of sources whose pairs are counted separately.
        queries: Positions of those that are edited.
        copies: Known copies, pairs of positions.
    """

    pictures: tuple[Picture, ...]
    sources: tuple[str, ...]
    textures: frozenset[str]
    queries: tuple[int, ...]
    copies: tuple[tuple[int, int], ...]

    @property
    def names(self) -> list[str]:
        """The sources, each once, in order of appearance."""
        return list(dict.fromkeys(self.sources))

    @property
    def numbers(self) -> NDArray[np.int64]:
        """The number of each photograph's source."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place[source] for source in self.sources], np.int64)

    @property
    def strangers(self) -> Strangers:
        """The stranger pairs, without textures."""
        texture = [source in self.textures for source in self.sources]
        return Strangers.of(np.where(texture, -1, self.numbers), self.copies)

    @property
    def facts(self) -> tuple[NeedleSource, ...]:
        """The sources' records in the results."""
        asked = [self.sources[place] for place in self.queries]
        return tuple(
            NeedleSource(name, self.sources.count(name), asked.count(name), name in self.textures)
            for name in self.names
        )


def gather(settings: Needle, asked: Sequence[Gallery], more: Sequence[Gallery]) -> NeedleWorld:
    """Return the world of some galleries whose photographs may be edited, and of more that are strangers only.

    Raises:
        InputError: There are not two sources besides textures, or none to be edited.
    """
    listed = {} if settings.sources is None else read_sources(settings.sources)
    found: dict[str, tuple[Picture, str, bool]] = {}
    for gallery, may_be_edited in [*((one, True) for one in asked), *((one, False) for one in more)]:
        for picture in gallery.pictures:
            source = source_of(picture.name, Path(gallery.name).stem, listed)
            found.setdefault(picture.sha256, (picture, source, may_be_edited and source not in settings.textures))
    pictures = tuple(picture for picture, _, _ in found.values())
    sources = tuple(source for _, source, _ in found.values())
    if len(photographs := set(sources) - set(settings.textures)) < 2:
        raise InputError(
            f"the needle protocol compares strangers of different sources, and there is only {sorted(photographs)}; "
            "give photographs in one folder a source, or `needle: {sources: FILE.csv}`, or more under `strangers`"
        )
    open_to_edits = [place for place, (_, _, may_be) in enumerate(found.values()) if may_be]
    chosen = spread_evenly([sources[place] for place in open_to_edits], settings.queries)
    pairs = settings.known_copies
    copies = read_copies(pairs) if isinstance(pairs, Path) else pairs
    return NeedleWorld(
        pictures,
        sources,
        frozenset(settings.textures),
        tuple(open_to_edits[i] for i in chosen),
        tuple(known_copies([picture.name for picture in pictures], copies)),
    )


def needle_groups(settings: Settings) -> dict[str, dict[str, str]]:
    """Return, by group, its edits' full names by their names in reports.

    Raises:
        InputError: A group names an edit twice.
    """
    groups: Mapping[str, Sequence[str]] = settings.needle.groups or {"edits": settings.edits}
    return {
        group: {name: _with_pictures(name, settings.needle.pictures) for name in edit_names(edits)}
        for group, edits in groups.items()
    }


def _with_pictures(name: str, pictures: Path | None) -> str:
    """Return the edit's name with a folder for its second pictures, unless it names one itself."""
    head, arguments = naming.parse(name)
    if pictures is None or ":" in head or "picture" in arguments:
        return name
    family = by_name(name).family
    takes = any("picture" in one.options for one in FAMILIES if one.name == family)
    return naming.written(head, {**arguments, "picture": str(pictures)}) if takes else name
