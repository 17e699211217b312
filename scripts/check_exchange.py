"""Check our exchange formats against the package `threatexchange`, in an environment of its own.

    python -m venv /tmp/te && /tmp/te/bin/pip install threatexchange
    python scripts/check_exchange.py --python /tmp/te/bin/python

That package reads what we wrote: lists of text by its file exchange and its checks of each value, NCMEC's XML and
StopNCII's JSON by its clients, with what they would fetch taken from our files. Lines are written again there, as it
holds them (its own appending to a file fails in 1.2.17: it opens the file in no mode that Python has). Nothing is sent
anywhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simsearch.act.exchange.files import export_list, import_list
from simsearch.library.lists.codes import Code
from simsearch.library.lists.entries import Change, Entry, Listed, SourceRecord, Vote
from simsearch.library.lists.image_list import ImageList
from simsearch.runtime.provenance import write_record

RECORD = Path(__file__).parents[1] / "results" / "act" / "exchange.json"
LINES = 10_000

CHILD = """
import io, json, sys
from importlib import metadata
from pathlib import Path
from threatexchange.exchanges.clients.ncmec import hash_api as ncmec
from threatexchange.exchanges.clients.stopncii import api as stopncii
from threatexchange.exchanges.impl.file_api import FileCollaborationConfig, LocalFileSignalExchangeAPI
from threatexchange.signal_type.md5 import VideoMD5Signal
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.signal_type.sha256 import VideoSHA256Signal
import xml.etree.ElementTree as ET

home = Path(sys.argv[1])
kinds = {kind.get_name(): kind for kind in (PdqSignal, VideoMD5Signal, VideoSHA256Signal)}
api = LocalFileSignalExchangeAPI(FileCollaborationConfig(name="check", filename=str((home / "ours.txt").absolute())))
(delta,) = api.fetch_iter([], None)
lines = [f"{kind} {kinds[kind].validate_signal_str(value)}\\n" for kind, value in delta.updates]
(home / "theirs.txt").write_text("".join(lines))
it = ET.iterparse(io.BytesIO((home / "ours.xml").read_bytes()))
for _, element in it:
    element.tag = element.tag.rpartition("}")[2]
found = ncmec.GetEntriesResponse.from_xml(ncmec._XMLWrapper(it.root), 0)
entries = [
    {"id": f"{one.member_id}-{one.id}", "deleted": one.deleted, "classification": one.classification,
     "fingerprints": one.fingerprints,
     "votes": {kind: sorted([v.feedback_type.value, str(v.member.esp_id), v.reason] for v in votes)
               for kind, votes in one.feedback.items() if votes}}
    for one in found.updates
]

client = stopncii.StopNCIIAPI("key", "key")
client._get = lambda endpoint, **_: json.loads((home / "ours.json").read_text())
records = [
    {"type": one.signalType.value, "value": one.hashValue, "status": one.hashStatus.value,
     "cases": {case: state.value for case, state in one.caseNumbers.items()},
     "said": sorted([said.source, said.feedbackValue.value] for said in one.CSPFeedbacks)}
    for one in client.fetch_hashes().hashRecords
]
versions = {"threatexchange": metadata.version("threatexchange")}
json.dump({"entries": entries, "records": records, "versions": versions}, sys.stdout)
"""


def invented(count: int, origin: str) -> list[Change]:
    """Return invented records of an exchange; each fifth lists several codes, each tenth is taken back."""
    rng, changes = np.random.default_rng(24), list[Change]()
    for i in range(count):
        pdq = Code("pdq", np.packbits(rng.permutation(np.arange(256) % 2).astype(np.uint8)).tobytes())
        votes = tuple(Vote(bool(j % 2), f"{j} member {j}", "" if j % 2 else "why") for j in range(i % 4))
        several = [pdq, Code("md5", rng.bytes(16))] if i % 5 == 0 else [pdq]
        codes = tuple(Listed(code, None, votes) for code in several)
        name = {"ncmec": f"{i % 7}-{i}", "stopncii": codes[0].code.value.hex(), "file": ""}[origin]
        tags = {"ncmec": ("A1",), "stopncii": (f"case:{i}=Active",), "file": ()}[origin]
        if origin == "stopncii":
            codes = (Listed(pdq, None, tuple(Vote(vote.up, vote.by) for vote in votes)),)
        changes.append(Change(origin, name, codes, "2026-01-02T03:04:05Z", tags, withdrawn=False))
        if i % 10 == 9 and origin != "file":
            changes.append(Change(origin, name, (), "2026-01-03T03:04:05Z", withdrawn=True))
    return changes


def told(entries: Sequence[Entry]) -> list[Any]:
    """Return what entries say, without their own numbers; votes in one order."""
    return sorted((str(one.code), one.withdrawn, [_said(source) for source in one.sources]) for one in entries)


def _said(source: SourceRecord) -> dict[str, Any]:
    return replace(source, votes=tuple(sorted(source.votes, key=str))).to_dict()


def main() -> None:
    """Run the check and write its record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="of an environment that has threatexchange")
    parser.add_argument("--record", type=Path, default=RECORD)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        ours = {origin: ImageList.of(origin, invented(LINES, origin)) for origin in ("file", "ncmec", "stopncii")}
        export_list(ours["file"], home / "ours.txt", form="threatexchange")
        export_list(ours["ncmec"], home / "ours.xml", form="ncmec")
        export_list(ours["stopncii"], home / "ours.json", form="stopncii")
        (home / "child.py").write_text(CHILD)
        command = [str(arguments.python), str(home / "child.py"), str(home)]
        theirs = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
        values = {
            "lines": (home / "ours.txt").read_text().count("\n"),
            "versions_there": theirs["versions"],
            "text": _text(ours["file"], home),
            "ncmec": _ncmec(ours["ncmec"], theirs["entries"], home),
            "stopncii": _stopncii(ours["stopncii"], theirs["records"], home),
        }
    parts = (values["text"], values["ncmec"], values["stopncii"])
    sound = all(value for part in parts for value in part.values() if isinstance(value, bool))
    verdict = (
        "what we write is read alike by threatexchange, and comes back identical" if sound else "there are differences"
    )
    write_record(arguments.record, values, verdict=verdict)
    print(json.dumps(values, indent=1))
    print(verdict)
    if not sound:
        raise SystemExit(1)


def _text(ours: ImageList, home: Path) -> dict[str, Any]:
    """Compare lines that went through the package, read and written."""
    back = ImageList.of("back", ())
    import_list(back, home / "theirs.txt", form="text")
    codes = [str(one.code) for one in ours.entries()]
    return {
        "lines": len(codes),
        "bytes_identical": (home / "theirs.txt").read_bytes() == (home / "ours.txt").read_bytes(),
        "read_back_identical": [str(one.code) for one in back.entries()] == codes,
    }


def _ncmec(ours: ImageList, entries: Sequence[dict[str, Any]], home: Path) -> dict[str, Any]:
    """Compare entries, tombstones and votes as the package understands them with what we meant, and our own reading."""
    names = {"md5": "MD5", "pdq": "PDQ"}
    wanted: dict[str, dict[str, Any]] = {}
    for one in ours.entries(withdrawn=True):
        for source in one.sources:
            entry = wanted.setdefault(source.id, {"deleted": True, "fingerprints": {}, "votes": {}})
            if not source.withdrawn:
                entry["deleted"] = False
                entry["fingerprints"][names[one.code.type]] = one.code.value.hex()
                votes = sorted(["upvote" if v.up else "downvote", v.by.split()[0], v.reason] for v in source.votes)
                entry["votes"] |= {names[one.code.type]: votes} if votes else {}
    found = {one["id"]: {key: one[key] for key in ("deleted", "fingerprints", "votes")} for one in entries}
    back = ImageList.of("back", ())
    import_list(back, home / "ours.xml", form="ncmec")
    active = told([one for one in ours.entries() if not one.withdrawn])
    return {
        "entries": len(found),
        "tombstones": sum(one["deleted"] for one in found.values()),
        "understood_alike": found == wanted,
        "read_back_identical": told(list(back.entries())) == active,
    }


def _stopncii(ours: ImageList, records: Sequence[dict[str, Any]], home: Path) -> dict[str, Any]:
    """Compare hash records as the package understands them with what we meant, and our own reading."""
    wanted = {}
    for one in ours.entries(withdrawn=True):
        (source,) = one.sources
        cases = dict(tag.removeprefix("case:").split("=") for tag in source.tags)
        said = sorted([vote.by, "Blocked" if vote.up else "NotBlocked"] for vote in source.votes)
        status = "Withdrawn" if one.withdrawn else "Active"
        wanted[one.code.value.hex()] = {"type": "ImagePDQ", "status": status, "cases": cases, "said": said}
    found = {one["value"]: {key: one[key] for key in ("type", "status", "cases", "said")} for one in records}
    back = ImageList.of("back", ())
    import_list(back, home / "ours.json", form="stopncii")
    return {
        "records": len(found),
        "withdrawn": sum(one["status"] == "Withdrawn" for one in found.values()),
        "understood_alike": found == wanted,
        "read_back_identical": told(list(back.entries(withdrawn=True))) == told(list(ours.entries())),
    }


if __name__ == "__main__":
    main()
