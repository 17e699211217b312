"""The edits themselves: functions (image, rng, *, strength and options) -> image."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

Picture: TypeAlias = Image.Image
Rng: TypeAlias = np.random.Generator
Font: TypeAlias = str | Path | None
