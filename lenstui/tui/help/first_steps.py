"""The lines that the first start shows: the model, what it is read through, and what one can do."""

from __future__ import annotations

from collections.abc import Sequence

from lenstui.jobs.instant_messages import InstantPhase, InstantStatus
from lenstui.jobs.messages import OpenModel
from lenstui.lens.kinds import LOGIT
from lenstui.lens.names import kind_word
from lenstui.support.cell_width import clip
from lenstui.tui import keymap
from lenstui.tui.help.commands import Display, shown_keys
from lenstui.tui.shared.status_bar import short_name

_MODEL = "{model}: {app.model} opens another, {app.lenses} lists lenses."
_CELL = "{lenses}: what it would say next if it stopped at a row."
_STEPS = (
    "{explore.prompt} edits the prompt, {explore.value} recolours, {explore.menu} does more, "
    "{app.help} lists all keys, {app.quit} quits."
)
_NAME_WIDTH = 22  # so that a line has room on the narrowest screen


def first_steps(
    display: Display, own: keymap.Keys, model: OpenModel | None, instant: InstantStatus
) -> tuple[str, str, str]:
    """Return three short lines: model and device; lenses, and what a cell is; what one can do.

    Args:
        display: returns a key as it is shown to the user.
        own: the user's keys in place of the default ones, by binding id.
        model: the open model; None while it is being opened.
        instant: the status of its instant lens.
    """
    keys = {
        binding.id: shown_keys(binding, display, own).split()[0]
        for place in keymap.places()
        for binding in keymap.bindings_of(place.owner)
    }
    first = "A model is being opened" if model is None else _opened(model)
    lines = (
        _MODEL.replace("{model}", first),
        _CELL.replace("{lenses}", _lenses(model, instant, keys["app.train"])),
        _STEPS,
    )
    one, two, three = (_with_keys(line, keys) for line in lines)
    return one, two, three


def _with_keys(line: str, keys: dict[str | None, str]) -> str:
    """Return a line with the keys of the bindings that it names."""
    for binding, key in keys.items():
        line = line.replace(f"{{{binding}}}", key)
    return line


def _opened(model: OpenModel) -> str:
    """Return the model and where it runs: `pythia-14m on cuda:0 in bfloat16`."""
    device = "the CPU" if model.device == "cpu" else model.device
    return f"{clip(short_name(model.label), _NAME_WIDTH)} on {device} in {model.dtype}"


def _lenses(model: OpenModel | None, instant: InstantStatus, train: str) -> str:
    """Return what the prompt is read through, and what comes or could come beside it."""
    if model is None:
        return "The logit lens, and others"
    kinds = [kind_word(kind) for kind in dict.fromkeys(side.kind for side in model.sides if side.has_lens)]
    if kinds == [kind_word(LOGIT)]:
        soon = instant.phase is InstantPhase.WORKING
        if model.service:
            return "Logit lens"
        return "Logit lens, a tuned one soon" if soon else f"Logit lens; {train} trains another"
    listed = _listed(kinds)
    return f"{listed[0].upper()}{listed[1:]} lens"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
