"""Laws of changes of a list: one by one they do what they do together, however few entries are looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.library.lists import editor
from simsearch.library.lists.codes import Code
from simsearch.library.lists.entries import Change, Listed
from simsearch.library.lists.image_list import ImageList

codes = st.integers(0, 5).map(
    lambda number: Listed(Code(("md5", "pdq")[number % 2], bytes([number]) * (16, 32)[number % 2]))
)
changes = st.builds(
    Change,
    st.sampled_from(["local", "x"]),
    st.sampled_from(["", "1", '2"', "é"]),
    st.lists(codes, max_size=3).map(tuple),
    withdrawn=st.booleans(),
    erase=st.booleans(),
)


@given(st.lists(changes, max_size=12))
def test_looking_at_few_entries_changes_nothing(made: list[Change]) -> None:
    few, all_of_them = ImageList.of("few", ()), ImageList.of("all", ())
    for change in made:
        counts = few.apply([change])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(editor, "_FEW", -1)
            assert all_of_them.apply([change]) == counts
        assert list(few.entries(withdrawn=True)) == list(all_of_them.entries(withdrawn=True))
        assert (len(few), few.types()) == (len(all_of_them), all_of_them.types())
