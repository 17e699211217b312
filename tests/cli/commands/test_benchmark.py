"""The benchmark from the command line, on twelve pictures of our own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.benchmark.world import photographs
from tests.cli.conftest import FAKE, OTHER, Run

WRITTEN = ("results.json", "tables.md", "report.html")
QUICK = ("--workers", 0, "--attacked", 3, "--edits", "jpg_compression_50,rotation_60_and_rescaling", "--fpr", "0.3")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = photographs(tmp_path_factory.mktemp("benchmark") / "photos")
    (folder / "notes.jpg").write_text("no image")
    return folder


def test_from_photographs_to_a_report_and_again_from_results_alone(run: Run, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    log = tmp_path / "log.json"
    command = ("benchmark", photos, "--models", f"{FAKE},{OTHER},dhash", "--output", folder, *QUICK, "--seeds", "0,1")
    code, out, err = run(*command, "--log", log)
    assert code == 0, err
    assert "12 photographs of photos, 1 rejected" in out
    (row,) = [line for line in out.splitlines() if line.startswith("  dHash")]
    assert row.count("-") == 3, "areas and recall have their intervals"
    assert str(folder / "report.html") in out
    assert "rejected: notes.jpg: unknown_format" in err
    assert {json.loads(line)["progress"] for line in err.splitlines() if line.startswith("{")} >= {"benchmark: copies"}
    written = {name: (folder / name).read_bytes() for name in WRITTEN}
    thumbnails = sorted(path.name for path in (folder / "thumbnails").iterdir())
    assert thumbnails
    assert str(tmp_path) not in "".join(data.decode() for data in written.values()), "no path of this machine"
    (entry,) = json.loads(log.read_text())
    assert (entry["methods"], entry["splits"], entry["photographs"]) == (["fake", "other", "dhash"], [0, 1], "photos")

    for name in WRITTEN[1:]:
        (folder / name).unlink()
    code, out, err = run("benchmark", "--output", folder, "--replot", "--json", "--log", log)
    assert code == 0, err
    facts = json.loads(out)
    assert {name: (folder / name).read_bytes() for name in WRITTEN} == written
    assert (facts["schema"], facts["photographs"], facts["rejected"], facts["missing"]) == (1, 12, 1, {})
    assert [method["method"] for method in facts["methods"]] == ["fake", "other", "dhash"]
    assert not facts["methods"][0]["supported"]
    assert len(json.loads(log.read_text())) == 1, "a replot is no run"


def test_the_needle_protocol_by_a_config(run: Run, photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "needle.yaml"
    needle = {"groups": {"one": ["scaling_0.8"], "two": ["inversion"]}, "queries": 4, "libraries": [6, 1000]}
    config.write_text(json.dumps({"models": [FAKE], "protocols": ["needle"], "needle": needle, "workers": 0}))
    out_folder = tmp_path / "out"
    code, out, err = run("benchmark", photos, "--config", config, "--output", out_folder)
    assert code == 0, err
    assert "one, 6e0" in out
    assert "not supported" in err
    assert "In a library of 1,000 strangers" in (out_folder / "tables.md").read_text()
    code, out, err = run("benchmark", "--output", out_folder, "--replot", "--json")
    assert code == 0, err
    found = json.loads(out)["needle"]
    assert len(found) == 2 * 2 * 3
    assert found[0] == {
        **{"method": "fake", "metric": "js", "group": "one", "library": 6.0, "expected": 1.0},
        **{"recall": 1.0, "support": "unsupported"},
    }
    code, _, err = run("benchmark", photos / "a", "--config", config, "--output", tmp_path / "other")
    assert code == 3
    assert "give photographs in one folder a source" in err


def test_all_names_can_be_listed(run: Run) -> None:
    status, out, _ = run("benchmark", "--list")
    assert status == 0
    for name in ("phash(size=8", "mini", "rotation_{}_and_rescaling", "overlay_image_{}", "chain_{}"):
        assert name in out
    assert "\\n" not in out


def test_settings_come_from_a_file_and_flags_win(run: Run, photos: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(
        f"path: {photos}\noutput: {tmp_path / 'no'}\nmodels: ['{FAKE}']\nworkers: 0\nattacked: 3\nseeds: [4, 5]\n"
        "edits: jpg_compression_50\nprotocols: [paper]\nfpr: 0.3\nbootstrap: 10\njson: true\nstrict: true\n"
    )
    code, out, err = run("benchmark", "--config", config, "--output", tmp_path / "out", "--seeds", 6)
    assert code == 1, err
    assert json.loads(out)["rejected"] == 1
    settings = json.loads((tmp_path / "out" / "results.json").read_text())["settings"]
    assert (settings["seeds"], settings["edits"], settings["bootstrap"]) == ([6], ["jpg_compression_50"], 10)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--seeds", "one"), "seeds.0: Input should be a valid integer"),
        (("--models", "dhash,,"), "cannot read the names"),
        (("--fpr", "2"), "fpr: Value error, a false-positive rate must be below 1"),
        (
            ("--edits", "overlay_image_15(opacity=0.5,place=centre),paper,paper"),
            "edits: Value error, the same value stands there twice",
        ),
    ],
)
def test_wrong_usage(run: Run, photos: Path, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run("benchmark", photos, "--output", tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.replace("│", " ").split())


def test_what_is_missing_is_wrong_usage(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run("benchmark", photos)[0] == 2
    assert run("benchmark", "--output", tmp_path)[0] == 2
    config = tmp_path / "run.yaml"
    config.write_text("nonsense: 1\n")
    code, _, err = run("benchmark", photos, "--output", tmp_path, "--config", config)
    assert code == 2
    assert "'nonsense' is no flag of this command; it has" in " ".join(err.replace("│", " ").split())


def test_errors_are_named(run: Run, photos: Path, tmp_path: Path) -> None:
    code, _, err = run("benchmark", photos, "--output", tmp_path, "--models", "dhash", "--workers", 0, "--attacked", 7)
    assert code == 3
    assert "too few to edit 7 of each" in err
    code, _, err = run("benchmark", "--output", tmp_path / "none", "--replot")
    assert code == 3
    assert "results.json cannot be read" in err


def test_the_configurations_of_the_checkout_are_valid() -> None:
    from simsearch.benchmark.settings import settings_of
    from simsearch.runtime.user_files import read_yaml

    folder = Path(__file__).parents[3] / "configs"
    configs = [*sorted(folder.glob("benchmark*.yaml")), folder / "today.yaml"]
    assert len(configs) > 1
    for config in configs:
        settings_of(read_yaml(config))
