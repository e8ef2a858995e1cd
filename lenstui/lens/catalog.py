"""The lenses in a folder, known by what their files say, without reading their weights."""

from __future__ import annotations

from pathlib import Path

from lenstui.lens.card import LensCard, Match
from lenstui.lens.compatibility import compare_weights, match_weights
from lenstui.lens.formats.library import PARAMS
from lenstui.lens.mapped import map_lens
from lenstui.model.load import Model


def lens_paths(folder: Path) -> list[Path]:
    """What should be a lens in `folder`: the `.pt` files, and the folders of the `tuned-lens` library.

    A pipe or a device, which whoever opens it may wait for without end, is none.
    """
    folders = (params.parent for params in folder.glob(f"*/{PARAMS}") if params.is_file())
    return [*(path for path in folder.glob("*.pt") if path.is_file()), *folders]


def list_lenses(folder: Path) -> list[LensCard]:
    """The lenses in `folder`, newest first. What is none, or is damaged, is left out."""
    cards = [lens.card for path in lens_paths(folder) if (lens := map_lens(path)) is not None]
    return sorted(cards, key=lambda card: (-card.modified, card.path.name))


def newest_fitting(model: Model, folder: Path) -> Path | None:
    """The newest lens file in `folder` that was made for `model`; None where there is none.

    One whose whole fingerprint agrees comes before one that is known in part. Folders of the `tuned-lens`
    library are for other programs: they say nothing of the fit.
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
    """How far a lens belongs to `model`, whatever that is called."""
    if (card.blocks, card.d_model) != (model.num_blocks, model.d_model):
        return Match.NO
    return match_weights(compare_weights(card.config, model))
