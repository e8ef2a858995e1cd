"""An edited model: one whose forward passes go through a list of edits, made for one prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenstui.edits.edit import Ablate, Component, Edit, Patch
from lenstui.edits.hooks import Change, changing, values_of
from lenstui.model.load import Model
from lenstui.model.summands import find_summands
from lenstui.model.tokens import Prompt
from lenstui.readout.alignment import gaps, spread
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError

_Changes = list[tuple[Component, Change]]


def edited(model: Model, edits: Sequence[Edit], prompt: Prompt, reading: Reading | None = None) -> Model:
    """Return a model whose forward passes go through edits.

    It shares its weights with `model`. What edits take from clean runs, such as means and other prompts'
    states, is computed once, here. Columns are those of `prompt` without appended tokens, which passes may
    continue.

    Args:
        model: from `load`; an edited one is edited anew, from its clean passes.
        edits: the edits, done in the order of the forward pass, and those of one component in this order.
        prompt: the prompt that will be read.
        reading: how prompts within edits are tokenized; None for the defaults.

    Raises:
        LensError: if the model or the prompt lacks what an edit names; the message names the edit.
    """
    clean = model.clean
    if not edits:
        return clean
    typed = replace(prompt, ids=prompt.ids[: len(prompt.ids) - prompt.appended], appended=0)
    run = _Run(clean, typed, reading or Reading())
    changes: _Changes = []
    for edit in edits:
        try:
            changes += _changes_of(edit, run)
        except LensError as error:
            raise LensError(f"Edit {edit.text!r}: {error}") from error

    def surround(ids: Tensor) -> AbstractContextManager[None]:
        return changing(clean, changes, ids.shape[1])

    return replace(clean, surround=surround, edits=tuple(edit.text for edit in edits))


@dataclass(frozen=True, eq=False)
class _Run:
    """What edits are made for: the clean model, the prompt, and how prompts are tokenized."""

    model: Model
    prompt: Prompt
    reading: Reading

    @property
    def count(self) -> int:
        """The number of the prompt's columns."""
        return len(self.prompt.ids)

    def values(self, prompt: Prompt, component: Component) -> Tensor:
        """Return what a component is in the clean run of a prompt, `[cols, d]`."""
        return values_of(self.model, torch.tensor([list(prompt.ids)]), [component])[component]


def _changes_of(edit: Edit, run: _Run) -> _Changes:
    match edit:
        case Ablate():
            return _ablation(edit, run)
        case Patch():
            return _patch(edit, run)
    raise LensError("this cannot be done yet: ablations and patches can")


def _ablation(edit: Ablate, run: _Run) -> _Changes:
    check_component(run.model, edit.component)
    columns = None if edit.columns is None else edit.columns.of(run.count)
    if not edit.by_mean:
        return [(edit.component, _filled(columns, None))]
    others = sorted({*range(1, run.count)} - {*(columns or ())})
    if not others:
        raise LensError("the prompt has no other column to take the mean over (column 0 is never in it)")
    mean = run.values(run.prompt, edit.component)[others].float().mean(0)  # [d]
    return [(edit.component, _filled(columns, mean))]


def _filled(columns: Sequence[int] | None, vector: Tensor | None) -> Change:
    """Return a change that puts a vector, `[d]`, or zeros into columns; None: into all of them."""

    def fill(value: Tensor) -> Tensor:
        changed = value.clone()
        places = slice(None) if columns is None else [col for col in columns if col < value.shape[1]]
        changed[:, places] = 0 if vector is None else vector.to(value)
        return changed

    return fill


def _patch(edit: Patch, run: _Run) -> _Changes:
    source = edit.source or edit.component
    for component in (edit.component, source):
        check_component(run.model, component)
    other = run.reading.prompt(run.model, edit.prompt.text)
    pairs = _pairs(edit, run.prompt, other)
    values = run.values(other, source)[list(pairs.values())]  # [pairs, d]

    def put(value: Tensor) -> Tensor:
        changed = value.clone()
        here = [place for place, column in enumerate(pairs) if column < value.shape[1]]
        changed[:, [list(pairs)[place] for place in here]] = values[here].to(value)
        return changed

    return [(edit.component, put)]


def _pairs(edit: Patch, prompt: Prompt, other: Prompt) -> Mapping[int, int]:
    """Return the columns that a patch puts something in, each with the other prompt's column it is from."""
    count, other_count = len(prompt.ids), len(other.ids)
    if edit.source_columns is not None and edit.columns is not None:
        to, taken = edit.columns.of(count), edit.source_columns.of(other_count)
        if len(taken) not in {1, len(to)}:
            raise LensError(f"{len(taken)} columns cannot be put into {len(to)}: give as many, or one")
        return dict(zip(to, taken * len(to) if len(taken) == 1 else taken, strict=True))
    aligned = dict(_aligned(prompt, other))
    if edit.columns is None:
        return aligned
    wanted = edit.columns.of(count)
    if missing := [column for column in wanted if column not in aligned]:
        raise LensError(
            f"column {missing[0]} has no counterpart in the other prompt, which has {other_count} columns to "
            f"this one's {count}: name the column to take behind the prompt, such as @{other_count - 1}"
        )
    return {column: aligned[column] for column in wanted}


def _aligned(prompt: Prompt, other: Prompt) -> Iterator[tuple[int, int]]:
    """Yield the columns of two prompts that stand beside each other, where both have a token."""
    prompts = prompt.ids, other.ids
    columns = (spread(range(len(ids)), gap, -1) for ids, gap in zip(prompts, gaps(*prompts), strict=True))
    return (pair for pair in zip(*columns, strict=True) if -1 not in pair)


def check_component(model: Model, component: Component) -> None:
    """Refuse a component that a model does not have.

    Raises:
        LensError: if it has no such block or part, or its blocks cannot be taken apart.
    """
    blocks = model.num_blocks
    if component.part == "stream":
        if component.block >= blocks:
            raise LensError(f"there is no row {component.block}: this model has rows emb, 0 … {blocks - 1}")
        return
    if component.block >= blocks:
        raise LensError(f"there is no block {component.block}: this model has blocks 0 … {blocks - 1}")
    block = find_summands(model)[component.block]
    if component.part == "attn" and block.attention is None:
        raise LensError(f"block {component.block} has no attention")
    if component.part == "mlp" and block.mlp is None:
        raise LensError(f"block {component.block} has no MLP")
