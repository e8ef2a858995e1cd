"""The lenses in a folder, listed from their files' metadata without reading their weights."""

from __future__ import annotations

from pathlib import Path

from lenstui.lens.card import LensCard, Match
from lenstui.lens.compatibility import compare_weights, match_weights
from lenstui.lens.formats.library import PARAMS
from lenstui.lens.mapped import map_lens
from lenstui.model.load import Model


def lens_paths(folder: Path) -> list[Path]:
    """Return the likely lenses in `folder`: `.pt` files, and folders of the `tuned-lens` library.

    Pipes and devices are left out, since opening one may wait without end.
    """
    folders = (params.parent for params in folder.glob(f"*/{PARAMS}") if params.is_file())
    return [*(path for path in folder.glob("*.pt") if path.is_file()), *folders]


def list_lenses(folder: Path) -> list[LensCard]:
    """Return the cards of the lenses in `folder`, newest first; other and damaged files are left out."""
    cards = [lens.card for path in lens_paths(folder) if (lens := map_lens(path)) is not None]
    return sorted(cards, key=lambda card: (-card.modified, card.path.name))


def newest_fitting(model: Model, folder: Path) -> Path | None:
    """Return the newest lens file in `folder` that was made for `model`; None where there is none.

    A lens whose whole fingerprint agrees comes before one that matches in part. Folders of the `tuned-lens`
    library are left out: they are for other programs, and their files do not say how the lens was fitted.
    """
    in_part = None
    for card in list_lenses(folder):
        found = match(card, model) if card.path.is_file() else Match.NO
        if found is Match.WEIGHTS:
            return card.path
        if found is Match.PARTLY and in_part is None:
            in_part = card.path
    return in_part


def match(card: LensCard, model: Model) -> Match:
    """Return how closely a lens matches `model`, whatever the model's name."""
    if (card.blocks, card.d_model) != (model.num_blocks, model.d_model):
        return Match.NO
    return match_weights(compare_weights(card.config, model))
