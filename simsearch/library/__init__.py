"""Libraries on disk: segments, channels, manifest; add, remove, search, verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsearch._lazy import attach

if TYPE_CHECKING:
    from simsearch.library.calibration.calibrate import CalibrationReport as CalibrationReport
    from simsearch.library.calibration.calibrate import EditedCopies as EditedCopies
    from simsearch.library.calibration.contents import CopyPair as CopyPair
    from simsearch.library.channels.count_fused import FusedReport as FusedReport
    from simsearch.library.duplicates.report import Duplicate as Duplicate
    from simsearch.library.duplicates.report import Duplicates as Duplicates
    from simsearch.library.duplicates.report import Group as Group
    from simsearch.library.duplicates.report import Picture as Picture
    from simsearch.library.format.segment import write_segment as write_segment
    from simsearch.library.info import LibraryInfo as LibraryInfo
    from simsearch.library.library import Library as Library
    from simsearch.library.lists.calibrate import ListCalibration as ListCalibration
    from simsearch.library.lists.entries import Entry as Entry
    from simsearch.library.lists.found import Checked as Checked
    from simsearch.library.lists.found import ListMatch as ListMatch
    from simsearch.library.lists.found import PictureCheck as PictureCheck
    from simsearch.library.lists.image_list import ImageList as ImageList
    from simsearch.library.lists.open_lists import ListedPictures as ListedPictures
    from simsearch.library.read.matches import Match as Match
    from simsearch.library.read.matches import Matches as Matches
    from simsearch.library.read.matches import QueryMatches as QueryMatches
    from simsearch.library.reports import AddReport as AddReport
    from simsearch.library.reports import Progress as Progress
    from simsearch.library.reports import ReembedReport as ReembedReport
    from simsearch.library.settings import AddSettings as AddSettings
    from simsearch.library.verdicts.verdict import Verdict as Verdict
    from simsearch.library.write.review import JudgedPair as JudgedPair

attach(
    __name__,
    {
        "AddReport": "reports",
        "AddSettings": "settings",
        "CalibrationReport": "calibration.calibrate",
        "Checked": "lists.found",
        "CopyPair": "calibration.contents",
        "Duplicate": "duplicates.report",
        "Duplicates": "duplicates.report",
        "EditedCopies": "calibration.calibrate",
        "Entry": "lists.entries",
        "FusedReport": "channels.count_fused",
        "Group": "duplicates.report",
        "ImageList": "lists.image_list",
        "JudgedPair": "write.review",
        "Library": "library",
        "LibraryInfo": "info",
        "ListCalibration": "lists.calibrate",
        "ListMatch": "lists.found",
        "ListedPictures": "lists.open_lists",
        "Match": "read.matches",
        "Matches": "read.matches",
        "Picture": "duplicates.report",
        "PictureCheck": "lists.found",
        "Progress": "reports",
        "QueryMatches": "read.matches",
        "ReembedReport": "reports",
        "Verdict": "verdicts.verdict",
        "write_segment": "format.segment",
    },
)
