"""What edits do to components: ablations, patches, steering, swaps; and where attention is cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.edits.clean_run import CleanRun, check_component
from lenstui.edits.cuts import HeadCut, check_cut
from lenstui.edits.directions import median_norm
from lenstui.edits.edit import Ablate, Component, Cut, Patch, PromptError, Steer, Swap
from lenstui.edits.hooks import Change
from lenstui.model.rows import Row
from lenstui.model.tokens import Prompt
from lenstui.readout.alignment import aligned
from lenstui.support.errors import LensError

Changes = list[tuple[Component, "Change | Exchange"]]
"""Components, each with what is done to it."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """An exchange of coordinates along two directions, whose targets come from a clean pass.

    Read from the edited pass, they would be exchanged back in every other row of a band.

    Attributes:
        row: the index of the row.
        directions: `V`, `[d, 2]`, float32.
        columns: where; None for everywhere.
    """

    row: int
    directions: Tensor
    columns: Sequence[int] | None

    def change(self, clean: Tensor) -> Change:
        """Return the change, with the clean states of the row, `[batch, cols, d]`."""
        inverse = torch.linalg.pinv(self.directions)  # [2, d]
        targets = (clean.float() @ inverse.T).flip(-1)  # [batch, cols, 2]

        def exchange(value: Tensor) -> Tensor:
            missing = targets - value.float() @ inverse.T
            changed = value + (missing @ self.directions.T).to(value)
            return _only_in(self.columns, value, changed)

        return exchange


def ablation(edit: Ablate, run: CleanRun) -> list[tuple[Component, Change]]:
    """Return what an ablation does.

    Raises:
        LensError: if the model or the prompt lacks what it names.
    """
    check_component(run.model, edit.component)
    columns = run.columns(edit.columns)
    if not edit.by_mean:
        return [(edit.component, _filled(columns, None))]
    others = sorted({*range(1, run.count)} - {*(columns or ())})
    if not others:
        raise PromptError("the prompt has no other column to take the mean over (column 0 is never in it)")
    mean = run.values(run.prompt, edit.component)[others].float().mean(0)  # [d]
    return [(edit.component, _filled(columns, mean))]


def _filled(columns: Sequence[int] | None, vector: Tensor | None) -> Change:
    """Return a change that puts a vector, `[d]`, or zeros into columns; None: into all of them."""

    def fill(value: Tensor) -> Tensor:
        filled = torch.zeros_like(value) if vector is None else vector.to(value).expand_as(value)
        return _only_in(columns, value, filled)

    return fill


def patch(edit: Patch, run: CleanRun) -> list[tuple[Component, Change]]:
    """Return what a patch does; the other prompt is run once.

    Raises:
        LensError: if the model or the prompt lacks what it names.
    """
    source = edit.source or edit.component
    for component in (edit.component, source):
        check_component(run.model, component)
    other = run.reading.prompt(run.model, edit.prompt.text)
    pairs = _pairs(edit, run.prompt, other)
    return [(edit.component, putting(run.values(other, source), pairs))]


def putting(values: Tensor, pairs: Mapping[int, int]) -> Change:
    """Return a change that puts in what a component is in another run.

    Args:
        values: what it is there, `[other cols, width]`.
        pairs: the columns to put it in, each with the other run's column that it is taken from.
    """

    def put(value: Tensor) -> Tensor:
        here = [column for column in pairs if column < value.shape[1]]
        changed = value.clone()
        changed[:, here] = values[[pairs[column] for column in here]].to(value)
        return changed

    return put


def _pairs(edit: Patch, prompt: Prompt, other: Prompt) -> Mapping[int, int]:
    """Return the columns that a patch puts something in, each with the other prompt's column it is from."""
    count, other_count = len(prompt.ids), len(other.ids)
    if edit.source_columns is not None and edit.columns is not None:
        to, taken = edit.columns.of(count), edit.source_columns.of(other_count)
        if len(taken) not in {1, len(to)}:
            raise PromptError(f"{len(taken)} columns cannot be put into {len(to)}: give as many, or one")
        return dict(zip(to, taken * len(to) if len(taken) == 1 else taken, strict=True))
    counterparts = aligned(prompt.ids, other.ids)
    if edit.columns is None:
        return counterparts
    wanted = edit.columns.of(count)
    if missing := [column for column in wanted if column not in counterparts]:
        raise PromptError(
            f"column {missing[0]} has no counterpart in the other prompt, which has {other_count} columns to "
            f"this one's {count}: name the column to take behind the prompt, such as @{other_count - 1}"
        )
    return {column: counterparts[column] for column in wanted}


def steering(edit: Steer, run: CleanRun) -> Iterator[tuple[Component, Change]]:
    """Yield what steering does in each of its rows.

    Raises:
        LensError: if the model or the prompt lacks what it names.
    """
    columns, ends = run.columns(edit.columns), None
    if edit.prompts is not None:
        prompts = [run.reading.prompt(run.model, prompt.text) for prompt in edit.prompts]
        first, second = (run.stream_of(prompt)[:, -1].float() for prompt in prompts)  # [L + 1, d]
        ends = second - first
    for row in run.rows(edit.rows):
        direction = run.direction(edit.word or "", row) if ends is None else ends[row]
        if not bool(direction.norm()):
            raise LensError(f"the two prompts end in the same state in row {Row(row).label}")
        vector = edit.by * median_norm(run.stream[row]) * direction / direction.norm()
        yield Component("stream", row - 1), _added(columns, vector)


def _added(columns: Sequence[int] | None, vector: Tensor) -> Change:
    """Return a change that adds a vector, `[d]`, in columns; None: in all of them."""

    def add(value: Tensor) -> Tensor:
        return _only_in(columns, value, (value.float() + vector.to(value.device)).to(value.dtype))

    return add


def swap(edit: Swap, run: CleanRun) -> Iterator[tuple[Component, Exchange]]:
    """Yield what a swap does in each of its rows.

    Raises:
        LensError: if the model or the prompt lacks what it names.
    """
    columns = run.columns(edit.columns)
    for row in run.rows(edit.rows):
        directions = torch.stack([run.direction(word, row) for word in (edit.first, edit.second)], 1)
        if int(torch.linalg.matrix_rank(directions)) < 2:
            raise LensError("both words have the same direction: there is nothing to exchange")
        yield Component("stream", row - 1), Exchange(row, directions, columns)


def cut(edit: Cut, run: CleanRun) -> HeadCut:
    """Return a cut that the model's attention takes.

    Raises:
        LensError: if the model or the prompt lacks what it names.
    """
    check_component(run.model, edit.component)
    readers, sources = (columns.of(run.count) for columns in (edit.readers, edit.sources))
    if later := [source for source in sources if source > max(readers)]:
        raise PromptError(f"no column reads column {later[0]}, which comes after it")
    cut = HeadCut(edit.component.block, edit.component.index, tuple(readers), tuple(sources))
    check_cut(run.model, cut, run.count)
    return cut


def _only_in(columns: Sequence[int] | None, value: Tensor, changed: Tensor) -> Tensor:
    """Return `changed` in some columns, and `value` in the others; None: in all of them."""
    if columns is None:
        return changed
    whole, here = value.clone(), [column for column in columns if column < value.shape[1]]
    whole[:, here] = changed[:, here]
    return whole
