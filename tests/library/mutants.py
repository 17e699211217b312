"""Libraries with one thing wrong, by the thousand: what is wrong, and what comes of looking at them.

A mutant is a copy of a sound library in which one file, or one value of the manifest, is not what was written. Looking
at it must end: by the right answer, by an error with a name, or by a wrong answer that `verify --deep` names.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.errors import SimsearchError
from simsearch.library import Library
from simsearch.library.format.cards import card_digest, keep_card
from simsearch.library.format.channel import Channel
from simsearch.library.format.manifest import Manifest
from simsearch.library.verify import verify
from tests.library.rows import grow

ROWS, DIMENSION, K = 120, 32, 5
_LONGEST = 2000  # characters of a message
_CARD = {"model.toml": b'name = "nobody"\n' * 20, "README.md": b"Of nobody.\n" * 20}
_VALUES = (None, -1, 0, 1, 1 << 31, 1 << 62, (1 << 63) - 1, 1.5, "", "x", "../../x", "timm:x", b"", b"\0" * 9, "a\0b")

Outcome = tuple[str, Any]


def rows(count: int = ROWS, seed: int = 0) -> np.ndarray:
    """Rows (count, d), float16, all positive."""
    return np.random.default_rng(seed).uniform(0.1, 1, (count, DIMENSION)).astype(np.float16)


def make_sound(folder: Path) -> None:
    """A library of three segments, one of them behind an index, with removed items and a copy of a card."""
    (folder / "segments").mkdir(parents=True)
    channel = Channel("rows", "nobody", "r0", DIMENSION, "float16", "js", True)
    keep_card(_CARD, folder, channel.name)
    Manifest(folder).create([replace(channel, card=card_digest(_CARD))])
    with Library.open(folder, device="cpu") as library:
        grow(library, rows()[:50])
        grow(library, rows()[50:90], start=50)
        library.optimize(recall=0.1, kind="ivf_flat")
        grow(library, rows()[90:], start=90)
        library.remove(["/rows/3", "/rows/60", "/rows/100"])
    assert verify(folder, deep=True, device="cpu") == []


def files_of(folder: Path) -> list[Path]:
    """The files of a library, without locks and SQLite's own."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in {"writer.lock"} and "-" not in p.suffix)


def mutate(folder: Path, rng: np.random.Generator) -> str:
    """Make one thing wrong and return what."""
    kind = str(rng.choice(list(KINDS)))
    path = files_of(folder)[int(rng.integers(len(files_of(folder))))]
    return f"{kind}: {KINDS[kind](folder, path, rng)}"


def _changed(change: Callable[[bytearray, np.random.Generator], bytearray]) -> Callable[..., str]:
    def apply(folder: Path, path: Path, rng: np.random.Generator) -> str:
        path.write_bytes(change(bytearray(path.read_bytes()), rng))
        return str(path.relative_to(folder))

    return apply


def _flip(data: bytearray, rng: np.random.Generator) -> bytearray:
    data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return data


def _run(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(len(data)))
    end = min(len(data), start + int(rng.integers(1, 17)))
    data[start:end] = rng.bytes(end - start)
    return data


def _zeros(data: bytearray, rng: np.random.Generator) -> bytearray:
    start = int(rng.integers(len(data)))
    end = min(len(data), start + int(rng.integers(1, 513)))
    data[start:end] = bytes(end - start)
    return data


def _shorter(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data[: int(rng.integers(len(data)))]


def _longer(data: bytearray, rng: np.random.Generator) -> bytearray:
    return data + rng.bytes(int(rng.integers(1, 4097)))


def _swapped(folder: Path, path: Path, rng: np.random.Generator) -> str:
    others = [other for other in files_of(folder) if other != path]
    other = others[int(rng.integers(len(others)))]
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"{path.relative_to(folder)} and {other.relative_to(folder)}"


def _edited(folder: Path, path: Path, rng: np.random.Generator) -> str:
    """Another value, or none, where the manifest has one; a row less, or once more."""
    with closing(sqlite3.connect(folder / "manifest.sqlite")) as db, db:
        table = str(rng.choice(["meta", "roots", "channels", "segments", "files"]))
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        cells = db.execute(f"SELECT rowid, * FROM {table}").fetchall()
        cell = cells[int(rng.integers(len(cells)))]
        at = int(rng.integers(len(columns)))
        what = int(rng.integers(10))
        if what == 0:
            db.execute(f"DELETE FROM {table} WHERE rowid = ?", cell[:1])
            return f"{table}: a row less"
        value = _VALUES[int(rng.integers(len(_VALUES)))] if what < 6 else _near(cell[1 + at], rng)
        try:
            db.execute(f"UPDATE {table} SET {columns[at]} = ? WHERE rowid = ?", (value, cell[0]))
        except sqlite3.IntegrityError:
            return f"{table}.{columns[at]}: SQLite refuses {value!r}"
        return f"{table}.{columns[at]} = {value!r}"


def _near(value: Any, rng: np.random.Generator) -> Any:
    """A value of the same type."""
    if isinstance(value, int):
        return value + int(rng.choice([-1, 1, 8, 1 << 20]))
    if isinstance(value, str) and value:
        at = int(rng.integers(len(value)))
        return value[:at] + chr(33 + int(rng.integers(90))) + value[at + 1 :]
    return bytes(_flip(bytearray(value), rng)) if isinstance(value, bytes) and value else 7


KINDS: dict[str, Callable[..., str]] = {
    "bit": _changed(_flip),
    "bytes": _changed(_run),
    "zeros": _changed(_zeros),
    "shorter": _changed(_shorter),
    "longer": _changed(_longer),
    "swapped": _swapped,
    "value": _edited,
}


def look(folder: Path) -> dict[str, Outcome]:
    """What comes of each way of looking at a library, and of merging it: an answer, a named error, or a traceback."""
    queries = rows().astype(np.float32)

    def search(*, exact: bool) -> Any:
        with Library.open(folder, device="cpu") as library:
            found = library.search_rows(queries, k=K, exact=exact)
        return [[(m.id, m.path, m.distance) for m in query.matches] for query in found]

    def info() -> Any:
        with Library.open(folder, device="cpu") as library:
            facts = asdict(library.info())
        return {key: facts[key] for key in ("items", "removed", "rejected", "roots", "channels", "segments")}

    def merge() -> Any:
        with Library.open(folder, device="cpu") as library:
            library.remove("/rows/7", purge=True)
            library.optimize()

    ways: dict[str, Callable[[], Any]] = {
        "exact": lambda: search(exact=True),
        "index": lambda: search(exact=False),
        "info": info,
        "verify": lambda: verify(folder, device="cpu"),
        "deep": lambda: verify(folder, deep=True, device="cpu"),
        "merge": merge,
        "merged": lambda: search(exact=True),
        "merged deep": lambda: verify(folder, deep=True, device="cpu"),
    }
    return {name: _outcome(way) for name, way in ways.items()}


def _outcome(way: Callable[[], Any]) -> Outcome:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # that an index is not asked
        try:
            return "answer", way()
        except SimsearchError as error:
            return "named", f"{type(error).__name__}: {error}"
        except Exception as error:
            return "traceback", f"{type(error).__name__}: {error}"


def judge(seen: dict[str, Outcome], sound: dict[str, Outcome]) -> list[str]:
    """What must not come of a mutant, beside what comes of the sound library."""
    wrong = [f"{way}: {said}" for way, (kind, said) in seen.items() if kind == "traceback"]
    wrong += [f"{way} raised {seen[way][1]}" for way in ("verify", "deep") if seen[way][0] == "named"]
    named = [(way, said) for way, (kind, said) in seen.items() if kind == "named"]
    wrong += [f"{way} says {len(said)} characters" for way, said in named if len(said) > _LONGEST]
    right = {"exact": ("exact",), "index": ("index", "exact"), "info": ("info",)}
    differs = [w for w, ok in right.items() if seen[w][0] == "answer" and all(seen[w][1] != sound[o][1] for o in ok)]
    refused = [way for way in ("exact", "index", "info") if seen[way][0] == "named"]
    if (differs or refused) and seen["deep"][1] == []:
        wrong.append(f"{differs or refused} differ and verify --deep finds nothing")
    laundered = seen["merged"][0] == "answer" and seen["merged"][1] != sound["merged"][1]
    if laundered and seen["merge"][0] == "answer" and seen["merged deep"][1] == []:
        wrong.append("merging made the damage look sound")
    return wrong
