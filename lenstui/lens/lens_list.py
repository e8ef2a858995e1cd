"""The lenses in a folder, known by what their files say, without reading their weights."""

from __future__ import annotations

from pathlib import Path

from lenstui.lens.compatibility import same_unembedding
from lenstui.lens.lens_card import LensCard, Match
from lenstui.lens.library_folder import PARAMS
from lenstui.lens.mapped_lens import map_lens
from lenstui.lens.model import Model
from lenstui.lens.unembed_hash import unembed_hash


def lens_paths(folder: Path) -> list[Path]:
    """What should be a lens in `folder`: the `.pt` files, and the folders of the `tuned-lens` library."""
    return [*folder.glob("*.pt"), *(params.parent for params in folder.glob(f"*/{PARAMS}"))]


def list_lenses(folder: Path) -> list[LensCard]:
    """The lenses in `folder`, newest first. What is none, or is damaged, is left out."""
    cards = [lens.card for path in lens_paths(folder) if (lens := map_lens(path)) is not None]
    return sorted(cards, key=lambda card: (-card.modified, card.path.name))


def newest_fitting(model: Model, folder: Path) -> Path | None:
    """The newest lens file in `folder` that was made for `model`; None where there is none.

    Folders of the `tuned-lens` library are for other programs: they say nothing of the fit.
    """
    files = (card for card in list_lenses(folder) if card.path.is_file())
    return next((card.path for card in files if match(card, model) is Match.WEIGHTS), None)


def match(card: LensCard, model: Model) -> Match:
    """How far a lens belongs to `model`, whatever that is called."""
    if (card.blocks, card.d_model) != (model.num_blocks, model.d_model):
        return Match.NO
    same = same_unembedding(card.config, model)
    theirs = card.config.get("unembed_hash")
    if same is None and isinstance(theirs, str):
        same = theirs == unembed_hash(model)
    if same is None:
        return Match.SHAPE
    return Match.WEIGHTS if same else Match.OTHER_WEIGHTS
