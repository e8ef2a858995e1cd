"""An edited model: one whose forward passes go through a list of edits, made for one prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from torch import Tensor

from lenstui.edits.changes import Changes, Exchange, ablation, cut, patch, steering, swap
from lenstui.edits.clean_run import CleanRun
from lenstui.edits.cuts import HeadCut, cutting
from lenstui.edits.edit import Ablate, Component, Cut, Edit, Patch, PromptError, Steer, Swap, have_directions
from lenstui.edits.hooks import Change, changing
from lenstui.edits.language import parse_edit
from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import LogitLens
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.turns import Turns


def edited(
    model: Model,
    edits: Sequence[Edit | str],
    prompt: Prompt | str | Turns,
    reading: Reading | None = None,
    *,
    lens: Lens | None = None,
) -> Model:
    """Return a model whose forward passes go through edits.

    It shares its weights with `model`. What edits take from clean runs, such as means and other prompts'
    states, is computed once, here. Columns are those of `prompt` without appended tokens, which passes may
    continue.

    Args:
        model: from `load`; an edited one is edited anew, from its clean passes.
        edits: the edits, also as they are typed, done in the order of the forward pass, and those of one
            component in this order.
        prompt: the prompt that will be read, or its text, or its turns.
        reading: how prompts within edits are tokenized; None for the defaults.
        lens: the lens through which words have directions; None for the logit lens.

    Raises:
        EditError: if a typed edit is not understood.
        LensError: if the model or the prompt lacks what an edit names; the message names the edit. A
            `PromptError` if only this prompt does.
    """
    clean = model.clean
    if not edits:
        return clean
    known = [parse_edit(edit) if isinstance(edit, str) else edit for edit in edits]
    (reader,) = lenses_for(clean, [lens or LogitLens()])
    reading = reading or Reading()
    prompt = prompt if isinstance(prompt, Prompt) else reading.prompt(clean, prompt)
    typed = replace(prompt, ids=prompt.ids[: len(prompt.ids) - prompt.appended], appended=0)
    changes, cuts = _made(known, CleanRun(clean, typed, reading, reader))

    @contextmanager
    def surround(ids: Tensor) -> Iterator[None]:
        with (
            changing(clean, _resolved(changes, clean, ids), ids.shape[1]),
            cutting(clean, cuts, ids.shape[1]),
        ):
            yield

    texts = tuple(edit.text for edit in known)
    return replace(clean, surround=surround, edits=texts, edit_lens=lens_of_directions(known, reader))


def lens_of_directions(edits: Sequence[Edit], lens: Lens) -> str:
    """Return kind and name of the lens through which words in edits have directions; empty if none has."""
    return f"{lens.kind}:{lens.name}".rstrip(":") if have_directions(edits) else ""


def _made(edits: Sequence[Edit], run: CleanRun) -> tuple[Changes, list[HeadCut]]:
    """Return what edits do on a prompt."""
    changes: Changes = []
    cuts: list[HeadCut] = []
    for edit in edits:
        try:
            match edit:
                case Ablate():
                    changes += ablation(edit, run)
                case Patch():
                    changes += patch(edit, run)
                case Steer():
                    changes += steering(edit, run)
                case Swap():
                    changes += swap(edit, run)
                case Cut():
                    cuts.append(cut(edit, run))
        except LensError as error:
            kind = PromptError if isinstance(error, PromptError) else LensError
            raise kind(f"Edit {edit.text!r}: {str(error).rstrip('.')}.") from error
    return changes, cuts


def _resolved(changes: Changes, clean: Model, ids: Tensor) -> list[tuple[Component, Change]]:
    """Return the changes for a pass over token ids, `[batch, cols]`, with targets of exchanges read clean."""
    if not any(isinstance(change, Exchange) for _, change in changes):
        return [(component, change) for component, change in changes if not isinstance(change, Exchange)]
    h = clean.stream(ids)  # [L + 1, batch, cols, d]
    return [
        (component, change.change(h[change.row]) if isinstance(change, Exchange) else change)
        for component, change in changes
    ]
