"""The lenses in a folder, known by what their files say, without reading their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lenstui.lens.compatibility import same_unembedding
from lenstui.lens.lens_file import FORMAT
from lenstui.lens.model import Model


@dataclass(frozen=True, slots=True)
class LensCard:
    """What a lens file says of itself.

    Attributes:
        path: the file.
        config: which model it is for.
        fit: how it was fitted, and what it reached.
        size: bytes.
        modified: when it was written, seconds since the epoch.
    """

    path: Path
    config: Mapping[str, Any]
    fit: Mapping[str, Any]
    size: int
    modified: float

    def fits(self, model: Model) -> bool:
        """Whether it was made for the very weights of `model`, whatever that is called."""
        shape = (self.config.get("num_hidden_layers"), self.config.get("d_model"))
        return shape == (model.num_blocks, model.d_model) and bool(same_unembedding(self.config, model))


def list_lenses(folder: Path) -> list[LensCard]:
    """The lens files in `folder`, newest first. What is none, or is damaged, is left out."""
    cards = [card for path in folder.glob("*.pt") if (card := _card(path)) is not None]
    return sorted(cards, key=lambda card: (-card.modified, card.path.name))


def newest_fitting(model: Model, folder: Path) -> Path | None:
    """The newest lens file in `folder` that was made for `model`; None where there is none."""
    return next((card.path for card in list_lenses(folder) if card.fits(model)), None)


def _card(path: Path) -> LensCard | None:
    try:
        # Mapped, not read: the weights stay on the disk.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        status = path.stat()
    except Exception:  # on damaged bytes torch raises nearly every kind
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    config, fit = content.get("config"), content.get("fit")
    if not isinstance(config, dict) or not isinstance(fit, dict):
        return None
    return LensCard(path, config, fit, status.st_size, status.st_mtime)
