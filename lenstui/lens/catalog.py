"""The lenses in a folder, listed from their files' metadata without reading their weights."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from statistics import fmean

from lenstui.lens.card import LensCard, Match
from lenstui.lens.compatibility import compare_weights, match_weights
from lenstui.lens.formats.library import PARAMS
from lenstui.lens.kinds import JACOBIAN, TUNED
from lenstui.lens.last_evaluation import last_evaluations
from lenstui.lens.mapped import map_lens
from lenstui.lens.published.hub import lenses_here
from lenstui.model.load import Model
from lenstui.support.lens_repository import LensRepository
from lenstui.support.paths import lenses


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


def lenses_at_hand(repositories: Sequence[LensRepository]) -> tuple[list[LensCard], list[str]]:
    """Return the lenses of the lenses folder and those that were downloaded from the hub.

    Args:
        repositories: the repositories on the hub whose lenses are looked for in the Hugging Face cache.

    Returns:
        Their cards, newest first and the downloaded ones last, and the names of files in the folder from
            which no lens can be read.
    """
    cards = list_lenses(lenses())
    left_out = sorted({path.name for path in lens_paths(lenses())} - {card.path.name for card in cards})
    downloaded = map(map_lens, lenses_here(repositories))
    cards += [mapped.card for mapped in downloaded if mapped is not None]
    return with_evaluations(cards), left_out


def with_evaluations(cards: Iterable[LensCard]) -> list[LensCard]:
    """Return cards with the last evaluation of each lens."""
    found = last_evaluations()
    return [replace(card, evaluation=found.get(card.path.absolute())) for card in cards]


@dataclass(frozen=True, slots=True)
class FittingLens:
    """A lens that opens by itself with a model.

    Attributes:
        path: its file.
        why: why this one, in two or three words; empty where it is the only one.
    """

    path: Path
    why: str = ""


def fitting_lens(model: Model, folder: Path) -> FittingLens | None:
    """Return the tuned lens in `folder` that is to open with `model`; None where none was made for it.

    That is the newest, unless others were measured on the same held-out text as the newest: then the one with
    the least KL there. Lenses whose whole fingerprint agrees come before those that match in part. Folders of
    the `tuned-lens` library are left out: they are for other programs, and do not say how a lens was fitted.
    """
    found: dict[Match, list[LensCard]] = {Match.WEIGHTS: [], Match.PARTLY: []}
    for card in list_lenses(folder):
        if card.kind == TUNED and card.path.is_file() and (how := match(card, model)) in found:
            found[how].append(card)
    cards = found[Match.WEIGHTS] or found[Match.PARTLY]
    if not cards:
        return None
    same_text = [card for card in cards if _measured_alike(card, cards[0])]
    if len(same_text) > 1:
        return FittingLens(min(same_text, key=_mean_kl).path, f"best of {len(same_text)}")
    return FittingLens(cards[0].path, f"newest of {len(cards)}" if len(cards) > 1 else "")


def fitting_jacobian_lens(model: Model, folder: Path) -> Path | None:
    """Return the newest Jacobian lens in `folder` that was made for `model`; None where none was.

    One whose whole fingerprint agrees comes before one that matches in part.
    """
    found = {Match.PARTLY: None, Match.WEIGHTS: None} | {
        match(card, model): card.path for card in reversed(list_lenses(folder)) if card.kind == JACOBIAN
    }
    return found[Match.WEIGHTS] or found[Match.PARTLY]


def _measured_alike(one: LensCard, other: LensCard) -> bool:
    """Return whether two lenses of one model were measured on the same held-out text.

    The logit lens's KL there shows it: it depends on the model and the text alone.
    """
    ours, theirs = one.logit_lens_kl, other.logit_lens_kl
    if ours is None or theirs is None or one.held_out_kl is None or other.held_out_kl is None:
        return False
    return all(isclose(a, b, rel_tol=1e-3) for a, b in zip(ours, theirs, strict=True))


def _mean_kl(card: LensCard) -> float:
    """Return the mean held-out KL over the rows of a lens that was measured, nats."""
    assert card.held_out_kl is not None
    return fmean(card.held_out_kl)


def match(card: LensCard, model: Model) -> Match:
    """Return how closely a lens matches `model`, whatever the model's name."""
    if not card.fits(model.num_blocks, model.d_model):
        return Match.NO
    how = match_weights(compare_weights(card.config, model))
    if how is Match.OTHER_WEIGHTS and model.base is not None and card.adapter is None:
        of_base = match(card, model.base)
        return Match.BASE if of_base in {Match.WEIGHTS, Match.PARTLY} else how
    return how
