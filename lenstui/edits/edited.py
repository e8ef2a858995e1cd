"""An edited model: one whose forward passes go through a list of edits, made for one prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lenstui.causal.maps import find_maps
from lenstui.edits.cuts import HeadCut, check_cut, cutting
from lenstui.edits.directions import median_norm, token_direction
from lenstui.edits.edit import (
    Ablate,
    Columns,
    Component,
    Cut,
    Edit,
    Patch,
    Rows,
    Steer,
    Swap,
    have_directions,
)
from lenstui.edits.hooks import Change, changing, values_of
from lenstui.edits.language import parse_edit
from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import LogitLens
from lenstui.lens.names import no_row
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.summands import find_summands
from lenstui.model.tokens import Prompt
from lenstui.readout.alignment import gaps, spread
from lenstui.readout.pins import find_pins
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError


def edited(
    model: Model,
    edits: Sequence[Edit | str],
    prompt: Prompt | str,
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
        prompt: the prompt that will be read, or its text.
        reading: how prompts within edits are tokenized; None for the defaults.
        lens: the lens through which words have directions; None for the logit lens.

    Raises:
        EditError: if a typed edit is not understood.
        LensError: if the model or the prompt lacks what an edit names; the message names the edit.
    """
    clean = model.clean
    if not edits:
        return clean
    edits = [parse_edit(edit) if isinstance(edit, str) else edit for edit in edits]
    (reader,) = lenses_for(clean, [lens or LogitLens()])
    reading = reading or Reading()
    prompt = reading.prompt(clean, prompt) if isinstance(prompt, str) else prompt
    typed = replace(prompt, ids=prompt.ids[: len(prompt.ids) - prompt.appended], appended=0)
    run = _Run(clean, typed, reading, reader)
    changes: list[tuple[Component, Change | _Exchange]] = []
    cuts: list[HeadCut] = []
    for edit in edits:
        try:
            match edit:
                case Ablate():
                    changes += _ablation(edit, run)
                case Patch():
                    changes += _patch(edit, run)
                case Steer():
                    changes += _steering(edit, run)
                case Swap():
                    changes += _swap(edit, run)
                case Cut():
                    cuts.append(_cut(edit, run))
        except LensError as error:
            raise LensError(f"Edit {edit.text!r}: {str(error).rstrip('.')}.") from error

    @contextmanager
    def surround(ids: Tensor) -> Iterator[None]:
        with (
            changing(clean, _resolved(changes, clean, ids), ids.shape[1]),
            cutting(clean, cuts, ids.shape[1]),
        ):
            yield

    texts = tuple(edit.text for edit in edits)
    edit_lens = f"{reader.kind}:{reader.name}".rstrip(":") if have_directions(edits) else ""
    return replace(clean, surround=surround, edits=texts, edit_lens=edit_lens)


@dataclass(frozen=True, eq=False)
class _Run:
    """What edits are made for: the clean model, the prompt, how prompts are tokenized, and the lens."""

    model: Model
    prompt: Prompt
    reading: Reading
    lens: Lens

    @property
    def count(self) -> int:
        """The number of the prompt's columns."""
        return len(self.prompt.ids)

    @cached_property
    def stream(self) -> Tensor:
        """The residual stream of the clean run, `[L + 1, cols, d]`."""
        return self.stream_of(self.prompt)

    def stream_of(self, prompt: Prompt) -> Tensor:
        """Return the residual stream of the clean run of a prompt, `[L + 1, cols, d]`."""
        return self.model.stream(torch.tensor([list(prompt.ids)]))[:, 0]

    def values(self, prompt: Prompt, component: Component) -> Tensor:
        """Return what a component is in the clean run of a prompt, `[cols, width]`."""
        return values_of(self.model, torch.tensor([list(prompt.ids)]), [component])[component]

    def columns(self, columns: Columns | None) -> list[int] | None:
        """Return the columns of an edit; None for everywhere."""
        return None if columns is None else columns.of(self.count)

    def rows(self, rows: Rows) -> range:
        """Return the indices of rows in the residual stream, 0 for `emb`.

        Raises:
            LensError: if the model does not have one of them.
        """
        for block in (rows.first, rows.last):
            check_component(self.model, Component("stream", block))
        return range(rows.first + 1, rows.last + 2)

    def direction(self, word: str, row: int) -> Tensor:
        """Return the direction of a word in a row, through the lens, `[d]`.

        The word is the token with a space before it, if there is one.

        Raises:
            LensError: if no token is the word, or the lens does not read the row.
        """
        if row < self.model.num_blocks and not self.lens.reads(Row(row)):
            raise LensError(no_row(self.lens.kind, Row(row).label))
        model, text = self.model, self.prompt.text
        pin, *_ = find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=model.vocabulary)
        if not pin.whole:
            raise LensError(f"no token is the word {word!r}")
        return token_direction(self.model, self.lens, row, pin.id, self.stream[-1])


@dataclass(frozen=True, eq=False)
class _Exchange:
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


def _resolved(
    changes: Sequence[tuple[Component, Change | _Exchange]], clean: Model, ids: Tensor
) -> list[tuple[Component, Change]]:
    """Return the changes for a pass over token ids, `[batch, cols]`, with targets of exchanges read clean."""
    if not any(isinstance(change, _Exchange) for _, change in changes):
        return [(component, change) for component, change in changes if not isinstance(change, _Exchange)]
    h = clean.stream(ids)  # [L + 1, batch, cols, d]
    return [
        (component, change.change(h[change.row]) if isinstance(change, _Exchange) else change)
        for component, change in changes
    ]


def _only_in(columns: Sequence[int] | None, value: Tensor, changed: Tensor) -> Tensor:
    """Return `changed` in some columns, and `value` in the others; None: in all of them."""
    if columns is None:
        return changed
    whole, here = value.clone(), [column for column in columns if column < value.shape[1]]
    whole[:, here] = changed[:, here]
    return whole


def _steering(edit: Steer, run: _Run) -> Iterator[tuple[Component, Change]]:
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


def _swap(edit: Swap, run: _Run) -> Iterator[tuple[Component, _Exchange]]:
    columns = run.columns(edit.columns)
    for row in run.rows(edit.rows):
        directions = torch.stack([run.direction(word, row) for word in (edit.first, edit.second)], 1)
        if int(torch.linalg.matrix_rank(directions)) < 2:
            raise LensError("both words have the same direction: there is nothing to exchange")
        yield Component("stream", row - 1), _Exchange(row, directions, columns)


def _cut(edit: Cut, run: _Run) -> HeadCut:
    check_component(run.model, edit.component)
    readers, sources = (columns.of(run.count) for columns in (edit.readers, edit.sources))
    if later := [source for source in sources if source > max(readers)]:
        raise LensError(f"no column reads column {later[0]}, which comes after it")
    cut = HeadCut(edit.component.block, edit.component.index, tuple(readers), tuple(sources))
    check_cut(run.model, cut, run.count)
    return cut


def _ablation(edit: Ablate, run: _Run) -> list[tuple[Component, Change]]:
    check_component(run.model, edit.component)
    columns = run.columns(edit.columns)
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
        filled = torch.zeros_like(value) if vector is None else vector.to(value).expand_as(value)
        return _only_in(columns, value, filled)

    return fill


def _patch(edit: Patch, run: _Run) -> list[tuple[Component, Change]]:
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
    if component.part in {"attn", "head"} and block.attention is None:
        raise LensError(f"block {component.block} has no attention")
    if component.part in {"mlp", "neuron"} and block.mlp is None:
        raise LensError(f"block {component.block} has no MLP")
    maps, index = find_maps(model).blocks[component.block], component.index or 0
    if component.part == "head":
        _check_index(index, maps.heads, "attention head", component.block, maps.no_heads)
    if component.part == "neuron":
        width = 0 if maps.mlp is None else maps.mlp.width
        _check_index(index, width, "neuron", component.block, maps.no_neurons)


def _check_index(index: int, count: int, name: str, block: int, reason: str | None) -> None:
    if not count:
        raise LensError(f"block {block} has no {name}s: {reason}")
    if index >= count:
        raise LensError(f"there is no {name} {index}: block {block} has {name}s 0 … {count - 1}")
