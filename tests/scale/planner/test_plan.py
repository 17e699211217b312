"""A plan adds up, rests on the records that it names, says no where it must, and what it offers instead fits."""

from __future__ import annotations

import functools
import json
import operator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simsearch.errors import InputError, MetricError, ModelNotFound
from simsearch.scale.planner import rates
from simsearch.scale.planner.models import rows_of
from simsearch.scale.planner.plan import planned
from simsearch.scale.planner.remedies import least_machines, plan
from simsearch.scale.planner.request import Machine, PlanRequest, Rows
from simsearch.scale.planner.sizes import bytes_of, count_of, duration, size
from simsearch.search.indexes.choice import index_for

RESULTS = Path(__file__).parents[3] / "results"
MINI = Rows("mini", 512, "js", 1024, 0.169)
WIDE = Rows("wide", 2048, "cosine", 4096, 4.1)
CODES = Rows("mini", 12, "hamming", 12, 0.169, 96)
GIB = 1 << 30

machines = st.builds(
    Machine,
    st.integers(1, 64),
    st.none() | st.integers(2 * GIB, 512 * GIB),
    st.none() | st.integers(GIB, 1 << 44),
    st.integers(0, 2),
    st.integers(8 * GIB, 141 * GIB),
)
requests = st.builds(
    PlanRequest,
    st.integers(1, 10**9),
    st.sampled_from([MINI, WIDE, CODES]),
    machines,
    st.sampled_from([0.9, 0.95, 1.0]),
    machines=st.integers(1, 3),
    on_disk=st.booleans(),
)


def test_every_constant_is_what_its_record_says() -> None:
    found = [one for one in vars(rates).values() if isinstance(one, rates.Rate)] + list(rates.CODE_PAIRS.values())
    assert len(found) > 10
    for one in found:
        record = json.loads((RESULTS / one.record).read_text())
        assert one.value == functools.reduce(operator.getitem, one.keys.split("/"), record), one
        assert record["measured"]["machine"]["cores"] == rates.CORES


def test_every_curve_is_what_its_record_says() -> None:
    for kind, (record, points) in rates.CURVES.items():
        told = json.loads((RESULTS / record).read_text())
        assert (told["rows"], told["threads"]) == (rates.INDEX_ROWS, rates.CORES)
        curve = told["curves"][kind]
        assert curve["spec"]["dimension"] == rates.DIMENSION
        assert set(points) <= {(point["low"], point["rate"], point["effort"]) for point in curve["points"]}
    models = json.loads((RESULTS / "models.json").read_text())["models"]
    assert rows_of("mini").gmac == models["mini"]["gmac"]


@given(request=requests)
def test_a_plan_is_refused_just_where_something_does_not_fit(request: PlanRequest) -> None:
    found, machine = planned(request), request.machine
    values = {one.name: one.value for one in found.figures}
    assert all(value >= 0 for value in values.values())
    if machine.memory is not None:
        fits = all(value <= machine.memory for name, value in values.items() if name.startswith("memory while"))
        assert fits == (not any(one.what.startswith("memory while") for one in found.problems))
    if machine.disk is not None:
        total = values["library on disk"] + values.get("index on disk", 0)
        assert (total > machine.disk) == any(one.what == "disk" for one in found.problems)
    for one in found.problems:
        assert one.needed > one.there
    json.dumps(found.to_dict(), allow_nan=False)


@given(request=requests, more=st.floats(1.1, 10))
def test_more_images_never_take_less(request: PlanRequest, more: float) -> None:
    small = replace(request, machine=replace(request.machine, memory=None, gpus=0))
    larger = replace(small, images=int(request.images * more) + 1)
    one, other = planned(small), planned(larger)
    if one.spec.kind != other.spec.kind:
        return
    for name in ("library on disk", "memory while searching", "memory while building", "embedding", "rows taken in"):
        values = [{figure.name: figure.value for figure in each.figures}.get(name, 0) for each in (one, other)]
        assert values[0] <= values[1], name
    assert one.figure("queries").value >= other.figure("queries").value


@given(request=requests)
def test_as_few_machines_as_hold_it(request: PlanRequest) -> None:
    few = replace(request, images=min(request.images, 10**8))
    found = least_machines(few)
    if found is None:
        return
    assert planned(replace(few, machines=found)).fits
    for fewer in {found - 1, found // 2} - {0}:
        assert not planned(replace(few, machines=fewer)).fits


@given(request=requests)
def test_what_is_offered_is_more_than_there_is(request: PlanRequest) -> None:
    found = plan(request)
    assert found.fits == (not found.problems)
    assert found.fits or not found.remedies or all(found.remedies)
    if found.fits:
        assert found.remedies == ()


def test_a_billion_in_little_memory() -> None:
    request = PlanRequest(10**9, MINI, Machine(memory=24 * GIB))
    found = plan(request)
    assert [one.what for one in found.problems] == ["memory while searching", "memory while building"]
    assert found.problems[0].text.startswith(
        "memory while searching: 74.6 GiB are needed, 24 GiB are there: 3.11 times"
    )
    assert any("--bits 96" in one for one in found.remedies)
    assert any("--machines 2" in one for one in found.remedies)
    more = plan(replace(request, machine=Machine(memory=28 * GIB)))
    assert any("--on-disk" in one for one in more.remedies)
    assert planned(replace(more.request, on_disk=True)).fits
    enough = replace(request, machine=Machine(memory=int(found.problems[0].needed) + 1))
    assert planned(enough).fits


def test_a_billion_on_one_gpu_by_the_rule_of_the_goal() -> None:
    found = plan(PlanRequest(10**9, MINI, Machine(16, 128 * GIB, None, 1, 139 * GIB)))
    assert (found.spec.kind, found.on_gpu, found.fits) == ("ivf_pq", True, True)
    assert found.figure("bytes a row").value <= 112
    narrow = plan(PlanRequest(10**9, MINI, Machine(16, 128 * GIB, None, 1, 80 * GIB)))
    assert [one.what for one in narrow.problems] == ["memory of the GPUs (half of it, since lists grow)"]
    assert any("--kind ivf_pq --bytes" in one for one in narrow.remedies)


@given(count=st.integers(50_000, 10**9), memory=st.integers(GIB, 256 * GIB))
def test_the_index_is_the_one_that_optimize_chooses(count: int, memory: int) -> None:
    found = planned(PlanRequest(count, MINI, Machine(memory=memory)))
    if found.fits:
        assert found.spec == index_for(count, 512, "js", memory=memory)


def test_measured_figures_are_those_of_the_very_size() -> None:
    found = planned(PlanRequest(rates.INDEX_ROWS, MINI))
    assert found.figure("index built in").how == "measured"
    assert found.figure("index built in").value == pytest.approx(rates.INDEX_SECONDS.value)
    optimized = found.figure("index built in").value + found.figure("recall measured in").value
    assert optimized == pytest.approx(rates.OPTIMIZE_SECONDS.value)
    assert found.figure("queries").value == pytest.approx(2570.5)
    product = planned(PlanRequest(rates.INDEX_ROWS, MINI, kind="ivf_pq", bytes_a_row=64))
    assert product.figure("index built in").value == pytest.approx(rates.PRODUCT_SECONDS.value)
    assert planned(PlanRequest(10**7, MINI)).figure("queries").how == "extrapolated"


def test_what_cannot_be_planned_is_told() -> None:
    with pytest.raises(InputError, match="recall is 0"):
        PlanRequest(10, MINI, recall=0)
    with pytest.raises(MetricError, match="no distance between codes"):
        PlanRequest(10, replace(CODES, metric="js"))
    with pytest.raises(ModelNotFound):
        rows_of("no_such_model")
    with pytest.raises(InputError, match="makes codes of 64 bits itself"):
        rows_of("phash", bits=96)
    with pytest.raises(InputError, match="float64"):
        rows_of("mini", dtype="float64")


def test_rows_of_models() -> None:
    assert rows_of("mini") == MINI
    assert rows_of("mini", bits=96) == rows_of("mini(bits=96)") == CODES
    assert (rows_of("phash").bytes, rows_of("phash").bits, rows_of("phash").gmac) == (8, 64, None)
    assert rows_of("resnet50", dtype="float32").bytes == 8192
    assert rows_of("resnet50").gmac == json.loads((RESULTS / "models.json").read_text())["models"]["resnet50"]["gmac"]


@pytest.mark.parametrize("text", ["", "1.5", "-1", "0", "1e99", "nan", "many", "1GB", "1e-3"])
def test_what_is_no_number_of_images(text: str) -> None:
    with pytest.raises(InputError, match="is no number of images"):
        count_of(text)


@pytest.mark.parametrize("text", ["", "GiB", "24XB", "-1GB", "1e30TB", "0", "24 GiB please"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InputError, match="is no size"):
        bytes_of(text)


@given(value=st.integers(1, 10**15))
def test_sizes_come_back(value: int) -> None:
    assert bytes_of(size(value)) == pytest.approx(value, rel=0.05)
    assert count_of(f"{value - 1 or 1:,}") == (value - 1 or 1)
    assert duration(value).split()[1] in {"s", "min", "h", "days", "years"}
