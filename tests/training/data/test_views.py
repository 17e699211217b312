"""What a step sees: each picture once a pass, views that repeat under a seed, edits by Pillow before the device's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from simsearch.errors import InputError
from simsearch.extract.networks.resnet import luminance
from simsearch.images.preprocess import Preprocessing
from simsearch.training.augment.image_batch import Squares
from simsearch.training.config import Edit, View
from simsearch.training.data.augmentation_plan import plan_of
from simsearch.training.data.batches import Batches, BatchNumbers, Recipe
from simsearch.training.data.images import Pictures, load_pictures, pictures_of, square
from simsearch.training.data.pairs import read_pairs
from simsearch.training.data.views import ViewMaker, network_input
from tests.training import world

SIDE = 48
CLEAN = plan_of(View(), "x")


def plan(*edits: tuple[str, tuple[float, float] | None, float], engine: str = "auto") -> object:
    made = tuple(Edit(edit=name, strength=strength, share=share) for name, strength, share in edits)
    return plan_of(View(edits=made), "x", engine=engine)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    return load_pictures([world.pictures(tmp_path_factory.mktemp("photos"), 21)], side=SIDE)[0]


def recipe(*plans: object, **changes: object) -> Recipe:
    return replace(Recipe((CLEAN, *plans), mirror=0.0, size=5, side=SIDE, seed=3), **changes)  # type: ignore[arg-type]


def views(pictures: Pictures, made: Recipe, number: int = 0) -> tuple[Squares, Squares]:
    return ViewMaker(pictures.squares(SIDE), pictures.sizes.float(), made.plans).views(Batches(pictures, made)[number])


def test_each_picture_is_there_once_a_pass_on_one_device_or_two(pictures: Pictures) -> None:
    for world_size, alike in ((1, 1), (2, 1), (1, 5)):
        more = {"world": world_size, "alike": alike}
        made = [Batches(pictures, recipe(CLEAN, rank=rank, **more)) for rank in range(world_size)]
        a_pass = 21 // (5 * world_size)
        for turn in range(2):
            numbers = range(turn * a_pass, (turn + 1) * a_pass)
            seen = [int(i) for number in numbers for batches in made for i in batches.index(number)]
            assert len(seen) == len(set(seen)) == 5 * world_size * a_pass
        assert made[0].index(0).tolist() != made[0].index(a_pass).tolist(), "another order in the next pass"
    with pytest.raises(InputError, match="a batch of 22 needs as many photographs, and 21 are left"):
        Batches(pictures, recipe(CLEAN, size=22))


def test_batches_go_on_where_a_run_was_left() -> None:
    numbers = iter(BatchNumbers(7))
    assert [next(numbers) for _ in range(3)] == [7, 8, 9]


def test_a_batch_depends_on_the_seed_and_its_number_alone(pictures: Pictures) -> None:
    edits = plan(("chain_2", None, 0.5), ("gaussian_noise_{}", (0.01, 0.05), 0.5), ("perspective_{}", (5, 20), 0.5))
    first, again = (views(pictures, recipe(edits), 4)[1].pixels for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, views(pictures, recipe(edits), 5)[1].pixels)
    assert not torch.equal(first, views(pictures, recipe(edits, seed=4), 4)[1].pixels)


def test_without_edits_both_views_are_the_pictures(pictures: Pictures) -> None:
    made = recipe(CLEAN)
    index = Batches(pictures, made).index(0)
    for view in views(pictures, made):
        for i, pixels in zip(index, view.pixels, strict=True):
            assert torch.equal(pixels, square(pictures.image(int(i)), SIDE).float())


@pytest.mark.parametrize("gamma_at", [0, 1, 2, 3])
def test_views_of_luminance_are_the_luminance_of_views(pictures: Pictures, gamma_at: int) -> None:
    edits = [
        ("crop_anywhere_{}", (10.0, 60.0), 0.5),
        ("blur_{}", (1.0, 3.0), 0.5),
        ("jpg_compression_{}", (20.0, 80.0), 0.5),
    ]
    edits.insert(gamma_at, ("gamma_{}", (0.4, 2.5), 0.5))
    made = recipe(plan(*edits[:2], ("emoji_40", None, 0.3), *edits[2:]), size=20)
    maker = ViewMaker(pictures.squares(SIDE), pictures.sizes.float(), made.plans)
    batch = Batches(pictures, made)[0]
    for grey, coloured in zip(replace(maker, luminance=True).views(batch), maker.views(batch), strict=True):
        assert grey.pixels.shape[1] == 1
        assert torch.equal(grey.sizes, coloured.sizes)
        assert (grey.pixels - luminance(coloured.pixels)).abs().mean() < 1


def test_both_views_are_mirrored_alike(pictures: Pictures) -> None:
    first, second = views(pictures, recipe(CLEAN, mirror=1.0))
    plain, _ = views(pictures, recipe(CLEAN))
    assert torch.equal(first.pixels, plain.pixels.flip(3))
    assert torch.equal(first.pixels, second.pixels)
    half, none = (views(pictures, recipe(CLEAN, mirror=mirror, size=20))[0].pixels for mirror in (0.5, 0.0))
    assert 3 < sum(torch.equal(a, b) for a, b in zip(half, none, strict=True)) < 17


def test_pillows_edits_come_first_and_then_the_devices(pictures: Pictures) -> None:
    """A stamp over all and then a flip: what Pillow alone makes of both, in that order."""
    edits = (("flip_vertical", None, 1.0), ("tests.training.data.test_views:top_half", None, 1.0))
    mixed = views(pictures, recipe(plan(*edits)))[1].pixels
    assert (mixed[:, :, SIDE // 2 + 2 :] == 255).all(), "stamped at the top, then flipped"
    as_written = views(pictures, recipe(plan(*edits, engine="pillow")))[1].pixels
    assert (as_written[:, :, : SIDE // 2 - 2] == 255).all(), "flipped, then stamped at the top"


def top_half(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image.paste("white", (0, 0, image.width, image.height // 2 + 1))
    return image


def test_the_size_of_a_picture_follows_its_edits(pictures: Pictures) -> None:
    made = recipe(plan(("turn_90", None, 1.0)))
    index = torch.from_numpy(Batches(pictures, made).index(0))
    assert torch.equal(views(pictures, made)[1].sizes, pictures.sizes[index].flip(1).float())
    padded = views(pictures, recipe(plan(("pillarbox_50", None, 1.0))))[1]
    assert (padded.aspect > (pictures.sizes[index, 0] / pictures.sizes[index, 1]) * 1.2).all()


def test_what_the_network_takes_is_what_the_extractor_makes(pictures: Pictures) -> None:
    how = Preprocessing(32, "squash", 32, "bilinear", (0.4, 0.5, 0.6), (0.2, 0.25, 0.3))
    one = pictures.image(3)
    seen = network_input(Squares(square(one, SIDE).unsqueeze(0).float(), pictures.sizes[3:4].float()), how)
    expected = (how.apply(one) / 255 - np.array(how.mean)) / np.array(how.std)
    assert np.abs(seen[0].permute(1, 2, 0).numpy() - expected).mean() < 0.05


def test_photographs_are_read_once_each_and_faults_are_told(tmp_path: Path) -> None:
    folder = world.pictures(tmp_path / "photos", 6)
    (folder / "twin.png").write_bytes((folder / "03.png").read_bytes())
    (folder / "notes.jpg").write_text("no image")
    found, rejected = load_pictures([folder], side=30)
    assert len(found) == 6
    assert [reject.code for reject in rejected] == ["unknown_format"]
    assert found.sizes.max() == 30
    for i in range(6):
        with Image.open(folder / f"{i:02}.png") as image:
            assert found.image(i).size == image.resize(tuple(found.sizes[i].tolist())).size
            assert abs(image.width / image.height - found.image(i).width / found.image(i).height) < 0.06
    assert len(load_pictures([folder], side=30, most=4)[0]) <= 4
    part = found.part([4, 1])
    assert part.names == (found.names[4], found.names[1])
    assert np.array_equal(np.asarray(part.image(1)), np.asarray(found.image(1)))
    with pytest.raises(InputError, match=r"found no photographs \(1 of 1 rejected: unknown_format"):
        load_pictures([folder / "notes.jpg"], side=30)
    assert len(pictures_of([], [])) == 0


def test_photographs_that_do_not_fit_into_memory_are_refused(tmp_path: Path) -> None:
    folder = world.pictures(tmp_path / "photos", 3)
    with pytest.raises(InputError, match=r"3 photographs of 1000000 pixels a side take .* smaller `side`"):
        load_pictures([folder], side=1_000_000)


def test_pairs_are_read_and_drawn(tmp_path: Path) -> None:
    world.pictures(tmp_path / "photos", 4)
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,copy\nphotos/00.png,photos/01.png,yes\nphotos/02.png,photos/03.png,no\n")
    pairs = read_pairs(path, side=SIDE)
    assert pairs.copies.tolist() == [True, False]
    with Image.open(tmp_path / "photos" / "03.png") as image:
        image.thumbnail((SIDE, SIDE))
        assert torch.equal(pairs.b[1], square(image.convert("RGB"), SIDE))
        assert pairs.sizes[1, 1].tolist() == list(image.size)
    drawn = pairs.drawn(np.random.default_rng(0), 6)
    assert drawn["copies"].shape == (6,)
    assert drawn["sizes"].shape == (2, 6, 2)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a,b\nx,y\n", "has no column copy; its first line must name a, b, copy"),
        ("a,b,copy\n", "holds no pairs"),
        ("a,b,copy\nphotos/00.png,photos/01.png,maybe\n", "line 2: copy is 'maybe'; write yes or no"),
        ("a,b,copy\nphotos/00.png,gone.png,yes\n", r"line 2: gone\.png: .*No such file"),
        ("a,b,copy\nphotos/00.png,pairs.csv,yes\n", r"line 2: pairs\.csv: unknown_format"),
    ],
)
def test_pairs_that_cannot_be_read_are_named(tmp_path: Path, text: str, told: str) -> None:
    world.pictures(tmp_path / "photos", 2)
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=told):
        read_pairs(tmp_path / "pairs.csv", side=SIDE)
