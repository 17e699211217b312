"""What people do with matches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.act.exchange.feedback import Feedback as Feedback
    from simsearch.act.exchange.feedback import Verdict as Verdict
    from simsearch.act.exchange.feedback import feedback as feedback
    from simsearch.act.exchange.files import ImportReport as ImportReport
    from simsearch.act.exchange.files import export_list as export_list
    from simsearch.act.exchange.files import import_list as import_list
    from simsearch.act.exchange.files import list_of_file as list_of_file

attach(
    __name__,
    {
        "Feedback": "exchange.feedback",
        "ImportReport": "exchange.files",
        "Verdict": "exchange.feedback",
        "export_list": "exchange.files",
        "feedback": "exchange.feedback",
        "import_list": "exchange.files",
        "list_of_file": "exchange.files",
    },
)
