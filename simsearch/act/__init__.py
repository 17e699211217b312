"""What people do with matches: pages on which they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.act.page.pair import PagePair as PagePair
    from simsearch.act.page.pair import PageSide as PageSide
    from simsearch.act.page.write_page import PageWritten as PageWritten
    from simsearch.act.page.write_page import write_page as write_page

attach(
    __name__,
    {
        "PagePair": "page.pair",
        "PageSide": "page.pair",
        "PageWritten": "page.write_page",
        "write_page": "page.write_page",
    },
)
