"""What people do with matches: duplicates that go or stay, lists that are exchanged."""

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

attach(
    __name__,
    {
        "ActReport": "duplicates.perform",
        "Decisions": "duplicates.decisions",
        "PairDecision": "duplicates.decisions",
        "Plan": "duplicates.plan",
        "Unit": "duplicates.plan",
        "find_duplicates": "duplicates.drop_in",
        "find_duplicates_to_remove": "duplicates.drop_in",
        "perform": "duplicates.perform",
        "plan_of": "duplicates.plan",
        "read_decisions": "duplicates.decisions",
        "resume": "duplicates.perform",
        "undo": "duplicates.undo",
        "Feedback": "exchange.feedback",
        "ImportReport": "exchange.files",
        "EntryVerdict": "exchange.feedback",
        "export_list": "exchange.files",
        "feedback": "exchange.feedback",
        "import_list": "exchange.files",
        "list_of_file": "exchange.files",
    },
)
