"""Tables of the codes of a library's keypoints, by which candidates are found: a cache that can always be rebuilt.

They stand in a folder of `indexes`, named by the channel and the segments that they are of.
"""

from __future__ import annotations

import hashlib
import shutil
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from simsearch.errors import IndexFailed
from simsearch.library.format.atomic_files import naming_full_disk
from simsearch.library.format.channel import POINTS, Channel
from simsearch.library.format.layout import INDEXES, require_folder
from simsearch.library.format.snapshot import Snapshot
from simsearch.spatial.witness import POINT

if TYPE_CHECKING:
    from simsearch.spatial.code_tables import CodeTables

TABLES_FROM = 2000  # items; a second look at fewer takes no longer than to look them up
_KIND = "codes"


def tables_of(folder: Path, snapshot: Snapshot, channel: Channel) -> CodeTables:
    """Return the tables of a channel: those that `optimize` kept, or made anew where they do not fit."""
    from simsearch.spatial.code_tables import CodeTables

    home = _home(folder, snapshot, channel)
    try:
        kept = _kept(home, snapshot, channel)
    except IndexFailed as error:
        warnings.warn(f"{error}: `simsearch optimize` does; made anew for this search", RuntimeWarning, stacklevel=2)
        kept = None
    return CodeTables.build(_blocks(snapshot, channel)) if kept is None else kept


def keep_tables(folder: Path, snapshot: Snapshot) -> None:
    """Write the tables of every channel of keypoints, and remove older ones.

    Raises:
        StorageFull: There is no room.
    """
    from simsearch.spatial.code_tables import CodeTables

    require_folder(folder / INDEXES)
    wanted = dict[Path, Channel]()
    if sum(map(len, snapshot.segments)) >= TABLES_FROM:
        of_points = (channel for channel in snapshot.state.channels if channel.dtype == POINTS)
        wanted = {_home(folder, snapshot, channel): channel for channel in of_points}
    discard_tables(folder, but=frozenset(wanted))
    for home, channel in wanted.items():
        with suppress(IndexFailed):
            if _kept(home, snapshot, channel) is not None:
                continue
        with naming_full_disk(folder):
            CodeTables.build(_blocks(snapshot, channel)).save(home)


def discard_tables(folder: Path, *, but: frozenset[Path] = frozenset()) -> None:
    """Remove all tables but some."""
    for home in (folder / INDEXES).glob(f"*.{_KIND}"):
        if home not in but and home.is_dir() and not home.is_symlink():
            shutil.rmtree(home)


def _kept(home: Path, snapshot: Snapshot, channel: Channel) -> CodeTables | None:
    """Return the tables in a folder, None where there is none.

    Raises:
        IndexFailed: They are damaged.
    """
    from simsearch.spatial.code_tables import CodeTables

    there = home.is_dir() and not home.is_symlink()
    return CodeTables.open(home, _blocks(snapshot, channel)) if there else None


def _blocks(snapshot: Snapshot, channel: Channel) -> list[NDArray[Any]]:
    return [segment.channels[channel.name].row.view(POINT) for segment in snapshot.segments]


def _home(folder: Path, snapshot: Snapshot, channel: Channel) -> Path:
    told = " ".join([channel.fingerprint, *(segment.uuid for segment in snapshot.segments)])
    return folder / INDEXES / f"{channel.name}-{hashlib.sha256(told.encode()).hexdigest()[:12]}.{_KIND}"
