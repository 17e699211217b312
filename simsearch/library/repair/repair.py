"""Making a lost or damaged manifest again from the segments; nothing is deleted, and what is unknown is reported."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simsearch.errors import LibraryDamaged, LibraryError, LibraryNotFound, shown
from simsearch.library.format.atomic_files import fault, naming_full_disk
from simsearch.library.format.channel import Channel
from simsearch.library.format.commit import Change, FileRecord, Mask, SegmentRecord, recorded
from simsearch.library.format.layout import (
    LOCK,
    MANIFEST,
    PARTIAL,
    SEGMENTS,
    data_in,
    is_segment_name,
    require_folder,
    require_own,
)
from simsearch.library.format.lock import writer_lock
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import CommitRecord, Segment
from simsearch.library.repair.guess_channels import channels_of
from simsearch.library.repair.newest import keep_newest
from simsearch.library.repair.put_aside import manifest_in_place, segment_aside, written_beside
from simsearch.library.repair.salvage import Salvaged, salvaged
from simsearch.library.repair.survey import RowsHeader, commit_of, examined, is_passing, rows_in
from simsearch.library.verdicts.log import append

_REMOVALS = "which images had been removed: those that are still in the segments are back"
_CHANGED = "which values of the old manifest had changed: its seal differs, so what it said of removals may be wrong"
_CHECKSUMS = "whether a file had been damaged before: checksums went with the manifest, bytes were taken as they are"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair.

    Attributes:
        made: Whether a manifest was made; not where the library is sound.
        items: Live items.
        segments: Segments that the manifest names.
        aside: Segments that could not be used, by their new names, and why.
        kept: The old manifest's name now; None where there was none.
        unknown: What could not be known, in sentences.
    """

    made: bool
    items: int = 0
    segments: int = 0
    aside: Mapping[str, str] = field(default_factory=dict)
    kept: str | None = None
    unknown: tuple[str, ...] = ()


@dataclass(slots=True)
class _FoundSegments:
    """The segments in a folder: those that can be used, oldest first, and why others cannot."""

    channels: list[Channel] = field(default_factory=list)
    good: list[Segment] = field(default_factory=list)
    commits: dict[str, CommitRecord] = field(default_factory=dict)
    bad: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def repair(folder: Path) -> RepairReport:
    """Make the manifest of the library in a folder again, unless it is sound.

    Segments that are damaged, half-written or replaced by a merge are renamed, so that no later command sweeps them;
    the old manifest is renamed too. Removed images come back where the old manifest does not record them.

    Raises:
        LibraryNotFound: There is no library, damaged or not.
        LibraryTooNew: A later simsearch made it.
        LibraryDamaged: No segment can be used; nothing was changed.
        LibraryLocked: Another process is writing.
        StorageFull: The disk is full; the same command resumes.
    """
    require_own(folder)
    if not folder.is_dir() or not (data_in(folder) or (folder / MANIFEST).exists()):
        raise LibraryNotFound(f"there is no library in {shown(folder)}, neither a manifest nor segments")
    with naming_full_disk(folder), writer_lock(folder / LOCK):
        old = salvaged(folder)
        unsealed = old.state is not None and not _is_sealed(folder)
        if unsealed:
            old.state = None  # its records are only compared with the segments
        found = _surveyed(folder, old)
        if unsealed:
            found.unknown.append(_CHANGED)
        masks = _masks(found, old)
        items = sum(int((~mask).sum()) for mask in masks)
        if old.state is not None and not found.bad and not old.lost_verdicts and _is_sound(folder):
            return RepairReport(made=False, items=items, segments=len(found.good))
        if old.lost_verdicts:
            found.unknown.append(f"what {old.lost_verdicts:,} entries of the log of verdicts said: they had changed")
        if not found.good and (found.bad or old.state is None):
            reasons = "; ".join(f"{name}: {why}" for name, why in list(found.bad.items())[:3]) or "there is none"
            raise LibraryDamaged(f"{folder} holds no segment that a manifest can be made from; {reasons}")
        _write(folder, found, old, masks)
        aside = {segment_aside(folder, name): why for name, why in found.bad.items()}
        kept = manifest_in_place(folder)
    return RepairReport(True, items, len(found.good), aside, kept, tuple(found.unknown))


def _is_sealed(folder: Path) -> bool:
    with suppress(LibraryError):
        Manifest(folder).require_sealed()
        return True
    return False


def _is_sound(folder: Path) -> bool:
    with suppress(LibraryError):
        return not Manifest(folder).check()
    return False


def _surveyed(folder: Path, old: Salvaged) -> _FoundSegments:
    found, told = _FoundSegments(), dict[str, RowsHeader]()
    home = folder / SEGMENTS
    names = [name.removeprefix(f"{SEGMENTS}/") for name in data_in(folder) if name.startswith(f"{SEGMENTS}/")]
    if old.state is not None:
        dropped = Manifest(folder).dropped()
        names = [name for name in names if name not in dropped]
        named = [record.uuid for record in old.state.segments]
        if any(is_segment_name(name) and not name.endswith(PARTIAL) for name in set(names) - set(named)):
            old.state = None  # perhaps an older manifest was put back: its records still hold
        else:  # half-written ones are left to the next writer
            names = named
    for name in names:
        try:
            require_folder(home / name)
            if name.endswith(PARTIAL):
                raise LibraryDamaged("it was being written, and nobody was told of it")
            told[name] = rows_in(home / name)
        except (LibraryDamaged, OSError) as error:
            if is_passing(error):
                raise
            found.bad[name] = str(error)
    found.channels, found.unknown = channels_of(folder, told, old.channels)
    if old.state is not None:
        found.channels = list(old.state.channels)
    for name in told:
        try:
            _compare(home / name, old.files.get(name, {}))
            found.good.append(examined(home / name, found.channels))
        except (LibraryDamaged, OSError) as error:
            if is_passing(error):
                raise
            found.bad[name] = str(error)
    found.commits = {
        segment.uuid: commit for segment in found.good if (commit := commit_of(segment.items.schema)) is not None
    }
    if old.state is None:
        _drop_merged(found)
        if any(segment.uuid not in old.files for segment in found.good):
            found.unknown.append(_CHECKSUMS)
    found.good.sort(key=lambda segment: _age(segment, found))
    return found


def _compare(folder: Path, files: Mapping[str, FileRecord]) -> None:
    for name, file in files.items():
        if wrong := fault(folder / name, file.bytes, file.sha256, deep=True):
            raise LibraryDamaged(wrong)


def _drop_merged(found: _FoundSegments) -> None:
    """Leave out segments that a merge had replaced and a dead writer had not deleted yet."""
    into = {name: merged for merged, commit in found.commits.items() for name in commit.replaces}
    for segment in list(found.good):
        if segment.uuid in into:
            found.good.remove(segment)
            found.bad[segment.uuid] = f"it had been merged into {into[segment.uuid]}"


def _age(segment: Segment, found: _FoundSegments) -> tuple[int, int]:
    commit = found.commits.get(segment.uuid)
    return -1 if commit is None else commit.generation, segment.folder.stat().st_mtime_ns


def _masks(found: _FoundSegments, old: Salvaged) -> list[Mask]:
    known = [old.mask(segment.uuid, len(segment)) for segment in found.good]
    masks = [
        np.zeros(len(segment), bool) if mask is None else mask for segment, mask in zip(found.good, known, strict=True)
    ]
    if old.state is None:
        keep_newest(found.good, masks)
        if any(mask is None for mask in known):
            found.unknown.insert(0, _REMOVALS)
    return masks


def _write(folder: Path, found: _FoundSegments, old: Salvaged, masks: list[Mask]) -> None:
    commits = list(found.commits.values())
    free = [int(segment.ids[-1]) + 1 for segment in found.good if len(segment)]
    next_id = max([0, old.next_id, *free, *(commit.next_id for commit in commits)])
    if not old.next_id and len(commits) < len(found.good):
        found.unknown.append(f"whether ids from {next_id} on had been given to images that were removed since")
    generation = max([0 if old.state is None else old.state.generation, *(commit.generation for commit in commits)])
    roots = {} if old.state is None else dict.fromkeys(old.state.roots)
    new = []
    for segment, mask in zip(found.good, masks, strict=True):
        commit = found.commits.get(segment.uuid)
        first = int(segment.ids[0]) if len(segment) else next_id
        rank = old.ranks.get(segment.uuid, first if commit is None else commit.rank)
        new.append(SegmentRecord(segment.uuid, rank, len(segment), mask, recorded(segment.files)))
        roots |= dict.fromkeys(segment.roots)
    manifest = written_beside(folder)
    manifest.create(found.channels, generation=generation)
    manifest.commit(Change(next_id, new=new, roots=list(roots)))
    append(manifest, old.verdicts)
