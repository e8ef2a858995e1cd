"""All scenes.

A scene begins on Explore and ends there, with what it changed put back. It looks on screen for what it did,
and is missed where that does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.hostile.scenes.fits_and_models import (
    again,
    discarded,
    instant,
    jacobian,
    lenses,
    no_model,
    other_model,
    tuned,
)
from tests.hostile.scenes.readings import (
    cell,
    growth,
    helps,
    history,
    long_prompt,
    looks,
    mouse,
    pins,
    places,
    prompt,
    sizes,
    theme,
    turns,
    values,
)
from tests.hostile.scenes.results import export, kept, second_terminal
from tests.hostile.scenes.sides import beside, edits, sides, trace, why
from tests.hostile.scenes.texts import evaluation, prompt_set, scan
from tests.hostile.scenes.user import User

SCENES: Mapping[Callable[[User], None], int] = {
    prompt: 6, long_prompt: 2, history: 2, growth: 3, turns: 1,
    values: 4, looks: 3, cell: 3, pins: 3, places: 2, helps: 2, theme: 1, sizes: 2, mouse: 2,
    sides: 2, beside: 1, edits: 2, why: 2, trace: 2,
    prompt_set: 2, evaluation: 2, scan: 2,
    tuned: 3, jacobian: 1, discarded: 1, lenses: 3, instant: 1,
    again: 2, other_model: 1, no_model: 1,
    export: 3, kept: 2, second_terminal: 1,
}  # fmt: skip
"""The scenes, and how often each is played in a round."""
