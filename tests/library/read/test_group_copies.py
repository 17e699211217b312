"""Exact copies are one match: brute force over groups of contents, on every route, with removed rows and ties."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from numpy.typing import NDArray

from simsearch import distance
from simsearch.library import Library, Matches
from simsearch.library.format.channel import Channel
from simsearch.library.format.items import Item, items_batch, rejects_batch
from simsearch.library.format.manifest import Manifest
from simsearch.library.format.segment import ChannelRows, SegmentDraft, write_segment
from tests.library.helpers import HERE, make, paint

Answer = list[tuple[float, int, list[int]]]


def copied(
    path: Path,
    contents: Sequence[int | None],
    rows: NDArray[np.generic],
    *,
    metric: str = "l2",
    segments: int = 3,
    quality: Sequence[int | None] | None = None,
) -> Library:
    """A library whose i-th item has the i-th content, and the i-th row."""
    (path / "segments").mkdir(parents=True)
    dtype = "bits" if metric == "hamming" else "float16"
    Manifest(path).create([Channel("rows", "nobody", "r0", rows.shape[1], dtype, metric, True)])
    library = Library.open(path, device="cpu")
    for part in np.array_split(np.arange(len(contents)), segments):
        shas = [None if contents[i] is None else hashlib.sha256(str(contents[i]).encode()).digest() for i in part]
        items = [
            Item(b"/rows", str(i).encode(), sha, n_bytes=1, mtime_ns=1, quality=None if quality is None else quality[i])
            for i, sha in zip(part, shas, strict=True)
        ]
        draft = SegmentDraft(items_batch(items), {"rows": ChannelRows.whole(rows[part])}, rejects_batch([]))
        folder = path.parent / uuid4().hex
        write_segment(folder, draft, library.channels)
        library.adopt(folder)
    return library


def by_hand(
    distances: NDArray[np.float64], ids: Sequence[int], contents: Sequence[int | None], limit: float = np.inf
) -> list[Answer]:
    """All contents of each query, nearest first; the slow, obvious way."""
    answers = []
    for line in distances.astype(np.float32):
        groups: dict[object, list[tuple[float, int]]] = {}
        for d, i in zip(line.tolist(), ids, strict=True):
            groups.setdefault(("alone", i) if contents[i] is None else contents[i], []).append((d, i))
        firsts = [(*min(group), sorted(i for _, i in group if i != min(group)[1])) for group in groups.values()]
        answers.append(sorted(first for first in firsts if first[0] <= limit))
    return answers


def told(matches: Matches) -> list[Answer]:
    return [[(m.distance, m.id, [copy.id for copy in m.copies]) for m in one.matches] for one in matches]


def draws(seed: int, n: int = 90, *, near: bool = False) -> tuple[list[int | None], NDArray[np.float32]]:
    """Contents drawn unevenly, one of them for a third of all, and rows that belong to them; some are unknown."""
    rng = np.random.default_rng(seed)
    contents: list[int | None] = [int(c) for c in np.minimum(rng.integers(0, 40, n), rng.integers(0, 60, n))]
    contents = [0 if rng.random() < 0.33 else c for c in contents]
    contents = [None if rng.random() < 0.1 else c for c in contents]
    base = rng.integers(1, 4, (64, 16)).astype(np.float32)
    rows = np.stack([base[63 if c is None else c] for c in contents])
    if near:  # one content, several rows: made on different machines
        rows = rows + rng.uniform(0, 0.2, rows.shape).astype(np.float32)
    return contents, rows


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_exact_search_gives_the_nearest_contents(tmp_path: Path, seed: int, near: bool) -> None:
    contents, rows = draws(seed, near=near)
    library = copied(tmp_path / "l", contents, rows.astype(np.float16))
    rng = np.random.default_rng(seed)
    gone = set(rng.choice(len(rows), 20, replace=False).tolist())
    library.remove([f"/rows/{i}" for i in gone])
    ids = [i for i in range(len(rows)) if i not in gone]
    queries = np.concatenate([rows[[0, 5]], rng.uniform(1, 3, (3, 16)).astype(np.float32)]).astype(np.float16)
    wanted = by_hand(distance.l2(queries, rows.astype(np.float16)[ids]), ids, contents)
    for k in (1, 2, 7, len(wanted[0]) - 1, len(wanted[0]), 500):
        found = library.search_rows(queries, k=k)
        assert told(found) == [answer[:k] for answer in wanted]
        assert all(one.certified for one in found)
    limit = (wanted[2][4][0] + wanted[2][5][0]) / 2
    near_ones = library.search_rows(queries[2:3], k=50, max_distance=limit)
    assert told(near_ones) == [[one for one in wanted[2] if one[0] <= limit]]
    for k in (3, 4, 5, 50):
        assert library.search_rows(queries[2:3], k=k, max_distance=limit)[0].more == (k < 5)
    assert library.search_rows(queries[2:3], k=3)[0].more is None
    whole = library.search_rows(queries, k=None, max_distance=limit)
    assert told(whole) == [[one for one in answer if one[0] <= limit] for answer in wanted]
    assert whole.ids.shape == (5, max(len(one.matches) for one in whole))
    assert not any(one.more for one in whole)
    each = library.search_rows(queries, k=None, max_distance=1e6, group_copies=False)
    assert [len(one.matches) for one in each] == [len(ids)] * 5
    alone = library.search_rows(queries, k=500, group_copies=False)
    assert all(len(one.matches) == len(ids) and not any(m.copies for m in one.matches) for one in alone)


@pytest.mark.parametrize("bits", [64, 256])
def test_codes_are_grouped_too(tmp_path: Path, bits: int) -> None:
    contents, _ = draws(7, 400)
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 256, (64, bits // 8), np.uint8)
    rows = np.stack([codes[63 if c is None else c] for c in contents])
    library = copied(tmp_path / "l", contents, rows, metric="hamming")
    library.remove([f"/rows/{i}" for i in range(0, 400, 7)])
    ids = [i for i in range(400) if i % 7]
    queries = rng.integers(0, 256, (4, bits // 8), np.uint8)
    wanted = by_hand(distance.hamming(queries, rows[ids]), ids, contents)
    for k in (1, 5, 30):
        assert told(library.search_rows(queries, k=k)) == [answer[:k] for answer in wanted]
    limit = wanted[0][20][0]
    near = [[one for one in answer if one[0] <= limit] for answer in wanted]
    assert told(library.search_rows(queries, k=None, max_distance=limit + 1e-9)) == near


@pytest.mark.parametrize("where", ["index", "margins"])
def test_other_routes_group_what_they_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The index looks at everything here, so that what it gives can be foretold."""
    rng = np.random.default_rng(1)
    contents = [int(c) for c in rng.integers(0, 150, 1200)]
    contents[200:700] = [7] * 500
    base = rng.uniform(0, 1, (150, 16)).astype(np.float16)
    rows = base[contents]
    if where == "margins":
        rows = np.packbits(np.repeat(base, 4, axis=1) > 0.5, axis=1)[contents]  # 64 bits
        library = copied(tmp_path / "l", contents, rows, metric="hamming")
        queries = rng.uniform(-1, 1, (3, 64)).astype(np.float32)
        found = library.search_rows(queries, k=40, metric="asymmetric")
        everything = library.search_rows(queries, k=1200, metric="asymmetric", group_copies=False)
    else:
        monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 100)
        library = copied(tmp_path / "l", contents, rows)
        # exact search would be the better way here
        monkeypatch.setattr("simsearch.library.indexes.search_parameters._MANY", 0)
        library.optimize(recall=0.5, kind="flat")
        queries = rng.uniform(0, 1, (3, 16)).astype(np.float32)
        found = library.search_rows(queries, k=40)
        assert not found[0].certified
        everything = library.search_rows(queries, k=1200, group_copies=False, exact=True)
    for one, all_of_it in zip(found, everything, strict=True):
        firsts: dict[int, tuple[float, int]] = {}
        for match in all_of_it.matches:
            firsts.setdefault(contents[match.id], (match.distance, match.id))
        assert [(m.distance, m.id) for m in one.matches] == sorted(firsts.values())[:40]
        for match in one.matches:
            same = [i for i, c in enumerate(contents) if c == contents[match.id] and i != match.id]
            assert [copy.id for copy in match.copies] == same


def test_there_is_one_search_where_there_are_no_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simsearch.library.read import neighbours

    searches = []
    real = neighbours._nearest
    monkeypatch.setattr(neighbours, "_nearest", lambda rows, plan: (searches.append(len(rows)), real(rows, plan))[1])
    rows = np.random.default_rng(0).uniform(0, 1, (50, 8)).astype(np.float16)
    library = copied(tmp_path / "l", list(range(50)), rows)
    assert library.search_rows(rows[:4], k=5).ids[:, 0].tolist() == [0, 1, 2, 3]
    library.search_rows(rows[:4], k=50)
    assert searches == [4, 4]


@pytest.mark.parametrize("group", [True, False])
def test_an_image_can_be_left_out_of_its_own_answer(tmp_path: Path, group: bool) -> None:
    photos = tmp_path / "photos"
    for i in range(6):
        paint(photos / f"{i}.png", seed=i)
    for name in ("0-copy", "0-other-copy", "3-copy"):
        (photos / f"{name}.png").write_bytes((photos / f"{name[0]}.png").read_bytes())
    library = make(tmp_path / "l")
    library.add(photos, settings=HERE)
    library.add((photos / "5.png").read_bytes(), settings=HERE)  # the picture of 5.png again, without a path
    everything = library.search(photos, k=50, group_copies=group)
    names = sorted(photos.iterdir())
    for k in (1, 2, 3, 50):
        found = library.search(photos, k=k, group_copies=group, exclude_self=True)
        for path, one, whole in zip(names, found, everything, strict=True):
            items = {m.id: m.path for m in whole.matches} | {c.id: c.path for m in whole.matches for c in m.copies}
            (own,) = (number for number, name in items.items() if name == str(path))
            shown = [m.id for m in one.matches] + [c.id for m in one.matches for c in m.copies]
            assert own not in shown
            assert len(one.matches) == min(k, len(whole.matches) - (not any(m.copies for m in whole.matches[:1])))
            assert [(m.distance, m.id) for m in one.matches] == sorted((m.distance, m.id) for m in one.matches)
            if k == 50:
                assert set(shown) == set(items) - {own}
    within = library.search(photos, k=None, max_distance=1, group_copies=group, exclude_self=True)
    assert within.paths == library.search(photos, k=50, group_copies=group, exclude_self=True).paths
    again = library.search((photos / "5.png").read_bytes(), k=2, group_copies=group, exclude_self=True)[0].matches
    assert again[0].path == str(photos / "5.png"), "a copy under a path stays, the item without one is the query"
    assert all(not m.path.startswith("id:") and not m.copies for m in again)


def test_items_of_low_quality_can_be_left_out(tmp_path: Path) -> None:
    from PIL import Image

    photos = tmp_path / "photos"
    for i in range(5):
        paint(photos / f"{i}.png", seed=i)
    for i in range(4):
        Image.new("RGB", (20 + i, 20), (250, 250, 250)).save(photos / f"blank-{i}.png")
    library = make(tmp_path / "l")
    library.add(photos, settings=HERE)
    blank = photos / "blank-0.png"
    assert {Path(p).name[:5] for p in library.search(blank, k=4).paths[0]} == {"blank"}
    assert {Path(p).name for p in library.search(blank, k=9, min_quality=10).paths[0]} == {f"{i}.png" for i in range(5)}


def test_a_match_is_of_the_quality_asked_for_whatever_its_copies_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    contents = rng.integers(0, 12, 60).tolist()
    rows = rng.integers(1, 3, (12, 2)).astype(np.float16)[contents]  # so that many tie
    quality = [None if draw < 10 else int(draw) for draw in rng.integers(0, 101, 60)]
    with copied(tmp_path / "rows.library", contents, rows, quality=quality) as library:
        far = distance.l2(rows[:1], rows)[0].astype(np.float32)
        good = [i for i in range(60) if quality[i] is None or quality[i] >= 50]
        firsts = {contents[i]: i for i in reversed(good)}
        expected = sorted((float(far[i]), i) for i in firsts.values())
        for k in (1, 2, 5, 12, None):
            for limit in (9.0,) if k is None else (None, 9.0):
                [found] = library.search_rows(rows[:1], k=k, max_distance=limit, min_quality=50)
                assert [(match.distance, match.id) for match in found.matches] == expected[:k]
