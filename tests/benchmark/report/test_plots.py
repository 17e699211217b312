"""Every figure is drawn, as PNG and SVG, and none is where nothing was measured."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from simsearch.benchmark.report import plots
from simsearch.benchmark.report.leaderboard import contenders
from simsearch.benchmark.results import Curve, Results
from tests.benchmark.example_results import example

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Figures of results whose labels look like formulae and HTML."""
    methods = tuple(replace(method, label=f"$x_{{{method.label}}}$ <b>") for method in example().methods)
    return plots.write_plots(replace(example(), methods=methods), tmp_path_factory.mktemp("plots"))


def test_every_figure_is_written_twice(written):
    assert [path.name for path in written] == [f"{name}.{kind}" for name in plots.FIGURES for kind in ("png", "svg")]
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 300
                assert np.asarray(image.convert("L")).std() > 5
        else:
            assert ET.parse(path).getroot().tag.endswith("svg")


def test_names_are_drawn_as_they_are(written):
    curves = next(path for path in written if path.name == "roc.svg").read_text()
    assert "$x_{dHash}$ &lt;b&gt;" in curves


def test_nothing_is_drawn_of_nothing(tmp_path):
    results = Results(settings={}, photographs=example().photographs, methods=())
    assert plots.write_plots(results, tmp_path) == []


def test_the_same_results_give_the_same_file(tmp_path):
    one, other = (plots.write_plots(only_chains(), tmp_path / name)[1].read_bytes() for name in ("a", "b"))
    assert one == other


def test_a_method_has_one_colour_in_all_figures():
    with plots.drawing("test"):
        curves, steps = plots.roc(example()), plots.chains(example())
    colours = [
        {line.get_label(): line.get_color() for line in figure.axes[0].get_lines()} for figure in (curves, steps)
    ]
    assert colours[0] == colours[1]
    assert len(set(colours[0].values())) == len(contenders(example()))


def test_a_drawn_curve_never_exceeds_what_was_measured():
    """Between two operating points the stricter one holds."""
    curve = Curve((None, 0.1, 0.2, None), (0.0, 0.01, 0.5, 1.0), (0.1, 0.6, 0.9, 1.0))
    drawn = plots._recall(curve, np.array([0.001, 0.01, 0.49, 0.5, 1.0]))
    np.testing.assert_array_equal(drawn, [0.1, 0.6, 0.6, 0.9, 1.0])


def only_chains() -> Results:
    results = example()
    return Results(settings={}, photographs=results.photographs, methods=results.methods, chains=results.chains)
