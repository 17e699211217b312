"""Colour profiles made on the spot: three primaries or grey, with one curve."""

from __future__ import annotations

import struct
from collections.abc import Sequence

# Primaries as they stand in profiles: XYZ of red, green and blue under D50.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
WHITE = (0.9642, 1.0, 0.8249)


def profile(
    primaries: Sequence[Sequence[float]] | None, gamma: float | Sequence[float], *, name: bytes = b"made", pad: int = 0
) -> bytes:
    """Return a profile of RGB with those primaries, or of grey without; `pad` bytes of nothing make it long."""
    curve = _curve(gamma)
    text = b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(79)
    tags = {b"desc": text, b"cprt": b"text\0\0\0\0none\0", b"wtpt": _xyz(WHITE)}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        tags |= {key: _xyz(value) for key, value in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    if pad:
        tags[b"padd"] = b"data\0\0\0\0" + bytes(pad)
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for key, value in tags.items():
        table += key + struct.pack(">II", start + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    size, space = start + len(body), b"GRAY" if primaries is None else b"RGB "
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    head = (head + bytes(28) + b"".join(map(_fixed, WHITE))).ljust(128, b"\0")
    return head + struct.pack(">I", len(tags)) + table + body


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, values))


def _curve(gamma: float | Sequence[float]) -> bytes:
    if isinstance(gamma, Sequence):
        return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, gamma))
    return b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)


def ink_profile() -> bytes:
    """Return a profile of CMYK as presses have them, by a table: each ink darkens and shifts Lab by its own amount."""
    inks = ((30, -35, -50), (40, 70, -5), (5, -5, 90), (85, 0, 0))
    ramp = bytes(range(256))
    grid = b""
    for corner in range(16):
        used = [ink for i, ink in enumerate(inks) if corner >> (3 - i) & 1]
        light, a, b = (sum(ink[i] for ink in used) for i in range(3))
        grid += bytes([max(0, round(255 - 2.55 * light)), *(min(255, max(0, 128 + each)) for each in (a, b))])
    one = b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + one + ramp * 4 + grid + ramp * 3
    head = struct.pack(">I4xI4s4s4s12x4s", 144 + len(table), 0x02100000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    head = (head + bytes(28) + b"".join(map(_fixed, WHITE))).ljust(128, b"\0")
    return head + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
