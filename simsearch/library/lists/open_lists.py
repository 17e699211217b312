"""Lists beside a library: which models make the rows that they hold, and which rates judge them."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsearch.decide.calibration import Calibration, Origin
from simsearch.images.find import find
from simsearch.images.quality import TEXT_PAGE
from simsearch.images.source import Found, Rejected
from simsearch.library.format.channel import POINTS
from simsearch.library.inputs import sources_of
from simsearch.library.lists.calibrate import PHOTOGRAPHS, ListCalibration, calibrate, types_to_calibrate
from simsearch.library.lists.check import check
from simsearch.library.lists.codes import DIGESTS, PDQ, PDQ_QUALITY, Code, is_blank, type_of
from simsearch.library.lists.comparison import Thresholds, planned
from simsearch.library.lists.editor import Changed
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.found import Checked
from simsearch.library.lists.image_list import ImageList, now
from simsearch.library.lists.pictures import Makers, Picture, pictures
from simsearch.library.lists.store import ChannelFacts
from simsearch.library.settings import AddSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsearch.extract.extractor import Extractor
    from simsearch.extract.hashes.pdq import Pdq
    from simsearch.library.format.channel import Channel
    from simsearch.library.format.snapshot import Snapshot

    Load = Callable[[Channel], Extractor]
    Own = Callable[[Channel], Calibration | None]

_DIGITS = 32  # of the id of a picture's own source record


class Models:
    """What makes codes of pictures: PDQ, and the channels of a library where there is one.

    Attributes:
        channels: By the type of code; without one of PDQ, which lists hold of whole pictures.
    """

    def __init__(self, channels: Sequence[Channel] = (), load: Load | None = None, own: Own | None = None) -> None:
        """Make it.

        Args:
            channels: Of a library.
            load: Returns the extractor of a channel.
            own: Returns the library's rates of a channel.
        """
        self.channels = {type_of(one.fingerprint): one for one in channels if one.dtype != POINTS and one.model != PDQ}
        self._load, self._own = load, own
        self._pdq: Pdq | None = None

    def makers(self, kinds: Iterable[str]) -> Makers:
        """Return what makes rows of these types of code, as far as it is here.

        Raises:
            DependencyMissing: PDQ is wanted and not installed.
        """
        wanted = set(kinds)
        made = {kind: (self._load(one), one) for kind, one in self.channels.items() if self._load and kind in wanted}
        return Makers(self._hash() if PDQ in wanted else None, made)

    def _hash(self) -> Pdq:
        from simsearch.extract.hashes.pdq import Pdq

        self._pdq = self._pdq or Pdq()
        return self._pdq

    def rates(self, one: ImageList, kind: str) -> Calibration | None:
        """Return what a distance from a list's entries of a type is worth: the list's own rates, or known ones."""
        if kind == PDQ:
            from simsearch.decide.known_rates import known_calibrations

            key = self._hash().fingerprint
            return one.rates(key) or known_calibrations().get((key, "hamming"))
        channel = self.channels.get(kind)
        own = one.rates(kind.partition(":")[2])
        return own if own is not None or channel is None or self._own is None else self._own(channel)

    def facts(self) -> dict[str, ChannelFacts]:
        """Return what lists keep of the channels, by fingerprint."""
        return {
            one.fingerprint: ChannelFacts(one.model, one.dimension, one.dtype, one.metric, one.bits)
            for one in self.channels.values()
        }


def check_lists(
    inputs: Iterable[Found],
    lists: Sequence[ImageList],
    models: Models,
    thresholds: Thresholds | None = None,
    *,
    settings: AddSettings | None = None,
    looks: bool = True,
    count: bool = True,
) -> Checked:
    """Check inputs against lists; arguments and errors are those of `Library.check`.

    Args:
        inputs: As of `find`.
        lists: Block and allow lists.
        models: That make rows.
        thresholds: Up to where a match is one.
        settings: Of reading.
        looks: Whether pictures are decoded; else only digests of their bytes are compared.
        count: Whether the flood guard counts them.
    """
    kinds = looked_at(lists) if looks else []
    plan = planned(lists, models.makers(kinds), models.rates, thresholds or Thresholds())
    if not looks:
        plan.notes.clear()
    return check(inputs, plan, settings or AddSettings(), count=count and looks)


def inputs_of(images: Any, kinds: Iterable[str], models: Models, settings: AddSettings) -> Iterator[Found]:
    """Return images, paths and pictures from memory, as inputs.

    Args:
        images: One or several.
        kinds: Types of code that are made of them.
        models: That make these.
        settings: Of reading.

    Raises:
        InputError: A path does not exist, or a value is no image.
    """
    extractors = models.makers(kinds).extractors
    inputs, _ = sources_of(
        images,
        there=lambda roots: roots,
        skipped=lambda _other: None,
        preprocessings=lambda: [extractor.preprocessing for extractor in extractors],
        limits=settings.limits,
    )
    return inputs


def looked_at(lists: Sequence[ImageList]) -> list[str]:
    """Return the types of code of some lists that are no digests."""
    return sorted({kind for one in lists for kind in one.types() if kind not in DIGESTS})


@dataclass(frozen=True, slots=True)
class ListedPictures:
    """What listing pictures did.

    Attributes:
        pictures: That are listed now.
        changed: What happened to entries.
        left_out: How many codes were not listed, by the reason.
        rejected: Inputs that could not be used.
    """

    pictures: int
    changed: Changed
    left_out: Mapping[str, int]
    rejected: tuple[Rejected, ...]


def types_listed(models: Models) -> list[str]:
    """Return the types of code by which pictures are listed, digests aside."""
    installed = importlib.util.find_spec("pdqhash") is not None
    return sorted([*([PDQ] if installed else []), *models.channels])


def add_pictures(
    one: ImageList,
    inputs: Iterable[Found],
    models: Models,
    *,
    settings: AddSettings | None = None,
    tags: Sequence[str] = (),
) -> ListedPictures:
    """List inputs by their codes; arguments and errors are those of `Library.add_to_list`."""
    makers = models.makers(types_listed(models))
    changes, rejected, left_out = list[Change](), list[Rejected](), Counter[str]()
    if makers.pdq is None:
        left_out["PDQ is not installed: pip install -e '.[benchmark]'"] = 1
    for picture in pictures(inputs, makers, ("sha256",), settings or AddSettings()):
        if picture.rejected is not None:
            rejected.append(picture.rejected)
            continue
        listed = [Listed(Code("sha256", picture.digests["sha256"]))] if "sha256" in picture.digests else []
        for kind, row in picture.rows.items():
            reason = why_not(picture, kind)
            if reason is None:
                quality = picture.pdq_quality if kind == PDQ else None
                listed.append(Listed(Code(kind, np.ascontiguousarray(row).tobytes()), quality))
            else:
                left_out[reason] += 1
        if listed:
            name = hashlib.sha256(listed[0].code.value).hexdigest()[:_DIGITS]
            changes.append(Change("local", name, tuple(listed), now(), tuple(tags)))
    return ListedPictures(len(changes), one.apply(changes, models.facts()), dict(left_out), tuple(rejected))


def why_not(picture: Picture, kind: str) -> str | None:
    """Return why a picture is not listed by a type of code; None where it is."""
    if picture.quality is not None and picture.quality <= TEXT_PAGE:
        return "shows too little (blank, or a page of text): listed by its bytes alone"
    if kind == PDQ and (picture.pdq_quality or 0) < PDQ_QUALITY:
        return f"PDQ quality below {PDQ_QUALITY}"
    if kind == PDQ and is_blank(picture.rows[kind].tobytes()):
        return "its PDQ hash is that of a blank picture"
    return None


def calibrate_list(
    one: ImageList,
    models: Models,
    inputs: Iterable[Found] | None,
    snapshot: Snapshot,
    *,
    settings: AddSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ListCalibration]:
    """Count how often photographs come near a list's entries, for each of its types that is not exact.

    Args:
        one: The list, whose rates they become.
        models: That make rows.
        inputs: Photographs that are strangers to the list; None for a sample of the library's.
        snapshot: Of the library.
        settings: Of reading.
        progress: Called with photographs compared and their number.

    Raises:
        InputError: There are too few, or the list holds only digests.
    """
    kinds = types_to_calibrate(one, [PDQ, *models.channels])
    given, found = None if inputs is None else list(inputs), []
    makers = models.makers(kinds)
    for kind in makers.kinds:
        some = library_files(snapshot) if given is None else given
        origin: Origin = "library" if given is None else "negatives"
        found.append(calibrate(one, kind, makers, some, settings or AddSettings(), origin=origin, progress=progress))
    return found


def library_files(snapshot: Snapshot) -> list[Found]:
    """Return a sample of a library's image files, as inputs."""
    paths = [path for _, path in snapshot.paths() if path is not None and b"::" not in path]
    chosen = np.sort(np.random.default_rng(0).permutation(len(paths))[:PHOTOGRAPHS])
    there = [path for path in (Path(os.fsdecode(paths[i])) for i in chosen.tolist()) if path.is_file()]
    return list(find(there))
