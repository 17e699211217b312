"""What people do with matches: pages on which they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.act.page.evidence import MatchEvidence as MatchEvidence
    from simsearch.act.page.evidence import match_evidence as match_evidence
    from simsearch.act.page.evidence import write_evidence as write_evidence
    from simsearch.act.page.measured import Measured as Measured
    from simsearch.act.page.measured import measured as measured
    from simsearch.act.page.pair import PagePair as PagePair
    from simsearch.act.page.pair import PageSide as PageSide
    from simsearch.act.page.report_page import write_report_page as write_report_page
    from simsearch.act.page.write_page import PageWritten as PageWritten
    from simsearch.act.page.write_page import write_page as write_page

attach(
    __name__,
    {
        "MatchEvidence": "page.evidence",
        "Measured": "page.measured",
        "PagePair": "page.pair",
        "PageSide": "page.pair",
        "PageWritten": "page.write_page",
        "match_evidence": "page.evidence",
        "measured": "page.measured",
        "write_evidence": "page.evidence",
        "write_page": "page.write_page",
        "write_report_page": "page.report_page",
    },
)
