"""Matches as HTML for notebooks: small pictures inside the page, names escaped, nothing remote."""

from __future__ import annotations

import base64
import html
import os
from collections.abc import Sequence
from io import BytesIO

from simsearch.errors import ImageRejected
from simsearch.images.decode import AS_SEEN, Decoded
from simsearch.images.source import MEBIBYTES, MEGAPIXELS, Limits, printable, read_range
from simsearch.images.workers.single import decode_apart

SIDE = 96  # pixels
LIMITS = Limits(max_pixels=50 * MEGAPIXELS, max_bytes=64 * MEBIBYTES)
_BOX = f"width:{SIDE}px;height:{SIDE}px;object-fit:contain;background:#eee;display:block"
_CELL = f"max-width:{SIDE + 16}px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;text-align:left"


def table(
    query: tuple[str | None, str | None],
    cells: Sequence[tuple[str, str | None, str]],
    problem: str | None = None,
    *,
    left_out: int = 0,
) -> str:
    """Return a query and its matches as the cells of a table of one line.

    Args:
        query: Its path, None for one from memory, and the path's bytes in base64 when they are not UTF-8.
        cells: The same of each match, and the caption of its picture.
        problem: The text in place of matches.
        left_out: Matches that are not among the cells.
    """
    parts = [_cell(*query, "query")]
    parts += [_cell(*cell) for cell in cells]
    if problem is not None or not cells:
        parts.append(f"<td>{html.escape(_printable(problem or 'no match'))}</td>")
    if left_out > 0:
        parts.append(f"<td>... {left_out:,} more</td>")
    return f"<table><tr>{''.join(parts)}</tr></table>"


def thumbnail(path: bytes) -> str | None:
    """Return a small JPEG of an image file as a data URI; None where there is no such file or it is no image."""
    try:
        data = read_range(path, offset=0, size=0, limit=LIMITS.max_bytes)
        small, _ = small_jpeg(data, side=SIDE, limits=LIMITS)
    except ImageRejected:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(small).decode()


def small_jpeg(data: bytes, *, side: int, limits: Limits, quality: int = 75) -> tuple[bytes, Decoded]:
    """Return a picture as a JPEG of at most `side` pixels a side, and what was decoded in a process of its own.

    Args:
        data: The bytes of its file.
        side: Pixels.
        limits: What it may cost.
        quality: Of the JPEG.

    Raises:
        ImageRejected: It is no image, or costs too much.
    """
    decoded = decode_apart(data, limits=limits, at_least=side, **AS_SEEN)
    picture = decoded.image
    picture.thumbnail((side, side))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue(), decoded


def _cell(path: str | None, encoded: str | None, below: str) -> str:
    raw = None if path is None else base64.b64decode(encoded) if encoded else path.encode()
    small = None if raw is None else thumbnail(raw)
    name = html.escape(_printable(path or "(from memory)"))
    short = html.escape(_printable(os.path.basename(path or "") or "(from memory)"))  # noqa: PTH119
    box = f'<span style="{_BOX}"></span>' if small is None else f'<img src="{small}" style="{_BOX}" alt="">'
    return f'<td style="{_CELL}" title="{name}">{box}{short}<br>{html.escape(below)}</td>'


def _printable(text: str) -> str:
    return printable(text.encode(errors="surrogateescape"))
