"""Telling an image's format from its first bytes, and which formats are decoded."""

from __future__ import annotations

import importlib
import importlib.util

from simsearch.errors import ImageRejected, RejectCode

# The formats that are decoded, each by one Pillow plug-in; other plug-ins are never tried on foreign bytes.
PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "HEIF": "pillow_heif",
}

_MAGIC = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II\x2a\0", b"MM\0\x2a", b"II\0\x2a", b"MM\x2a\0", b"II\x2b\0", b"MM\0\x2b"),
}
AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

# Formats known by name only, so that the reject says what the file is.
_OTHERS = {
    "JPEG 2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
    "JPEG XL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "Photoshop": (b"8BPS",),
    "icon": (b"\0\0\1\0", b"icns"),
    "cursor": (b"\0\0\2\0",),
    "PNM": (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF"),
    "QOI": (b"qoif",),
    "farbfeld": (b"farbfeld",),
    "PostScript": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "PDF": (b"%PDF",),
    "DDS": (b"DDS ",),
    "Radiance HDR": (b"#?RADIANCE", b"#?RGBE"),
    "OpenEXR": (b"\x76\x2f\x31\x01",),
    "FITS": (b"SIMPLE  =",),
    "MNG": (b"\x8aMNG", b"\x8bJNG"),
    "SVG or XML": (b"<svg", b"<?xml"),
    "ZIP": (b"PK\3\4",),
    "gzip": (b"\x1f\x8b",),
}


def sniff(data: bytes) -> str:
    """Return the format of an image, a key of `PLUGINS`, from its content.

    Raises:
        ImageRejected: Unknown_format, or format_not_allowed for a format that is known and not decoded.

    Example:
        >>> sniff(b"GIF89a...")
        'GIF'
    """
    for name, starts in _MAGIC.items():
        if data.startswith(starts):
            return name
    if data[:4] == b"RIFF":
        if data[8:12] == b"WEBP":
            return "WEBP"
        raise _refused("RIFF")
    if data[4:8] == b"ftyp":
        return _sniff_isobmff(data)
    if _is_tga(data):
        raise _refused("TGA")
    for name, starts in _OTHERS.items():
        if data.startswith(starts):
            raise _refused(name)
    raise ImageRejected(RejectCode.UNKNOWN_FORMAT, f"no image format begins with {data[:8]!r}")


def webp_size(data: bytes) -> tuple[int, int]:
    """Return the width and height that a WebP's header tells; zeros where it is cut."""
    kind, head = data[12:16], data[20:30].ljust(10, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(head[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF


def _is_tga(data: bytes) -> bool:
    """Return whether it is a TGA, which has no magic number: every field of the header must make sense."""
    if data.endswith(b"TRUEVISION-XFILE.\0"):
        return True
    if len(data) < 18 or data[1] > 1 or data[2] not in (1, 2, 3, 9, 10, 11) or data[16] not in (1, 8, 15, 16, 24, 32):
        return False
    return any(data[12:14]) and any(data[14:16]) and (data[1] == 1) == any(data[3:8])


def _sniff_isobmff(data: bytes) -> str:
    length = min(int.from_bytes(data[:4], "big"), len(data), 256)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, length - 3, 4))]
    if any(brand in AVIF_BRANDS for brand in brands):
        return "AVIF"
    if any(brand in HEIF_BRANDS for brand in brands):
        return "HEIF"
    raise _refused("ISO media")


def _refused(name: str) -> ImageRejected:
    return ImageRejected(RejectCode.FORMAT_NOT_ALLOWED, f"{name} files are not decoded; convert to JPEG or PNG")


def load_plugin(name: str) -> None:
    """Make Pillow able to open a format, importing only that format's plug-in.

    Raises:
        ImageRejected: Format_not_allowed, for HEIF without pillow-heif.
    """
    if name != "HEIF":
        importlib.import_module(PLUGINS[name])
    elif importlib.util.find_spec(PLUGINS[name]) is None:
        message = "HEIC needs a plug-in: pip install pillow-heif"
        raise ImageRejected(RejectCode.FORMAT_NOT_ALLOWED, message)
    else:
        importlib.import_module(PLUGINS[name]).register_heif_opener()
