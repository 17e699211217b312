"""Candidates are the items with most votes, as a plain reading of their definition gives them."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simsearch.errors import IndexFailed, InputError
from simsearch.images.perturb import by_name
from simsearch.spatial import POINT, CodeTables, query_witnesses, witness
from simsearch.spatial import code_tables_kernels as kernels
from simsearch.spatial.code_tables import Blocks
from tests.spatial.pictures import picture

ROOM = 40
NEAR, CONE, SCALE, TURN = 0.0125, 0.12, 0.45, 0.5  # of `geometry_kernels`: how far matches that agree may lie apart


def strangers(rng: np.random.Generator, n: int, room: int = ROOM, least: int = 0) -> np.ndarray:
    """Items of random points, each with another number of them."""
    block = np.zeros((n, room), POINT)
    for name in ("x", "y"):
        block[name] = rng.integers(0, 1 << 16, (n, room))
    block["size"], block["angle"] = rng.integers(60, 140, (n, room)), rng.integers(0, 256, (n, room))
    block["bits"] = rng.integers(0, 1 << 64, (n, room, 2), dtype=np.uint64)
    for row in block:
        row[rng.integers(least, room + 1) :] = np.zeros((), POINT)
    return block


def points(row: np.ndarray) -> np.ndarray:
    return row[row["size"] > 0]


def flipped(rng: np.random.Generator, some: np.ndarray, bits: int) -> np.ndarray:
    """The same points, each descriptor with so many other bits."""
    other = some.copy()
    for i in range(len(other)):
        for bit in rng.permutation(128)[:bits].tolist():
            other["bits"][i, bit // 64] ^= np.uint64(1 << bit % 64)
    return other


def world(seed: int) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Blocks of items that share codes, and a query in two views with codes of many of them."""
    rng = np.random.default_rng(seed)
    blocks = [strangers(rng, n) for n in (7, 1, 12)]
    shared = points(blocks[0][0])[:6]
    for block in blocks:
        for row in block:
            few = int(rng.integers(0, 5))
            row[:few] = flipped(rng, shared[rng.permutation(len(shared))[:few]], int(rng.integers(0, 12)))[:few]
    mixed = [points(row)[: int(rng.integers(1, 9))] for row in (blocks[0][1], blocks[1][0], blocks[2][5])]
    views = {"plain": np.concatenate([shared, *mixed]), "mirrored": np.concatenate([mixed[0], shared[:2]])}
    return blocks, {name: flipped(rng, some, 5) for name, some in views.items()}


def differing(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.bitwise_count(one["bits"] ^ other["bits"]).sum())


def told(tables: CodeTables, point: np.ndarray, code: np.ndarray) -> bool:
    """Whether a code is found: one of its keys differs in one bit at most."""
    apart = np.unpackbits((point["bits"] ^ code["bits"]).view(np.uint8), bitorder="little")
    return bool((apart[tables._tables.samples].sum(axis=1) <= 1).any())


def expected(tables: CodeTables, blocks: Blocks, views: dict[str, np.ndarray], live: np.ndarray) -> dict[int, float]:
    """Votes of the items, by the definition alone."""
    items = [row for block in blocks for row in block]
    best: dict[int, float] = {}
    for query in views.values():
        votes: dict[int, list[tuple[float, np.ndarray, np.ndarray]]] = {}
        for point in query:
            near = [
                (differing(point, code), item, code)
                for item, row in enumerate(items)
                for code in (points(row) if live[item] else [])
                if differing(point, code) <= kernels.FARTHEST and told(tables, point, code)
            ]
            for item in {item for _, item, _ in near}:
                distance, _, code = min((hit for hit in near if hit[1] == item), key=lambda hit: hit[0])
                rank = sum(other <= distance for other, _, _ in near)
                votes.setdefault(item, []).append((math.log1p(len(items) / rank), point, code))
        for item, some in votes.items():
            best[item] = max(best.get(item, 0), *(sum(v[0] for v in some if agree(h, v)) for h in some))
    return best


def agree(hypothesis: tuple, vote: tuple) -> bool:
    """Whether a match lies where another says it should."""
    (_, p, c), (_, q, d) = hypothesis, vote
    turn, scale = (int(c["angle"]) - int(p["angle"])) * math.tau / 256, (int(p["size"]) - int(c["size"])) / 32
    step = complex(int(q["x"]) - int(p["x"]), int(q["y"]) - int(p["y"])) / 65536
    seen = complex(int(d["x"]) - int(c["x"]), int(d["y"]) - int(c["y"])) / 65536
    size = 2**scale
    other_turn = (int(d["angle"]) - int(q["angle"])) * math.tau / 256 - turn
    other_scale = ((int(q["size"]) - int(d["size"])) / 32 - scale) * math.log(2)
    close = abs(size * step * complex(math.cos(turn), math.sin(turn)) - seen) < NEAR + CONE * size * abs(step)
    return close and abs(other_scale) < SCALE and abs((other_turn + math.pi) % math.tau - math.pi) < TURN


@pytest.mark.parametrize("seed", range(4))
def test_votes_are_those_of_their_definition(seed: int) -> None:
    blocks, views = world(seed)
    tables = CodeTables.build(blocks, tables=5)
    for live in (np.ones(20, bool), np.arange(20) % 3 > 0):
        wanted = expected(tables, blocks, views, live)
        order = sorted(wanted, key=lambda item: (-round(wanted[item], 9), item))
        items, votes = tables.candidates(views, 100, live=live)
        assert len(order) > 8
        np.testing.assert_allclose(votes, [wanted[item] for item in items.tolist()], rtol=1e-12)
        assert sorted(items.tolist()) == sorted(order)
        assert np.array_equal(items, items[np.lexsort((items, -votes))])
        first, _ = tables.candidates(views, 3, live=live)
        assert np.array_equal(first, items[:3])


def test_planted_copies_come_first(rng: np.random.Generator) -> None:
    blocks = [strangers(rng, 300, least=20), strangers(rng, 200, least=20)]
    tables = CodeTables.build(blocks)
    for item in rng.integers(0, 500, 40).tolist():
        row = points(np.concatenate(blocks)[item])
        views = {"plain": strangers(rng, 1)[0], "mirrored": flipped(rng, row, 8)[rng.permutation(len(row))[:12]]}
        items, votes = tables.candidates({name: points(view) for name, view in views.items()}, 10)
        assert items[0] == item
        assert votes[0] > 2 * (votes[1] if len(votes) > 1 else 0)


def test_edited_pictures_find_their_originals() -> None:
    originals = [picture(seed) for seed in range(12)]
    block = np.zeros((12, 93), POINT)
    for row, image in zip(block, originals, strict=True):
        found = witness(image)
        row[: len(found)] = found
    tables = CodeTables.build([block])
    for i, name in itertools.product(range(12), ("flip_horizontal", "inversion", "turn_90", "captioned_frame_10")):
        copy = by_name(name).apply(originals[i], np.random.default_rng(i))
        assert tables.candidates(query_witnesses(copy), 1)[0].tolist() == [i]


def test_answers_depend_neither_on_threads_nor_on_how_items_lie_in_blocks_nor_on_room() -> None:
    blocks, views = world(5)
    whole = np.concatenate(blocks)
    wider = np.zeros((len(whole), ROOM + 7), POINT)
    wider[:, :ROOM] = whole
    wanted = CodeTables.build(blocks).candidates(views)
    assert len(wanted[0]) > 5
    for other, threads in itertools.product((blocks, [whole], [wider], list(whole[:, None])), (1, 3)):
        found = CodeTables.build(other, threads=threads).candidates(views, threads=threads)
        assert all(map(np.array_equal, found, wanted))


def test_of_equal_votes_the_lower_item_comes_first(rng: np.random.Generator) -> None:
    block = np.repeat(strangers(rng, 1, least=ROOM), 9, axis=0)
    items, votes = CodeTables.build([block]).candidates({"plain": block[0]}, 5)
    assert items.tolist() == [0, 1, 2, 3, 4]
    assert len(set(votes.tolist())) == 1


def test_saved_tables_answer_as_the_built_ones(tmp_path: Path) -> None:
    blocks, views = world(6)
    live = np.arange(20) % 2 > 0
    tables = CodeTables.build(blocks)
    tables.save(tmp_path / "tables")
    again = CodeTables.open(tmp_path / "tables", blocks)
    assert isinstance(again._tables.order.base, np.memmap)
    assert (again.items, again.nbytes) == (tables.items, tables.nbytes) == (20, again.nbytes)
    for some in (None, live):
        assert all(map(np.array_equal, again.candidates(views, live=some), tables.candidates(views, live=some)))


def test_more_hits_than_a_pass_has_room_for_are_all_found(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks, views = world(7)
    tables = CodeTables.build(blocks)
    wanted = tables.candidates(views)
    monkeypatch.setattr("simsearch.spatial.code_tables._ROOM", 1)
    assert all(map(np.array_equal, tables.candidates(views), wanted))


def test_a_code_of_very_many_items_has_no_vote(rng: np.random.Generator) -> None:
    block = strangers(rng, kernels.POPULAR + 1, room=2, least=2)
    block["bits"][:, 0] = block["bits"][0, 0]
    tables = CodeTables.build([block])
    query = block[7].copy()
    assert tables.candidates({"plain": query})[0][0] == 7
    assert len(tables.candidates({"plain": query[:1]})[0]) == 0
    assert len(CodeTables.build([block[1:]]).candidates({"plain": query[:1]}, 10**6)[0]) == kernels.POPULAR


def test_blank_pictures_and_empty_libraries_have_no_candidates(tmp_path: Path) -> None:
    blank, some = witness(Image.new("L", (99, 99))), witness(picture(0))
    item = np.zeros((1, 93), POINT)
    item[0, : len(some)] = some
    padded = [np.zeros((3, 93), POINT), item, np.zeros((0, 93), POINT)]
    for blocks, found in (([], []), ([np.zeros((0, 93), POINT)], []), ([np.zeros((5, 93), POINT)], []), (padded, [3])):
        tables = CodeTables.build(blocks)
        for views, wanted in (({"plain": some}, found), ({"plain": blank}, []), ({}, [])):
            items, votes = tables.candidates(views)
            assert (items.tolist(), len(votes)) == (wanted, len(wanted))
            assert (items.dtype, votes.dtype) == (np.int64, np.float64)
        tables.save(tmp_path / "tables")
        assert CodeTables.open(tmp_path / "tables", blocks).candidates({"plain": some})[0].tolist() == found
    assert len(CodeTables.build(padded).candidates({"plain": some}, live=np.zeros(4, bool))[0]) == 0


@pytest.mark.parametrize("name", ["keys", "starts", "codes", "items"])
@pytest.mark.parametrize("damage", ["missing", "torn", "another shape", "another type"])
def test_damaged_tables_are_refused(tmp_path: Path, name: str, damage: str) -> None:
    blocks, _ = world(8)
    CodeTables.build(blocks).save(tmp_path)
    path = tmp_path / f"{name}.npy"
    values = np.load(path)
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        np.save(path, values[..., :-1] if damage == "another shape" else values.astype(np.float32))
    with pytest.raises(IndexFailed, match="build"):
        CodeTables.open(tmp_path, blocks)


def test_tables_of_other_blocks_are_refused(tmp_path: Path) -> None:
    blocks, _ = world(9)
    CodeTables.build(blocks).save(tmp_path)
    for other in (blocks[:2], [], [block[:, :-1].copy() for block in blocks]):
        with pytest.raises(IndexFailed, match="build them again"):
            CodeTables.open(tmp_path, other)


def test_numbers_of_codes_that_do_not_exist_are_passed_over(tmp_path: Path) -> None:
    blocks, views = world(10)
    tables = CodeTables.build(blocks)
    tables._tables.order[:] = 1 << 31
    assert len(tables.candidates(views)[0]) == 0
    tables._tables.starts[:, 1:-1] = 1 << 31
    assert len(tables.candidates(views)[0]) == 0


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([np.zeros((3, 22), np.uint8)], "uint8"),
        ([np.zeros(3, POINT)], "shape"),
        ([np.zeros((3, 0), POINT)], "shape"),
        ([np.zeros((3, 8), POINT)[:, ::2]], "order"),
        ([np.zeros((3, 4), POINT), np.zeros((3, 5), POINT)], "5 points"),
        ([np.broadcast_to(np.zeros((1, 1), POINT), (1, 1))] + [np.zeros((0, 1), POINT)] * 2, None),
    ],
)
def test_blocks_are_checked(blocks: Blocks, said: str | None) -> None:
    if said is None:
        CodeTables.build(blocks)
        return
    with pytest.raises(InputError, match=said):
        CodeTables.build(blocks)


def test_arguments_are_checked() -> None:
    blocks, views = world(11)
    tables = CodeTables.build(blocks)
    for wrong in ({"k": 0}, {"threads": 0}, {"live": np.ones(19, bool)}):
        with pytest.raises(InputError):
            tables.candidates(views, **wrong)
    with pytest.raises(InputError, match="65535"):
        tables.candidates({"plain": np.zeros(1 << 16, POINT)})
    with pytest.raises(InputError, match="tables"):
        CodeTables.build(blocks, tables=0)
