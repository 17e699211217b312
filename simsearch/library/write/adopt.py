"""Taking over a segment that another process wrote, so that several GPUs can feed one library."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from simsearch.distance import check_rows
from simsearch.errors import InputError, LibraryDamaged, LibraryNotFound, shown
from simsearch.library.format.atomic_files import digest, remove_folder, sync
from simsearch.library.format.layout import PARTIAL, is_segment_name
from simsearch.library.format.segment import Segment, open_segment
from simsearch.library.format.snapshot import Place, Snapshot
from simsearch.library.reports import AddReport
from simsearch.library.write.writer import Writer


def adopt(writer: Writer, folder: Path) -> AddReport:
    """Commit the segment in `folder`, remove the folder, and return the outcomes of its items.

    The folder is kept until the commit, so that a crash loses nothing; adopting it again is then safe.

    Raises:
        LibraryNotFound: There is no such folder.
        FingerprintMismatch: Its rows are of another model.
        RowError: A row is not finite or has no direction; it is named.
        LibraryDamaged: A file is torn.
    """
    if not folder.is_dir():
        raise LibraryNotFound(f"there is no segment in {shown(str(folder))}")
    name = _name(folder)
    if name in writer.snapshot.uuids:
        remove_folder(folder)
        return AddReport(unchanged=len(writer.snapshot.segments[writer.snapshot.uuids[name]]))
    segment = _checked(writer.snapshot, folder)
    report, replaced, unchanged = _compared(writer.snapshot, segment)
    redundant = np.zeros(len(segment), bool)
    redundant[unchanged] = True
    temporary = writer.incoming(name)
    _link(folder, temporary)
    writer.commit_written({temporary: ()}, removed=replaced, superseded=redundant)
    remove_folder(folder)
    return report


def _name(folder: Path) -> str:
    """Return the segment's name in a library: the folder's if it is one of ours; else one by its content.

    Either way a segment that was adopted already is recognised.
    """
    if is_segment_name(folder.name) and not folder.name.endswith(PARTIAL):
        return folder.name
    content = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.iterdir()):
        content.update(path.name.encode(errors="surrogateescape") + b"\0" + bytes.fromhex(digest(path)))
    return content.hexdigest()


def _checked(snapshot: Snapshot, folder: Path) -> Segment:
    try:
        segment = open_segment(folder, snapshot.state.channels, adopted=False)
    except FileNotFoundError as error:
        raise LibraryDamaged(f"{folder} is no whole segment: {error}") from error
    for channel in snapshot.state.channels:
        rows = segment.channels[channel.name]
        check_rows(rows.row, metric="js" if channel.non_negative and channel.dtype != "bits" else None)
        if not np.array_equal(np.unique(rows.item), np.arange(len(segment))):
            raise InputError(f"channel {channel.name!r} of {folder} does not give every item a row")
    return segment


def _compared(snapshot: Snapshot, segment: Segment) -> tuple[AddReport, list[Place], list[int]]:
    """Return the counts, the library's items that are replaced, and the segment's items that are redundant."""
    counts: Counter[str] = Counter()
    replaced: list[Place] = []
    superfluous: list[int] = []
    paths: set[bytes] = set()
    for i, path in enumerate(segment.paths()):
        content = segment.content(i)
        place = None if path is None else snapshot.by_path(path)
        same = place is not None and content is not None and content == _content(snapshot, place)
        if same or path in paths:
            superfluous.append(i)
            counts["unchanged"] += 1
        elif place is not None:
            replaced.append(place)
            counts["replaced"] += 1
        else:
            copied = content is not None and snapshot.by_content(content) is not None
            counts["exact_copies" if copied else "added"] += 1
        if path is not None:
            paths.add(path)
    codes = Counter(segment.rejects.column("code").to_pylist())
    report = AddReport(**counts, rejected=segment.rejects.num_rows, codes=codes, first_rejected=(), skipped_by_kind={})
    return report, replaced, superfluous


def _content(snapshot: Snapshot, place: Place) -> bytes | None:
    return snapshot.segments[place.segment].content(place.position)


def _link(folder: Path, temporary: Path) -> None:
    """Link the files into the library, or copy them where the file system demands it."""
    remove_folder(temporary)
    temporary.mkdir()
    for path in sorted(folder.iterdir()):
        try:
            os.link(path, temporary / path.name)
        except OSError:
            shutil.copyfile(path, temporary / path.name)
        sync(temporary / path.name)
