"""From a folder of photographs to matches: indexes it, queries it with edited copies, prints and draws what was found.

Run it as scripts/quickstart [FOLDER]. Without FOLDER it uses the photographs inside the wheels of scikit-image and
scikit-learn, so that neither data nor network is needed.
"""

from __future__ import annotations

import argparse
import filecmp
import itertools
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from contact_sheet import SheetRow, Tile, contact_sheet
from simsearch import Library, load_extractor
from simsearch.cli.inputs import counted
from simsearch.cli.progress import shown
from simsearch.cli.terminal import escaped
from simsearch.distance import hamming
from simsearch.errors import ImageRejected, InputError, ModelError, SimsearchError
from simsearch.extract.hashes.formats import to_hex
from simsearch.images import Source, decode, find
from simsearch.images.perturb import by_name
from simsearch.library import AddReport, Matches, QueryMatches
from simsearch.naming import quantised_name

SCIKIT_IMAGE = (
    *("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "camera.png", "coins.png"),
    *("retina.jpg", "hubble_deep_field.jpg", "ihc.png", "moon.png", "page.png", "motorcycle_right.png", "brick.png"),
    *("grass.png", "gravel.png", "cell.png", "clock_motion.png", "microaneurysms.png", "text.png"),
)
SCIKIT_LEARN = ("china.jpg", "flower.jpg")
EDITS = {
    "JPEG 30": "jpg_compression_30",
    "20 % cropped": "cropping_20_and_rescaling",
    "half size": "scaling_0.5",
    "turned 10°": "rotation_10_and_rescaling",
    "30 letters": "text_length_30",
    "noise": "gaussian_noise_0.05",
    "brighter": "brightness_enhancement_1.5",
    "40 % cropped": "cropping_40_and_rescaling",
    "blurred": "gaussian_filter_7x7",
    "sheared 10°": "shearing_10",
}
BITS = 96
SEED = 0
NEIGHBOURS = 5

console = Console()


@dataclass(frozen=True)
class Copy:
    """An edited copy on disk and the photograph that it was made of."""

    path: Path
    edit: str
    original: Path


def collect(folder: Path) -> None:
    """Copy the photographs that come with scikit-image and scikit-learn into a folder."""
    import skimage
    import sklearn

    folder.mkdir(parents=True, exist_ok=True)
    data, images = Path(skimage.__file__).parent / "data", Path(sklearn.__file__).parent / "datasets" / "images"
    for source in [data / name for name in SCIKIT_IMAGE] + [images / name for name in SCIKIT_LEARN]:
        if source.is_file():
            shutil.copy2(source, folder)


def index(library: Library, folder: Path) -> AddReport:
    """Add all images of a folder; files that are there already and unchanged are skipped."""
    with shown("index") as advance, counted([folder], None) as total:
        return library.add([folder], progress=lambda progress: advance(progress.done, total()))


def photographs(folder: Path, wanted: int) -> Iterator[tuple[Path, Image.Image]]:
    """Yield at most `wanted` photographs from all over a folder, those of the demonstration best known first."""
    files = [Path(os.fsdecode(f.path)) for f in find([folder]) if isinstance(f, Source) and f.offset == 0]
    known = [path for name in SCIKIT_LEARN + SCIKIT_IMAGE for path in files if path.name == name]
    chosen = known or files[:: max(1, len(files) // wanted)]
    found = 0
    for path in chosen:
        if found == wanted:
            return
        try:
            yield path, decode(path.read_bytes()).image
            found += 1
        except (ImageRejected, OSError):
            continue


def make_copies(folder: Path, output: Path) -> list[Copy]:
    """Write one edited copy of several photographs, each with another edit."""
    output.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    copies: list[Copy] = []
    for original, image in photographs(folder, len(EDITS)):
        edit, name = list(EDITS.items())[len(copies) % len(EDITS)]
        path = output / f"{original.stem}-{name}.png"
        try:
            by_name(name).apply(image, rng).save(path)
        except InputError:  # too small for the text
            continue
        copies.append(Copy(path, edit, original))
    return copies


def is_found(copy: Copy, answer: QueryMatches) -> bool:
    """Whether the photograph came first, or a file of exactly its content."""
    if not answer.matches:
        return False
    first = Path(answer.matches[0].path)
    return first == copy.original or (first.is_file() and filecmp.cmp(first, copy.original, shallow=False))


def table(copies: Sequence[Copy], matches: Matches) -> Table:
    """Return what was found as a table; misses stand in it too."""
    drawn = Table(
        box=SIMPLE_HEAD, title=f"Edited copies, searched by {matches.metric} among {matches.library_size:,} images"
    )
    for heading in ("photograph", "edit", "best match"):
        drawn.add_column(heading, overflow="fold")
    for heading in ("distance", "second", "right?"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for copy, answer in zip(copies, matches, strict=True):
        cells = [copy.original.name, copy.edit, "-", "-", "-"]
        for i, match in enumerate(answer.matches[:2]):
            cells[3 + i] = f"{match.distance:.4f}"
        if answer.matches:
            cells[2] = Path(answer.matches[0].path).name
        verdict = Text("yes", "green") if is_found(copy, answer) else Text("no", "bold red")
        drawn.add_row(*(Text(escaped(cell)) for cell in cells), verdict)
    return drawn


def draw(copies: Sequence[Copy], matches: Matches) -> Image.Image:
    """Return the contact sheet: each edited copy and its nearest, framed green or red."""
    rows = []
    for copy, answer in zip(copies, matches, strict=True):
        query = Tile(picture(copy.path), copy.edit, copy.original.name)
        tiles = [
            Tile(picture(Path(m.path)), f"{m.distance:.4f}", Path(m.path).name, m.path == str(copy.original) or None)
            for m in answer.matches
        ]
        if tiles and not is_found(copy, answer):
            tiles[0] = replace(tiles[0], right=False)
        rows.append(SheetRow(query, tuple(tiles)))
    among = f"{matches.metric} distance among {matches.library_size:,} images"
    legend = f"{among}; green: the photograph itself; red: another came first"
    return contact_sheet(rows, title="Edited copies and what was found", subtitle=legend)


def picture(path: Path) -> Image.Image:
    """Return an image file decoded, or a blank where that is no longer possible."""
    try:
        return decode(path.read_bytes(), at_least=256).image
    except (OSError, ValueError):
        return Image.new("RGB", (4, 3), "lightgray")


def bits(copies: Sequence[Copy], model: str) -> Iterator[str]:
    """Yield the 96 bits of each photograph and of its edited copy, in hexadecimal, and in how many they differ."""
    try:
        extractor = load_extractor(quantised_name(model, str(BITS)))
    except ModelError:  # a model without such a quantiser
        return
    for copy in copies:
        codes = extractor.embed([copy.original, copy.path])
        apart = round(BITS * float(hamming(codes[:1], codes[1:], bits=BITS)[0, 0]))
        first, second = to_hex(codes)
        yield f"{first}  {copy.original.name}"
        yield f"{second}  {copy.edit}: {apart} of {BITS} bits differ"


def next_commands(copies: Sequence[Copy], library: Path, model: str) -> list[str]:
    """Return three commands to try next, as they can be pasted."""
    program = Path(sys.executable).with_name("simsearch")
    here = Path.cwd()
    shown_as = str(program.relative_to(here)) if program.is_relative_to(here) else str(program)
    lines = [
        [shown_as, "query", str(copies[0].path), "--library", str(library), "-k", "3"],
        [shown_as, "compare", str(copies[0].original), str(copies[0].path), "--model", model],
        [shown_as, "info", "--library", str(library)],
    ]
    return [shlex.join(line) for line in lines]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/quickstart", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", nargs="?", type=Path, help="your photographs; without it, those of the packages")
    parser.add_argument("--output", type=Path, default=Path("quickstart-output"), help="where results go")
    parser.add_argument("--model", default="mini", help="as in simsearch index")
    given = parser.parse_args()
    if given.folder is not None and not given.folder.is_dir():
        parser.error(f"{given.folder} is no folder")
    if given.folder is not None and given.output.resolve().is_relative_to(given.folder.resolve()):
        parser.error(f"{given.output} would lie inside {given.folder}; name another place with --output")
    return given


def main() -> int:
    given = arguments()
    output: Path = given.output
    folder = Path.cwd() / (given.folder or output / "photographs")
    if given.folder is None:
        collect(folder)
    where = output / f"{folder.name}.library"
    try:
        with Library.create(where, model=given.model) as library:
            report = index(library, folder)
            counts = f"{report.added} added, {report.unchanged} unchanged, {report.exact_copies} exact copies"
            counts += f", {report.rejected} rejected, {report.skipped} skipped"
            console.print(f"Indexed {report.inputs} files: {counts}.", markup=False)
            copies = make_copies(folder, output / "edited")
            if not copies:
                console.print("error: there is no image in that folder", markup=False)
                return 3
            matches = library.search([copy.path for copy in copies], k=NEIGHBOURS)
    except SimsearchError as error:
        print(f"error: {escaped(str(error))}", file=sys.stderr)
        return 3
    console.print(table(copies, matches))
    right = sum(itertools.starmap(is_found, zip(copies, matches, strict=True)))
    console.print(f"{right} of {len(copies)} edited copies led to their photograph first.\n", markup=False)
    for line in bits(copies, given.model):
        print(escaped(line))
    print()
    sheet = output / "contact-sheet.png"
    draw(copies, matches).save(sheet)
    places = {"contact sheet": sheet, "edited copies": output / "edited", "library": where}
    for name, place in places.items():
        print(f"{name + ':':15}{escaped(str(place))}")
    print("\nTry next:", *next_commands(copies, where, given.model), sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
