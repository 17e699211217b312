"""Files without what stands beside the picture: text, thumbnails and notes, which may be damaged where it is not."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from simsearch.images.formats.colour_profile import MAX_BYTES
from simsearch.images.formats.tiff import without_notes

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PICTURE = (b"IHDR", b"PLTE", b"IDAT", b"IEND")  # kept as they are: damage to them is damage to the picture
_PNG_KEPT = (b"tRNS", b"eXIf")
_PNG_CLEAR = {0: range(2, 3), 2: range(6, 7), 3: range(1, 257)}  # bytes that tRNS may have, by the type of colours
_PNG_COLOURS = 25  # place of the type of colours
_WEBP_PICTURE = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF")
_WEBP_SIDE_FLAGS = 0x2C  # ICC, EXIF, XMP in the flags of VP8X
_JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_EOI, _SOS, _APP0, _APP14, _COM = 0xD9, 0xDA, 0xE0, 0xEE, 0xFE
_JFIF_BYTES, _ADOBE_BYTES = 14, 12  # the least that they hold


@dataclass(frozen=True, slots=True)
class Stripped:
    """A file's picture without side data.

    Attributes:
        data: The file.
        profile: Its colour profile, if that was left out of `data` and is sound.
    """

    data: bytes
    profile: bytes | None = None


def stripped(data: bytes, kind: str) -> Stripped | None:
    """Return a file with the parts alone that bear on its picture; None where there is nothing to leave out.

    Damage to the picture itself stays. A checksum that does not fit condemns a PNG's side chunk, not the file.

    Args:
        data: The file.
        kind: A key of `formats.PLUGINS`.
    """
    if kind == "TIFF":
        found: Stripped | None = Stripped(without_notes(data))
    else:
        how = {"PNG": _png, "JPEG": _jpeg, "WEBP": _webp}.get(kind)
        found = None if how is None else how(data)
    return None if found is None or found.data == data else found


def _png(data: bytes) -> Stripped:
    kept, profile = [data[: len(_PNG)]], None
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + size
        side = kind.isalpha() and kind[:1].islower()
        if end > len(data):
            kept += [] if side else [data[at:]]
            break
        sound = not side or zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if kind == b"tRNS":
            sound &= size in _PNG_CLEAR.get(data[_PNG_COLOURS], ())
        if kind in _PNG_PICTURE or not side or (kind in _PNG_KEPT and sound):
            kept.append(data[at:end])
        elif kind == b"iCCP" and sound:
            profile = _inflated(data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    return Stripped(b"".join(kept), profile)


def _inflated(content: bytes) -> bytes | None:
    """Return the profile in an iCCP chunk: a name, a zero, the method (0), and the rest compressed."""
    _, zero, rest = content.partition(b"\0")
    try:
        unpacker = zlib.decompressobj()
        profile = unpacker.decompress(rest[1:], MAX_BYTES + 1)
    except zlib.error:
        return None
    return profile if zero and rest[:1] == b"\0" and len(profile) <= MAX_BYTES else None


def _jpeg(data: bytes) -> Stripped:
    """Return the file without comments and application segments, but for EXIF and colour storage."""
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in (_EOI, _SOS):
            break
        end = at + 2 + (0 if marker in _JPEG_ALONE else int.from_bytes(data[at + 2 : at + 4], "big"))
        if _bears_on_picture(marker, data[at + 4 : end]):
            kept.append(data[at:end])
        at = max(end, at + 2)
    return Stripped(b"".join([*kept, data[at:]]))


def _bears_on_picture(marker: int, content: bytes) -> bool:
    if marker == _APP0:
        return content[:4] == b"JFIF" and len(content) >= _JFIF_BYTES
    if marker == _APP14:
        return content[:5] == b"Adobe" and len(content) >= _ADOBE_BYTES
    return content[:6] == b"Exif\0\0" or (marker not in range(_APP0, _APP0 + 16) and marker != _COM)


def _webp(data: bytes) -> Stripped | None:
    kept, at = list[bytes](), 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + (size & 1)
        if kind == b"VP8X":
            kept.append(data[at : at + 8] + bytes([data[at + 8] & ~_WEBP_SIDE_FLAGS]) + data[at + 9 : end])
        elif kind in _WEBP_PICTURE:
            if at + 8 + size > len(data):
                return None  # the picture itself is cut
            kept.append(data[at:end])
        at = end
    body = b"WEBP" + b"".join(kept)
    return Stripped(b"RIFF" + struct.pack("<I", len(body)) + body)
