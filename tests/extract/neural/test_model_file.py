"""A network in a file gives the rows that it gives where it was made, however the file takes images."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from simsearch import Library, load_extractor
from simsearch.errors import DependencyMissing, InputError, ModelError, ModelNotFound, WeightsError
from simsearch.extract.load import is_zoo_name
from simsearch.naming import is_class_name

SIDE, ROW = 16, 5
MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)
NORMALISED = f"mean={' '.join(map(str, MEAN))},std={' '.join(map(str, STD))}"


@pytest.fixture
def layer() -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(3, ROW, 3, stride=2)


@pytest.fixture
def pixels(rng: np.random.Generator) -> Any:
    return rng.integers(0, 256, (7, SIDE, SIDE, 3), dtype=np.uint8)


def expected(layer: nn.Conv2d, pixels: Any, mean: Any = MEAN, std: Any = STD, levels: float = 255) -> Any:
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / levels
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (mean, std))
    with torch.inference_mode():
        return layer((images - mean) / std).relu().mean(dim=(2, 3)).numpy()


def onnx_file(
    path: Path,
    layer: nn.Conv2d,
    *,
    batch: int | str = "n",
    side: int | str = SIDE,
    kind: int = TensorProto.FLOAT,
    last: bool = False,
    flat: bool = True,
    told: dict[str, str] | None = None,
) -> Path:
    """The convolution, its positive part and the mean over places."""
    shape = [batch, side, side, 3] if last else [batch, 3, side, side]
    nodes, name = [], "images"
    if kind != TensorProto.FLOAT:
        nodes.append(helper.make_node("Cast", [name], [name := "floats"], to=TensorProto.FLOAT))
    if last:
        nodes.append(helper.make_node("Transpose", [name], ["turned"], perm=[0, 3, 1, 2]))
        name = "turned"
    nodes += [
        helper.make_node("Conv", [name, "weight", "bias"], ["a"], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c" if flat else "rows"]),
        *([helper.make_node("Flatten", ["c"], ["rows"])] if flat else []),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value.detach().numpy(), name) for name, value in layer.named_parameters()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, told or {})
    onnx.save(model, str(path))
    return path


def script_file(path: Path, layer: nn.Module, *, told: object = None, tail: nn.Module | None = None) -> Path:
    network = nn.Sequential(layer, nn.ReLU(), nn.AdaptiveAvgPool2d(1), tail or nn.Flatten()).eval()
    with warnings.catch_warnings(category=FutureWarning, action="ignore"):
        traced = torch.jit.trace(network, torch.zeros(1, 3, SIDE, SIDE))
        extra = {} if told is None else {"preprocessing.json": told if isinstance(told, str) else json.dumps(told)}
        torch.jit.save(traced, str(path), _extra_files=extra)
    return path


KINDS = {
    "any batch": {},
    "any size": {"side": "s"},
    "one at a time": {"batch": 1},
    "four at a time": {"batch": 4},
    "channels last": {"last": True},
    "half": {"kind": TensorProto.FLOAT16},
    "places": {"flat": False},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_onnx_file_gives_the_rows_of_its_network(tmp_path, layer, pixels, kind):
    path = onnx_file(tmp_path / "net.onnx", layer, **KINDS[kind])
    size = f"size={SIDE}," if kind == "any size" else ""
    extractor = load_extractor(f"onnx:{path}({size}{NORMALISED})", device="cpu")
    tolerance = 2e-3 if kind == "half" else 1e-5
    for count in (7, 1, 0):
        rows = extractor.embed_pixels(pixels[:count])
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, expected(layer, pixels[:count]), rtol=tolerance, atol=tolerance)
    assert (extractor.dimension, extractor.metric, extractor.kind) == (ROW, "cosine", "network")
    extractor.admit()


def test_an_onnx_file_that_takes_levels_is_given_levels(tmp_path, layer, pixels):
    path = onnx_file(tmp_path / "net.onnx", layer, kind=TensorProto.UINT8)
    rows = load_extractor(f"onnx:{path}").embed_pixels(pixels)
    np.testing.assert_allclose(rows, expected(layer, pixels, (0.0,), (1.0,), levels=1), rtol=1e-4)
    with pytest.raises(InputError, match="takes levels of colour as they are: leave out mean"):
        load_extractor(f"onnx:{path}(mean=0.5)")


def test_a_torchscript_file_gives_the_rows_of_its_network(tmp_path, layer, pixels):
    for tail in (nn.Flatten(), nn.Identity()):
        path = script_file(tmp_path / "net.pt", layer, tail=tail)
        extractor = load_extractor(f"torchscript:{path}(size={SIDE},{NORMALISED})", device="cpu")
        np.testing.assert_allclose(extractor.embed_pixels(pixels), expected(layer, pixels), rtol=1e-4, atol=1e-5)
        assert (extractor.dimension, extractor.metric, extractor.kind) == (ROW, "cosine", "network")


def both(tmp_path: Path, layer: nn.Conv2d, told: dict[str, Any]) -> list[str]:
    text = {key: " ".join(map(str, value)) if isinstance(value, list) else str(value) for key, value in told.items()}
    return [
        f"onnx:{onnx_file(tmp_path / 'net.onnx', layer, side='s', told=text)}",
        f"torchscript:{script_file(tmp_path / 'net.pt', layer, told=told)}",
    ]


def test_what_a_file_says_counts_unless_its_name_says_something_else(tmp_path, layer, pixels):
    told = {"size": SIDE, "mean": list(MEAN), "std": 0.5, "metric": "js", "kernel": "bicubic", "author": "nobody"}
    for name in both(tmp_path, layer, told):
        extractor = load_extractor(name)
        how = extractor.preprocessing
        assert (how.size, how.fit, how.kernel, how.mean, how.std) == (SIDE, "squash", "bicubic", MEAN, (0.5,) * 3)
        assert (extractor.metric, extractor.non_negative) == ("js", True)
        other = load_extractor(f"{name}({NORMALISED},fit=crop,resize=20,metric=l2)")
        assert (other.preprocessing.std, other.preprocessing.resize, other.metric) == (STD, 20, "l2")
        assert other.name != extractor.name
        assert other.fingerprint != extractor.fingerprint
        np.testing.assert_allclose(other.embed_pixels(pixels), expected(layer, pixels), rtol=1e-4, atol=1e-5)


def test_imagenets_normalisation_is_taken_where_none_is_told(tmp_path, layer):
    for name in both(tmp_path, layer, {"size": SIDE}):
        how = load_extractor(name).preprocessing
        assert (how.mean, how.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_another_file_is_another_model(tmp_path, layer):
    one = [load_extractor(name).fingerprint for name in both(tmp_path, layer, {"size": SIDE})]
    nn.init.zeros_(layer.bias)
    other = [load_extractor(name).fingerprint for name in both(tmp_path, layer, {"size": SIDE})]
    assert len({*one, *other}) == 4


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ("sise=16", "there is no parameter 'sise'; there are size, fit"),
        ("size=0", "size must be a number of pixels"),
        ("size=1e2", "size must be a number of pixels"),
        ("mean=0.5 0.5", "mean must be one number or three"),
        ("std=nan", "std must be one number or three"),
        ("std=0.5 0 0.5", "std is a divisor"),
        ("fit=stretch", "no such fit"),
        ("fit=crop,resize=8", "size 16 with resize 8"),
        ("metric=hamming", "one of codes"),
        ("metric=jaccard", "no metric 'jaccard'"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(tmp_path, layer, parameters, match):
    for name in both(tmp_path, layer, {"size": SIDE}):
        with pytest.raises(InputError, match=match):
            load_extractor(f"{name}({parameters})")


def test_a_size_must_be_told_once(tmp_path, layer):
    for name in both(tmp_path, layer, {}):
        with pytest.raises(InputError, match=r"does not say what size it takes: name it as .*\(size=224\)"):
            load_extractor(name)
    path = onnx_file(tmp_path / "fixed.onnx", layer)
    with pytest.raises(InputError, match=f"takes {SIDE} x {SIDE} pixels, and its name says size=20"):
        load_extractor(f"onnx:{path}(size=20)")


def test_what_is_no_such_file_is_refused_by_its_name(tmp_path, layer):
    (tmp_path / "text").write_text("no network")
    for form in ("onnx", "torchscript"):
        with pytest.raises(ModelNotFound, match=r"there is no file .*nothing"):
            load_extractor(f"{form}:{tmp_path / 'nothing'}(size=16)")
        with pytest.raises(WeightsError, match="text"):
            load_extractor(f"{form}:{tmp_path / 'text'}(size=16)")
    bad = script_file(tmp_path / "bad.pt", layer, told="[1")
    with pytest.raises(InputError, match=r"its preprocessing\.json is no JSON object"):
        load_extractor(f"torchscript:{bad}")


def test_a_network_that_takes_or_gives_something_else_is_refused(tmp_path, layer):
    wide = onnx_file(tmp_path / "wide.onnx", layer, side=SIDE)
    model = onnx.load(str(wide))
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 2 * SIDE
    onnx.save(model, str(wide))
    with pytest.raises(ModelError, match="must take squares"):
        load_extractor(f"onnx:{wide}")
    with pytest.raises(ModelError, match="one batch of images of 3 channels"):
        load_extractor(f"onnx:{onnx_file(tmp_path / 'ints.onnx', layer, kind=TensorProto.INT32)}")
    places = script_file(tmp_path / "places.pt", layer, tail=nn.Upsample(2))
    with pytest.raises(ModelError, match="it must give floats"):
        load_extractor(f"torchscript:{places}(size={SIDE})")
    grey = script_file(tmp_path / "small.pt", layer)
    with pytest.raises(ModelError, match="Kernel size"):
        load_extractor(f"torchscript:{grey}(size=2)")


def test_devices_and_types_that_there_are_not_are_refused(tmp_path, layer):
    for name in both(tmp_path, layer, {"size": SIDE}):
        with pytest.raises(InputError, match="computes as its file says: leave dtype out"):
            load_extractor(name, dtype="bfloat16")
        with pytest.raises(InputError, match="device"):
            load_extractor(name, device="tpu")


def test_without_onnx_runtime_the_extra_is_named(tmp_path, layer, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DependencyMissing, match=r'pip install -e ".\[onnx\]"'):
        load_extractor(f"onnx:{onnx_file(tmp_path / 'net.onnx', layer)}")


@pytest.mark.parametrize("name", ["onnx:net.onnx", "onnx:a/net.onnx(size=16)", "torchscript:net.pt"])
def test_a_file_is_neither_a_class_nor_of_the_zoo(name):
    assert not is_class_name(name)
    assert not is_zoo_name(name)


def test_a_library_is_made_and_asked_with_a_file(tmp_path, layer, rng):
    from PIL import Image

    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    for i, name in enumerate(both(tmp_path, layer, {"size": SIDE})):
        with Library.create(tmp_path / str(i), model=load_extractor(name)) as library:
            library.add([photos])
        with Library.open(tmp_path / str(i), extractor=load_extractor(name)) as library:
            assert library.search([photos / "2.png"], k=1)[0].matches[0].path.endswith("2.png")
        with Library.open(tmp_path / str(i)) as library, pytest.raises(ModelError, match="--model"):
            library.search([photos / "2.png"], k=1)
