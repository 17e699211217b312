"""What stages are given: brought along, kept for the next call, and made small for a rehearsal."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from proof.stage import Input, Stage


def gather(stage: Stage, data: Path, state: Path) -> bool:
    """Keep what `data` holds of a stage's inputs; True once all of them are there."""
    for wanted in missing(stage, state):
        source, target = data / wanted.path, state / "inputs" / wanted.path
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            half = target.with_name(target.name + ".half")
            _copy(source, half)
            half.rename(target)
    return not missing(stage, state)


def missing(stage: Stage, state: Path) -> list[Input]:
    """The inputs of a stage that no call has brought yet."""
    return [wanted for wanted in stage.inputs if not (state / "inputs" / wanted.path).exists()]


def make_toys(folder: Path) -> Path:
    """Small random pictures in the places of the photographs that the stages take; returns the folder."""
    rng = np.random.default_rng(0)
    for name in ("train/train-0.tar", "strangers/dev.tar"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for i in range(12):
                content = _picture(rng)
                member = tarfile.TarInfo(f"{path.stem}-{i:03}.jpg")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return folder


def _picture(rng: np.random.Generator) -> bytes:
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((160, 120), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
