"""Files beside images: labels, side-cars, videos, archives, which are counted apart from what cannot be decoded."""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass

from simsearch.errors import ImageRejected
from simsearch.images.formats.sniff import AVIF_BRANDS, HEIF_BRANDS, sniff

HEAD = 512
"""Bytes of a file that are looked at."""

# Files with these endings are meant to be images. They are not opened to see what they are, which keeps a rescan from
# touching every image; one that turns out to be none is a reject.
_MEANT = b"""
jpg jpeg jpe jfif png apng webp gif bmp dib tif tiff avif heic heif hif jxl jp2 j2k jpx psd psb ico cur icns tga
pnm ppm pgm pbm pfm xbm xpm qoi dds hdr exr eps dng cr2 cr3 crw nef nrw arw sr2 orf rw2 raf pef srw x3f 3fr iiq raw
"""
IMAGE_ENDINGS = tuple(b"." + ending for ending in _MEANT.split())

# Files with these endings are no images, unless their content says otherwise.
_BESIDE = """
json jsonl ndjson geojson xmp aae txt text csv tsv xml html htm css md rst tex yml yaml toml ini cfg conf log nfo
cls js ts py ipynb sh bat c h cpp java sql bib srt vtt ass gpx kml url lnk webloc torrent md5 sha1 sha256 sfv par2
pp3 dop cos lrcat lrtemplate pto thm db db-wal db-shm sqlite sqlite3 npy npz pkl pt pth safetensors onnx parquet
arrow feather tfrecord h5 hdf5 pdf doc docx xls xlsx ppt pptx odt ods odp rtf epub zip cbz gz tgz bz2 xz zst 7z rar
cbr mp4 m4v mov qt avi mkv webm mpg mpeg m2v wmv asf flv 3gp 3g2 mts m2ts vob ogv insv lrv mp3 wav flac m4a aac ogg
oga opus wma aif aiff mid midi eml mbox vcf ics
svg svgz icc icm part crdownload tmp exe dll so dylib msi
"""
_OTHERS = frozenset(_BESIDE.split())

_NAMES = frozenset((b"makefile", b"dockerfile", b"license", b"readme"))

# What files of any other ending begin with that are no images.
_STARTS = {
    b"PK\3\4": "zip",
    b"PK\5\6": "zip",
    b"\x1f\x8b\x08": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"%PDF-": "pdf",
    b"\x1a\x45\xdf\xa3": "matroska",
    b"\0\0\1\xba": "mpeg",
    b"FLV\1": "flv",
    b"OggS": "ogg",
    b"ID3": "mp3",
    b"fLaC": "flac",
    b"SQLite format 3\0": "sqlite",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "ole",
    b"PAR1": "parquet",
    b"\x7fELF": "executable",
    b"\xcf\xfa\xed\xfe": "executable",
    b"\xca\xfe\xba\xbe": "executable",
    b"<!DOCTYPE html": "html",
    b"<html": "html",
}
_STILL_BRANDS = (*AVIF_BRANDS, *HEIF_BRANDS, b"crx ", b"jp2 ")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is known to be no image.

    Attributes:
        path: Where it lies; a tar's member as `shard.tar::member`.
        kind: What it is: its ending, or what its content says, or `fifo`, `socket`, `device`.
    """

    path: bytes
    kind: str


def is_meant_as_image(name: bytes) -> bool:
    """Return whether a file's ending is one that images have."""
    return name.lower().endswith(IMAGE_ENDINGS)


def kind_of_other(name: bytes, head: bytes) -> str | None:
    r"""Return what a file is that is known to be no image, None for one that is or may be an image.

    Args:
        name: Its name.
        head: Its first `HEAD` bytes, or as many as there are.

    Example:
        >>> kind_of_other(b"1.jpg.json", b"{"), kind_of_other(b"1.dat", b"{}\n"), kind_of_other(b"1.dat", b"\1\2")
        ('json', 'text', None)
    """
    if is_meant_as_image(name) or _is_decoded(head):
        return None
    ending = os.fsdecode(os.path.splitext(name)[1][1:].lower())  # noqa: PTH122
    if ending in _OTHERS:
        return ending
    return "text" if os.path.basename(name).lower() in _NAMES else _kind_of(head)  # noqa: PTH119


def _is_decoded(head: bytes) -> bool:
    """Return whether a file begins as an image that is decoded; a note that begins with the word BMX does not."""
    try:
        found = sniff(head)
    except ImageRejected:
        return False
    return found != "BMP" or int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _kind_of(head: bytes) -> str | None:
    for start, kind in _STARTS.items():
        if head.startswith(start):
            return kind
    if head.startswith(b"<?xml"):
        return "svg" if b"<svg" in head else "xml"
    if head[:4] == b"RIFF":
        return head[8:12].strip().decode("ascii", "replace").lower()
    if head[4:8] == b"ftyp" and head[8:12] not in _STILL_BRANDS:
        return "mp4"
    if head[:2] == b"MZ" and b"\0" in head:
        return "executable"
    if head[36:40] == b"acsp":
        return "icc"
    return "text" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    """Return whether a file begins as UTF-8 text, of which the last character may be cut; PNM may be text too."""
    one_word = len(head) < HEAD and not set(head) & set(b" \t\r\n")
    if one_word or (head[:1] == b"P" and head[1:2] in b"1234567" and head[2:3].isspace()):
        return False
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < HEAD)
    except UnicodeDecodeError:
        return False
    return all(letter >= " " or letter in "\t\n\r\f\x1b" for letter in text)
