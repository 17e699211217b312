"""What the pages say was measured is what the JSON files say."""

from __future__ import annotations

import functools
import json
import operator
import runpy
from pathlib import Path

import pytest

from goals import GOALS, judge
from pages.goals import goals_page

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", runpy.run_path(str(ROOT / "scripts" / "render_results.py"))["pages"](ROOT).items())
def test_every_page_is_rendered_from_the_results(page: tuple[str, str]) -> None:
    path, text = page
    assert (ROOT / path).read_text(encoding="utf-8") == text, "run scripts/render_results.py"


def test_what_the_readme_says_of_hardware_is_what_the_records_say() -> None:
    def of(name: str, *keys: str) -> float:
        value = json.loads((ROOT / "results" / name).read_text(encoding="utf-8"))
        return float(functools.reduce(operator.getitem, keys, value))

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    mini, resnet = ((name, "images_per_second") for name in ("mini", "ResNet-50"))
    searches = ("seconds_of_searches", "before")
    peaks = {of("memory.json", "peak_bytes", n) for n in ("2000", "20000")}
    for said in (
        f"| {of('pipeline.json', 'images_per_second', 'median', 'pipeline'):.0f} images a second with one",
        f"| {of('embedding.json', 'networks', *mini, 'ours', 'median'):.0f} images a second |",
        f"| {of('embedding.json', 'networks', *resnet, 'ours', 'median'):.0f} images a second, "
        f"{of('embedding.json', 'networks', *resnet, 'ours_compiled', 'median'):.0f} compiled",
        f"| {max(peaks) / (1 << 20):.0f} MiB of memory at most",
        f"| {of('library.json', *searches, 'exact', 'median'):.1f} s exactly, "
        f"{of('library.json', *searches, 'index', 'median'):.2f} s by an index of "
        f"{of('library.json', 'opened_in', 'index_bytes') / 1e6:.0f} MB",
    ):
        assert said in readme


def test_every_goal_is_judged_as_its_target_says() -> None:
    for path in (ROOT / "results").rglob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        for each in record.get("goals", []) if isinstance(record, dict) else []:
            again = judge(each["goal"], each["value"], part=each["part"], note=each["note"])
            assert again.to_dict() == each, path.name


def test_a_goal_without_a_figure_is_told_as_not_measured(tmp_path: Path) -> None:
    text = goals_page(tmp_path)
    assert text.count("not yet measured |") == sum(len(goal.targets) for goal in GOALS)
    assert "Not yet measured (`scripts/gpu_proof limits`)" in text


def test_a_figure_stands_beside_its_goal_with_its_machine_met_or_missed(tmp_path: Path) -> None:
    machine = {"cpu": "a CPU", "cores": 2, "gpu": None}
    goals = [judge("G18", 0.8, part="CPU", note="busy").to_dict(), judge("G5", 0.7).to_dict()]
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps({"goals": goals, "measured": {"machine": machine}}))
    text = goals_page(folder)
    assert "**0.8** (missed); busy | 2 cores, a CPU | `results/a.json`" in text
    assert "**0.7** (met)" in text


def test_a_record_that_measures_a_goal_anew_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    def write(name: str, part: str, value: float) -> None:
        path = tmp_path / "results" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        measured = {"machine": {"cpu": "a CPU", "cores": 2, "gpu": None}}
        path.write_text(json.dumps({"goals": [judge("G20", value, part=part).to_dict()], "measured": measured}))

    write("search/indexes.json", "CPU", 0.25)
    write("gpu/faiss.json", "GPU", 0.5)
    assert "**0.25**" in goals_page(tmp_path / "results"), "until there is another"
    write("search/recall.json", "CPU", 0.75)
    text = goals_page(tmp_path / "results")
    assert ("**0.75**" in text, "**0.25**" in text, "**0.5**" in text) == (True, False, True)


def test_the_reliability_that_the_readme_tells_was_measured() -> None:
    record = json.loads((ROOT / "results" / "reliability.json").read_text(encoding="utf-8"))
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for section, words in {"kills": "kills at random", "mutants": "libraries with", "disks": "writes to full"}.items():
        assert f"{record[section]['tried']:,} {words}" in text
        assert record[section]["bad"] == 0
