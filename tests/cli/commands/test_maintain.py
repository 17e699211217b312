"""`simsearch optimize --recall`, `info`, `query --exact`: an index from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simsearch.library.format.layout import INDEXES
from tests.cli.conftest import FAKE, Run
from tests.library.rows import library_of_rows
from tests.search.rows import clustered


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("simsearch.library.indexes.held_out.ASKED", 200)
    with library_of_rows(tmp_path / "rows.library", clustered(1500, 16, seed=0)) as made:
        return made.path


def test_an_index_is_built_told_and_can_be_gone_without(run: Run, library: Path) -> None:
    code, out, err = run("optimize", "--library", library, "--recall", 0.9, "--kind", "rabitq", "--json")
    assert code == 0, err
    [built] = json.loads(out)["indexes"]
    chosen = built["curve"]["chosen"]
    assert (built["kind"], built["metric"], built["rows"], built["usable"]) == ("rabitq", "js", 1500, True)
    assert chosen["low"] >= 0.9
    code, out, err = run("info", "--library", library)
    assert "index  rows, js, rabitq, 18 bytes a row" in out
    used = [line.split() for line in out.splitlines() if line.strip().startswith("->")]
    chosen = [curve["chosen"] for curve in (built["curve"], *built["wider"])]
    assert [(int(line[-2]), int(line[-1])) for line in used] == [(one["effort"], one["depth"]) for one in chosen]
    for recall in built["recalls"]:
        assert f"  recall {recall['value']:.3f} ({recall['low']:.3f}-{recall['high']:.3f}) of the {recall['k']}" in out
    assert [recall["k"] for recall in built["recalls"]] == [1, 10, 100]
    assert json.loads(run("info", "--library", library, "--json")[1])["indexes"] == [built]
    assert run("verify", "--library", library, "--deep")[0] == 0


def test_a_small_library_gets_no_index_unless_a_kind_is_named(run: Run, library: Path) -> None:
    code, out, _ = run("optimize", "--library", library, "--recall", 0.9)
    assert (code, "searched exactly and soon enough" in out) == (0, True)
    assert run("optimize", "--library", library, "--kind", "hnsw")[0] == 2
    code, _, err = run("optimize", "--library", library, "--recall", 0.9, "--kind", "tree")
    assert (code, "no kind of index is called 'tree'" in err) == (3, True)
    code, _, err = run("optimize", "--library", library, "--recall", 0.9, "--metric", "l1")
    assert (code, "no index serves l1" in err) == (3, True)


def test_a_damaged_index_is_mended_by_the_command_that_verify_names(run: Run, library: Path) -> None:
    run("optimize", "--library", library, "--recall", 0.9, "--kind", "rabitq")
    [path] = (library / INDEXES).glob("*.faiss")
    path.write_bytes(path.read_bytes()[:-1])
    code, _, err = run("verify", "--library", library)
    assert code == 3
    assert f"run: simsearch optimize --library {library}" in err
    assert run("optimize", "--library", library)[0] == 0
    assert run("verify", "--library", library, "--deep")[0] == 0


def test_a_query_says_how_it_was_answered(run: Run, library: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = clustered(1500, 16, seed=0)[3].astype(np.float32)
    table = pa.table({"path": ["q"], "embedding": pa.array([row.tolist()], pa.list_(pa.float32(), 16))})
    table = table.replace_schema_metadata({b"model": b"nobody", b"fingerprint": b"r0"})
    pq.write_table(table, tmp_path / "rows.parquet")
    run("optimize", "--library", library, "--recall", 0.9, "--kind", "rabitq", "--metric", "cosine")
    asked = (
        "query",
        "--rows",
        tmp_path / "rows.parquet",
        "--library",
        library,
        "--metric",
        "cosine",
        "-k",
        3,
        "--json",
    )
    code, out, err = run(*asked)
    assert code == 0, err
    found = json.loads(out)
    assert found["certified"] is False
    assert 0.9 <= found["recall"]["low"] <= found["recall"]["value"] <= found["recall"]["high"]
    assert found["recall"]["k"] == 3
    out = run(*asked[:-1])[1]
    assert f"through an index: recall {found['recall']['value']:.3f}" in out
    assert "of the 3 nearest" in out
    assert "recall" not in run(*asked[:-1], "--exact")[1]
    exact = json.loads(run(*asked, "--exact")[1])
    assert (exact["certified"], exact["recall"]) == (True, None)
    assert exact["matches"][0] == found["matches"][0]
    ordered = json.loads(run(*asked, "--order", "exact")[1])
    assert [found["order"], ordered["order"], exact["order"]] == ["float32", "exact", "exact"]
    assert (ordered["certified"], ordered["recall"]) == (False, found["recall"])
    assert run(*asked, "--order", "exact", "--exact")[0] == 2


@pytest.mark.parametrize("kind", ["flat", "ivf_flat", "ivf_pq", "hnsw", "rabitq"])
@pytest.mark.parametrize("recall", ["0.01", "0.9", "1"])
def test_few_rows_are_said_to_be_the_reason(run: Run, pictures: Path, tmp_path: Path, kind: str, recall: str) -> None:
    assert run("index", pictures, "--library", tmp_path / "few", "--model", FAKE, "--workers", 0)[0] == 0
    code, _, err = run("optimize", "--library", tmp_path / "few", "--kind", kind, "--recall", recall, "--quiet")
    assert code in (0, 3)
    if code:
        assert "too few" in err or "rows at least" in err
        assert len(err) < 400
        assert "/faiss/" not in err
        assert "--bytes" not in err
