"""What people do with matches: duplicates that go or stay, lists that are exchanged, pages on which people decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.act.duplicates.decisions import Decisions as Decisions
    from simsearch.act.duplicates.decisions import PairDecision as PairDecision
    from simsearch.act.duplicates.decisions import read_decisions as read_decisions
    from simsearch.act.duplicates.drop_in import find_duplicates as find_duplicates
    from simsearch.act.duplicates.drop_in import find_duplicates_to_remove as find_duplicates_to_remove
    from simsearch.act.duplicates.perform import ActReport as ActReport
    from simsearch.act.duplicates.perform import perform as perform
    from simsearch.act.duplicates.perform import resume as resume
    from simsearch.act.duplicates.plan import Plan as Plan
    from simsearch.act.duplicates.plan import Unit as Unit
    from simsearch.act.duplicates.plan import plan_of as plan_of
    from simsearch.act.duplicates.undo import undo as undo
    from simsearch.act.exchange.feedback import EntryVerdict as EntryVerdict
    from simsearch.act.exchange.feedback import Feedback as Feedback
    from simsearch.act.exchange.feedback import feedback as feedback
    from simsearch.act.exchange.files import ImportReport as ImportReport
    from simsearch.act.exchange.files import export_list as export_list
    from simsearch.act.exchange.files import import_list as import_list
    from simsearch.act.exchange.files import list_of_file as list_of_file
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
        "ActReport": "duplicates.perform",
        "Decisions": "duplicates.decisions",
        "EntryVerdict": "exchange.feedback",
        "Feedback": "exchange.feedback",
        "ImportReport": "exchange.files",
        "MatchEvidence": "page.evidence",
        "Measured": "page.measured",
        "PagePair": "page.pair",
        "PageSide": "page.pair",
        "PageWritten": "page.write_page",
        "PairDecision": "duplicates.decisions",
        "Plan": "duplicates.plan",
        "Unit": "duplicates.plan",
        "export_list": "exchange.files",
        "feedback": "exchange.feedback",
        "find_duplicates": "duplicates.drop_in",
        "find_duplicates_to_remove": "duplicates.drop_in",
        "import_list": "exchange.files",
        "list_of_file": "exchange.files",
        "match_evidence": "page.evidence",
        "measured": "page.measured",
        "perform": "duplicates.perform",
        "plan_of": "duplicates.plan",
        "read_decisions": "duplicates.decisions",
        "resume": "duplicates.perform",
        "undo": "duplicates.undo",
        "write_evidence": "page.evidence",
        "write_page": "page.write_page",
        "write_report_page": "page.report_page",
    },
)
