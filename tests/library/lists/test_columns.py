"""What changes do to a list, against a slow and obvious reading of the same changes."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simsearch.library.lists.codes import Code
from simsearch.library.lists.columns import SCHEMA
from simsearch.library.lists.editor import Changed, Editor
from simsearch.library.lists.entries import Change, Listed, SourceRecord, Vote
from simsearch.library.lists.image_list import ImageList

CODES = [Code("md5", bytes([i]) * 16) for i in range(3)] + [Code("pdq", bytes([i, 255 - i]) * 16) for i in range(2)]
changes = st.builds(
    Change,
    st.sampled_from(["ncmec", "file"]),
    st.sampled_from(["", "1", "2"]),
    st.lists(st.sampled_from(CODES), max_size=3, unique=True).map(lambda codes: tuple(Listed(code) for code in codes)),
    st.just(""),
    st.sampled_from([(), ("a",)]),
    st.booleans(),
    st.booleans(),
)


def slowly(given: list[Change]) -> dict[Code, dict[tuple[str, str], bool]]:
    """Return for each code its records, and whether each withdrew it."""
    world: dict[Code, dict[tuple[str, str], bool]] = {}
    for change in given:
        key, named = (change.origin, change.id), [listed.code for listed in change.codes]
        for code in [*world]:
            mine = key in world[code]
            gone = mine and (change.withdrawn if change.id else change.withdrawn and code in named)
            gone |= bool(mine and change.id and not change.withdrawn and code not in named)
            if gone and change.erase:
                del world[code][key]
            elif gone:
                world[code][key] = True
            if not world[code]:
                del world[code]
        for code in named if not change.withdrawn else ():
            world.setdefault(code, {})[key] = False
    return world


def seen(one: ImageList) -> dict[Code, dict[tuple[str, str], bool]]:
    return {entry.code: {s.key: s.withdrawn for s in entry.sources} for entry in one.entries(withdrawn=True)}


@given(st.lists(changes, max_size=12))
def test_a_list_is_what_its_records_say(given: list[Change]) -> None:
    one = ImageList.of("one", given)
    wanted = slowly(given)
    assert seen(one) == wanted
    active = {code for code, records in wanted.items() if not all(records.values())}
    assert {entry.code for entry in one.entries()} == active
    assert len(one) == len(active)
    assert one.withdrawn == len(wanted) - len(active)


@given(st.lists(changes, max_size=8))
def test_a_second_time_changes_nothing(given: list[Change]) -> None:
    once = {(one.origin, one.id): one for one in given if one.id}
    one = ImageList.of("one", once.values())
    before = list(one.entries(withdrawn=True))
    assert not one.apply(once.values()).anything
    assert list(one.entries(withdrawn=True)) == before


@given(st.lists(changes, max_size=8), st.lists(changes, max_size=8))
def test_ids_are_never_given_again(first: list[Change], second: list[Change]) -> None:
    one = ImageList.of("one", first)
    ids = {entry.id: entry.code for entry in one.entries(withdrawn=True)}
    one.purge()
    one.apply(second)
    for entry in one.entries(withdrawn=True):
        assert entry.id not in ids or ids[entry.id] == entry.code


@given(st.lists(changes, max_size=8))
def test_a_purge_leaves_what_is_active(given: list[Change]) -> None:
    one = ImageList.of("one", given)
    active = {entry.code: [s for s in entry.sources if not s.withdrawn] for entry in one.entries()}
    one.purge()
    assert {entry.code: list(entry.sources) for entry in one.entries(withdrawn=True)} == active


def test_what_was_removed_here_is_not_listed_again_by_an_import_until_a_purge() -> None:
    record = Change("ncmec", "1", (Listed(CODES[0]),))
    one = ImageList.of("one", [record])
    assert one.remove([CODES[0]]) == 1
    assert one.apply([record]) == Changed(unchanged=1)
    assert len(one) == 0
    assert one.apply([Change("local", "", (Listed(CODES[0]),))]).added == 1
    assert len(one) == 1
    one.remove([0], purge=True)
    assert one.apply([record]).added == 1
    assert [entry.id for entry in one.entries()] == [1]


def test_two_sources_list_a_code_until_both_withdraw_it() -> None:
    a, b = (Change("ncmec", name, (Listed(CODES[0], votes=(Vote(True, name),)),)) for name in "ab")
    one = ImageList.of("one", [a, b])
    assert one.apply([Change("ncmec", "a", withdrawn=True)]) == Changed(updated=1)
    assert len(one) == 1
    assert one.apply([Change("ncmec", "b", withdrawn=True)]) == Changed(withdrawn=1)
    assert len(one) == 0
    assert one.apply([a]) == Changed(added=1)


def test_a_better_known_quality_stays() -> None:
    pdq = CODES[3]
    one = ImageList.of("one", [Change("file", "", (Listed(pdq, 80),))])
    assert not one.apply([Change("file", "", (Listed(pdq),))]).anything
    assert next(one.entries()).quality == 80


def test_columns_come_back_from_a_table(rng: Any) -> None:
    editor = Editor(SCHEMA.empty_table(), next_id=3, checks=7)
    editor.apply([Change("x", str(i), (Listed(Code("sha1", rng.bytes(20))),), tags=("é", "\n")) for i in range(50)])
    again = Editor(editor.columns.table(), next_id=editor.next_id, checks=7)
    assert again.columns == editor.columns
    assert set(again.columns.since) == {7}
    assert again.columns.entry(4).sources == (SourceRecord("x", "4", tags=("é", "\n")),)
