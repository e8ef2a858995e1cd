"""Pairs of lenses, one of a first side and one of a second, through which the two are compared row by row."""

from __future__ import annotations

from collections.abc import Mapping

from lenstui.lens.kinds import LOGIT, TUNED
from lenstui.lens.lens import Lens, lens_keys
from lenstui.opening.opened import Opened
from lenstui.support.errors import LensError


def lenses_of_both(first: Opened, second: Opened) -> Mapping[str, Lens]:
    """Return the second model's lens for each key of the first model's lenses that both have.

    There are none where the models are not of the same depth: no row of one is then a row of the other.
    """
    if first.model.num_blocks != second.model.num_blocks:
        return {}
    theirs = dict(zip(lens_keys(second.lenses), second.lenses, strict=True))
    return {key: theirs[key] for key in lens_keys(first.lenses) if key in theirs}


def lens_against(opened: Opened, lens: Lens) -> str:
    """Return the key of the lens of a model with which another lens of the same model is compared.

    A fitted lens is compared with the one in use of its kind, else with the tuned lens, else with the logit
    lens; the logit lens with the tuned one, else with any other.

    Raises:
        LensError: if it is the logit lens, and there is no other.
    """
    keys = lens_keys(opened.lenses)
    wanted = [lens.kind, TUNED, LOGIT] if lens.kind != LOGIT else [TUNED, *keys]
    for key in wanted:
        if key in keys and not key == lens.kind == LOGIT:
            return key
    raise LensError(
        f"The logit lens is the only one of {opened.model.name}: name another one with --lens FILE."
    )
