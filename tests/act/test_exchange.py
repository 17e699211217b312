"""What exchanges write is read with limits, and what we write is read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.act import export_list, feedback, import_list, list_of_file
from simsearch.act.exchange import records as limits
from simsearch.act.exchange import xml_records
from simsearch.act.exchange.feedback import EntryVerdict, read_verdicts
from simsearch.act.exchange.files import read_exchange, told
from simsearch.act.exchange.hma import read_hma, write_hma
from simsearch.act.exchange.ncmec import read_ncmec, write_ncmec
from simsearch.act.exchange.stopncii import read_stopncii, write_stopncii
from simsearch.act.exchange.tables import read_csv, read_text, write_csv, write_text
from simsearch.errors import InputError
from simsearch.library.lists.codes import Code
from simsearch.library.lists.entries import Change, Listed, SourceRecord, Vote
from simsearch.library.lists.image_list import ImageList

PDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
MD5, SHA1 = "d41d8cd98f00b204e9800998ecf8427e", "da39a3ee5e6b4b0d3255bfef95601890afd80709"

NCMEC = f"""<?xml version="1.0" encoding="UTF-8"?>
<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">
 <images count="3" maxTimestamp="2026-01-02T00:00:00Z">
  <image>
   <member id="42">Example Member</member><timestamp>2026-01-01T00:00:00Z</timestamp><id>image1</id>
   <classification>A1</classification>
   <fingerprints><MD5>{MD5}</MD5><SHA1>{SHA1}</SHA1><PDNA>AAAA</PDNA><PDQ>{PDQ}</PDQ></fingerprints>
   <feedback lastUpdateTimestamp="2026-01-01T00:00:00Z">
    <affirmativeFeedback type="MD5" lastUpdateTimestamp="2026-01-01T00:00:00Z">
     <members><member id="7">Seven</member><member id="8">Eight &amp; Co</member></members>
    </affirmativeFeedback>
    <negativeFeedback type="PDQ" lastUpdateTimestamp="2026-01-01T00:00:00Z">
     <reasons><reason guid="g" name="Not illegal"/><members><member id="9">Nine</member></members></reasons>
    </negativeFeedback>
   </feedback>
  </image>
  <image><member id="42"/><id>image2</id><fingerprints><MD5>{MD5[::-1]}</MD5></fingerprints></image>
  <deletedImage><member id="42"/><id>image3</id><timestamp>2026-01-02T00:00:00Z</timestamp></deletedImage>
  <image><id>image4</id><fingerprints><MD5>{MD5}</MD5></fingerprints></image>
 </images>
 <videos count="1" maxTimestamp="2026-01-02T00:00:00Z">
  <deletedVideo><member id="42"/><id>image2</id></deletedVideo>
 </videos>
</queryResult>"""

STOPNCII = {
    "count": 4,
    "hasMoreRecords": False,
    "hashRecords": [
        {
            "lastModtimestamp": 1700000000,
            "signalType": "ImagePDQ",
            "hashValue": PDQ,
            "hashStatus": "Active",
            "caseNumbers": {"15": "Active", "16": "Withdrawn"},
            "CSPFeedbacks": [
                {"source": "one", "feedbackValue": "Blocked", "tags": ["x"]},
                {"source": "two", "feedbackValue": "PendingReview"},
            ],
        },
        {"signalType": "ImagePDQ", "hashValue": PDQ[::-1], "hashStatus": "Withdrawn", "caseNumbers": []},
        {"signalType": "VideoMD5", "hashValue": MD5, "hashStatus": "Active", "caseNumbers": {"1": "Deleted"}},
        {"signalType": "VideoTMK", "hashValue": "00", "hashStatus": "Active"},
        {"signalType": "ImagePDQ", "hashValue": "zz", "hashStatus": "Active"},
        "nonsense",
    ],
}

pdqs = st.binary(min_size=16, max_size=16).map(lambda half: Code("pdq", half + bytes(255 - byte for byte in half)))
digests = st.one_of(
    st.binary(min_size=16, max_size=16).map(lambda value: Code("md5", value)),
    st.binary(min_size=20, max_size=20).map(lambda value: Code("sha1", value)),
    st.binary(min_size=32, max_size=32).map(lambda value: Code("sha256", value)),
)
words = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters=';"='), min_size=1, max_size=8)
codes = st.lists(st.one_of(pdqs, digests), unique=True, max_size=6)


def said(one: ImageList) -> set[tuple[str, int | None, frozenset[SourceRecord]]]:
    return {(str(entry.code), entry.quality, frozenset(entry.sources)) for entry in one.entries(withdrawn=True)}


@given(codes, words, words, st.booleans())
def test_csv_comes_back(held: list[Code], name: str, tag: str, is_withdrawn: bool) -> None:
    listed = tuple(map(Listed, held))
    one = ImageList.of("one", [Change("x", name, listed, "t", (tag,)), Change("y", "", listed[:1])])
    one.apply([Change("x", name, withdrawn=True)] if is_withdrawn else [])
    back = ImageList.of("back", [])
    live = [
        change for change in read_csv(write_csv(one.entries()).encode(), origin="z").changes if not change.withdrawn
    ]
    back.apply(live)
    assert {str(entry.code) for entry in back.entries()} == {str(entry.code) for entry in one.entries()}
    if not is_withdrawn:
        assert said(back) == said(one)


@given(codes)
def test_text_comes_back_line_by_line(held: list[Code]) -> None:
    one = ImageList.of("one", [Change("x", "", (Listed(code),)) for code in held])
    text, left = write_text(one.entries())
    assert not left
    read = read_text(text.encode(), origin="x")
    assert [listed.code for change in read.changes for listed in change.codes] == held
    assert write_text(ImageList.of("back", read.changes).entries())[0] == text


@given(codes, words, st.lists(st.tuples(st.booleans(), words, words), max_size=3))
def test_ncmec_comes_back(held: list[Code], tag: str, votes: list[tuple[bool, str, str]]) -> None:
    known = tuple(Vote(up, f"{i} {by}", "" if up else why) for i, (up, by, why) in enumerate(votes))
    listed = tuple(Listed(code, None, known) for code in held)
    one = ImageList.of("one", [Change("ncmec", "1-a", listed, "t", (tag,)), Change("ncmec", "1-b", withdrawn=True)])
    text, left = write_ncmec(one.entries(withdrawn=True))
    assert {entry.code.type for entry in left} <= {"sha256"}
    back = ImageList.of("back", read_ncmec(text.encode()).changes)
    assert len(back) == len(held) - len(left)
    for entry in back.entries():
        (source,) = entry.sources
        assert (source.id, source.tags, sorted(map(str, source.votes))) == ("1-a", (tag,), sorted(map(str, known)))


@given(st.lists(pdqs, unique=True, max_size=5), words)
def test_stopncii_comes_back(held: list[Code], case: str) -> None:
    tags, votes = (f"case:{case}=Active", "said:b=PendingReview"), (Vote(True, "a"), Vote(False, "c"))
    when = "2026-01-01T00:00:00Z"
    changes = [Change("stopncii", code.value.hex(), (Listed(code, None, votes),), when, tags) for code in held]
    one = ImageList.of("one", changes)
    text, left = write_stopncii(one.entries())
    assert not left
    assert said(ImageList.of("back", read_stopncii(text.encode()).changes)) == said(one)


@given(codes, words)
def test_hma_comes_back(held: list[Code], bank: str) -> None:
    many = enumerate(held)
    changes = [Change("hma", f"{bank}/{i}", (Listed(code),), "", (f"content_id:{i}",)) for i, code in many]
    one = ImageList.of("one", changes)
    text, left = write_hma(one.entries())
    back = ImageList.of("back", read_hma(text.encode()).changes)
    assert said(back) == {each for each in said(one) if not each[0].startswith("sha1")}
    assert len(back) == len(held) - len(left)


def test_ncmec_as_they_write_it() -> None:
    one, read = ImageList.of("one", []), read_ncmec(NCMEC.encode())
    one.apply([Change("ncmec", "42-image3", (Listed(Code("md5", bytes(16))),))])
    changed = one.apply(read.changes)
    assert (changed.added, changed.withdrawn) == (3, 2)
    entries = {entry.code.type: entry for entry in one.entries()}
    assert entries["md5"].sources == (
        SourceRecord(
            "ncmec", "42-image1", "2026-01-01T00:00:00Z", ("A1",), (Vote(True, "7 Seven"), Vote(True, "8 Eight & Co"))
        ),
    )
    assert entries["pdq"].sources[0].votes == (Vote(False, "9 Nine", "Not illegal"),)
    assert read.refused == {"pdna is not compared here": 1, "an entry has no id, or no member with an id": 1}
    assert read.unknown_quality == 1


def test_stopncii_as_they_write_it() -> None:
    gone = Change("stopncii", PDQ[::-1], (Listed(Code("pdq", bytes.fromhex(PDQ[::-1]))),))
    also = Change("stopncii", MD5, (Listed(Code("md5", bytes.fromhex(MD5))),))
    one, read = ImageList.of("one", [gone, also]), read_stopncii(json.dumps(STOPNCII).encode())
    one.apply(read.changes)
    (entry,) = one.entries(withdrawn=True)  # what people withdrew is not even a tombstone
    assert entry.code == Code("pdq", bytes.fromhex(PDQ))
    assert entry.sources[0].votes == (Vote(True, "one"),)
    assert entry.sources[0].tags == ("case:15=Active", "case:16=Withdrawn", "said:two=PendingReview")
    assert entry.sources[0].time == "2023-11-14T22:13:20Z"
    assert sum(read.refused.values()) == 3


BANK = {"name": "ON", "matching_enabled_ratio": 1.0}
ANSWERS = [  # by three versions of its API
    {"id": 1, "signals": {"pdq": PDQ, "video_md5": MD5}},
    {"id": 1, "bank": "ON", "enabled": True, "original_media_uri": None, "signals": {"pdq": PDQ, "video_md5": MD5}},
    {
        **{"id": 1, "disable_until_ts": 1, "collab_metadata": {}, "original_media_uri": "https://x", "bank": BANK},
        "signals": {"pdq": PDQ, "video_md5": MD5},
    },
    {
        **{"id": 1, "disable_until_ts": 999, "original_media_uri": None, "bank": BANK, "note": "seen"},
        **{"signals": {"pdq": PDQ, "video_md5": MD5}, "metadata": {"content_id": "a", "collab": {"X": ["1"]}}},
    },
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_hma_as_its_api_answers(answer: dict[str, Any]) -> None:
    name = "ON" if "bank" in answer else "SIMSEARCH"
    for form in (answer, [answer], {"banks": [{"name": name, "content": [answer]}]}):
        (change,) = read_hma(json.dumps(form).encode(), now=1000).changes
        assert change.id == f"{name}/1"
        assert {str(one.code) for one in change.codes} == {f"pdq:{PDQ}", f"md5:{MD5}"}
        assert told(json.dumps(form).encode()) == "hma"


@pytest.mark.parametrize(
    ("off", "why"),
    [
        ({"disable_until_ts": 0}, "it is switched off"),
        ({"enabled": False}, "it is switched off"),
        ({"disable_until_ts": 1001}, "it is switched off for a time"),
        ({"bank": {**BANK, "matching_enabled_ratio": 0.0}}, "its bank is switched off"),
    ],
)
def test_what_hma_switches_off_is_taken_back_and_listed_again(off: dict[str, Any], why: str) -> None:
    one = ImageList.of("one", read_hma(json.dumps(ANSWERS[2]).encode(), now=1000).changes)
    read = read_hma(json.dumps([{**ANSWERS[2], **off}]).encode(), now=1000)
    assert read.refused == {why: 1}
    one.apply(read.changes)
    assert len(one) == 0
    one.apply(read_hma(json.dumps(ANSWERS[2]).encode()).changes)
    assert len(one) == 2


def test_an_answer_of_hma_without_signals_says_how_to_ask() -> None:
    read = read_hma(json.dumps({key: value for key, value in ANSWERS[3].items() if key != "signals"}).encode())
    assert list(read.refused) == ["a content has no signals: HMA answers them to include_signals=true"]


def test_what_cannot_be_used_is_counted_by_its_reason() -> None:
    lines = [
        f"pdq {PDQ} 49",
        f"pdq {PDQ} 50",
        f"pdq {'0' * 64}",
        "pdna AAAA",
        "md5 12",
        "",
        f"{MD5}",
        f"PDQ {PDQ.upper()}",
        f"pdq {PDQ} x",
    ]
    read = read_text("\n".join(lines).encode(), origin="x")
    assert len(read.changes) == 2
    assert read.refused["PDQ quality below 50"] == 1
    assert read.refused["the PDQ hash of a blank picture"] == 1
    assert read.refused["pdna is not compared here"] == 1
    assert sum(read.refused.values()) == 6
    assert read.unknown_quality == 1
    assert read.examples["PDQ quality below 50"] == ["line 1"]
    assert len(read_text(f"{MD5}\n".encode(), origin="x", default="md5").changes) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE q [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><q><images><image>&b;</image></images></q>',
        '<!DOCTYPE q SYSTEM "http://127.0.0.1:9/x.dtd"><q/>',
        '<!DOCTYPE q [<!ENTITY x SYSTEM "file:///etc/passwd">]><q><i><image><id>&x;</id></image></i></q>',
        "<q>" + "<a>" * 40 + "</a>" * 40 + "</q>",
        "<q><i><image>" + "<a/>" * 6000 + "</image></i></q>",
        f"<q><i><image><id>{'x' * 20000}</id></image></i></q>",
        "<q><images>",
        "",
        "<q>\xff\x00</q>",
    ],
)
def test_xml_beyond_the_limits_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        read_ncmec(text.encode("latin-1"))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50, "{", "NaN", '{"hashRecords": 3}', "3", '"x"', "\udcff", '[[["']
)
def test_json_beyond_the_limits_is_refused(text: str) -> None:
    for read in (read_stopncii, read_hma):
        with pytest.raises(InputError):
            read(text.encode("utf-8", "surrogateescape"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_name(data: bytes) -> None:
    for read in (read_ncmec, read_stopncii, read_hma):
        try:
            read(data)
        except InputError:
            continue
    for table in (read_csv, read_text):
        try:
            table(data, origin="x")
        except InputError:
            continue
    assert told(data) in {"text", "csv", "ncmec", "stopncii", "hma"}


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"md5 {MD5}\n" * 3)
    monkeypatch.setattr(limits, "MOST_RECORDS", 2)
    with pytest.raises(InputError, match="more than 2 records"):
        read_exchange(path)
    monkeypatch.setattr(limits, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="more than 10 bytes"):
        read_exchange(path)
    assert xml_records.DEEPEST == limits.DEEPEST


def test_an_import_is_told_and_leaves_the_list_where_it_fails(tmp_path: Path) -> None:
    one, path = ImageList.of("one", []), tmp_path / "list"
    path.write_text(NCMEC)
    report = import_list(one, path)
    assert (report.format, report.changed.added, report.refused["pdna is not compared here"]) == ("ncmec", 3, 1)
    assert not import_list(one, path).changed.anything
    path.write_text(NCMEC[:-20])
    with pytest.raises(InputError, match="cannot be read as ncmec"):
        import_list(one, path)
    for wrong in ({"form": "pdf"}, {"default": "phash"}):
        with pytest.raises(InputError, match="is not known"):
            import_list(one, path, **wrong)
    with pytest.raises(InputError, match="cannot be read"):
        import_list(one, tmp_path / "missing")
    assert len(one) == 3


def test_an_export_is_a_new_file(tmp_path: Path) -> None:
    one = ImageList.of("one", [Change("x", "", (Listed(Code("md5", bytes(16))),))])
    assert export_list(one, tmp_path / "a.txt", form="text") == (1, {})
    with pytest.raises(InputError, match="is there already"):
        export_list(one, tmp_path / "a.txt", form="text")
    with pytest.raises(InputError, match="cannot be written"):
        export_list(one, tmp_path / "missing" / "a.txt", form="text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    back, read = list_of_file(tmp_path / "a.txt", kind="allow")
    assert (back.kind, len(back), read.refused) == ("allow", 1, {})


def test_rows_of_a_model_that_nobody_describes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(f"channel:{'a' * 64} 0011\n")
    one = ImageList.of("one", [])
    assert import_list(one, path).refused == {"rows of a model that is no channel of this library": 1}


def test_feedback_goes_to_the_exchange_that_an_entry_came_from(tmp_path: Path) -> None:
    pdq, md5 = Listed(Code("pdq", bytes.fromhex(PDQ))), Listed(Code("md5", bytes.fromhex(MD5)))
    one = ImageList.of(
        "one",
        [
            Change("stopncii", PDQ, (pdq,)),
            Change("ncmec", "42-image1", (pdq, md5)),
            Change("file", "", (Listed(Code("sha1", bytes(20))),)),
        ],
    )
    path = tmp_path / "verdicts.csv"
    path.write_text("entry,verdict,reason\n0,pending,\n0,Confirm,\n1,reject,guid-1\n2,confirm,\n")
    verdicts = read_verdicts(path)
    stop = feedback(one, verdicts, "stopncii")
    assert json.loads(stop.text)["hashFeedbacks"] == [{"tags": [], "feedbackValue": "Blocked", "hashValue": PDQ}]
    assert (stop.told, dict(stop.left_out)) == (1, {"not of this exchange": 2})
    votes = feedback(one, verdicts, "ncmec")
    assert votes.text.count("<affirmative/>") == 1
    assert 'path="entries/42/image1/MD5/feedback"' in votes.text
    assert "<guid>guid-1</guid>" in votes.text
    assert feedback(one, [EntryVerdict(1, "reject")], "ncmec").told == 0
    assert feedback(one, verdicts, "csv").text.count("\n") == 5
    for bad in ("0,maybe,", "x,confirm,", "-1,confirm,"):
        path.write_text(f"entry,verdict,reason\n{bad}\n")
        with pytest.raises(InputError, match="line 2"):
            read_verdicts(path)
    with pytest.raises(InputError, match="no entry 77"):
        feedback(one, [EntryVerdict(77, "confirm")], "csv")
