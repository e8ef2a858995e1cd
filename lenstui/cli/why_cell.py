"""Why one cell says what it says, on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.cli.output import deliver, deliver_figure, table_width
from lenstui.cli.readout import prompt_remarks
from lenstui.cli.stderr import aside, progress, say
from lenstui.export.shape import Shape
from lenstui.lens.kinds import LOGIT
from lenstui.model.rows import Row
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import SHORTER_PROMPT, LensError, failure
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.causal.contributions import Contributions
    from lenstui.export.why import Why
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.opened import Opened

LAST = "last"
TOP = 20


@dataclass(frozen=True, slots=True)
class AskedCell:
    """The cell and the logit that are asked for, and how much of it.

    Attributes:
        row: the label of the row, or `last`.
        column: the index of the column; None for the last.
        token: the word; None for the likeliest token of the cell.
        minus: the word whose logit is taken off; None for the mean over the vocabulary.
        head: the attention head whose attention is shown, or None.
        all_rows: whether to show how the logit grew.
        neurons: whether to give the contributions of neurons.
        sources: whether to see what attention heads read.
        top: how many of the strongest a table, Markdown or HTML lists.
    """

    row: str
    column: int | None
    token: str | None
    minus: str | None
    head: str | None
    all_rows: bool
    neurons: bool
    sources: bool
    top: int

    def options(self) -> Iterator[str]:
        """Yield the options that say how much is shown, beside the cell itself."""
        if self.head is not None:
            yield f"--head={self.head}"
        if self.all_rows:
            yield "--all-rows"
        if self.neurons:
            yield "--neurons"
        if not self.sources:
            yield "--no-sources"
        if self.top != TOP:
            yield from ("--top", str(self.top))


def show_cell(asked: Start, cell: AskedCell, shape: Shape) -> int:
    """Explain the cell, write the result, and return the exit status."""
    if cell.head is not None:
        from lenstui.causal.contributions import head_named

        head_named(cell.head)  # before the model, since loading takes long
    if shape.output is not None:
        check_place(shape.output, special=True)
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
        lens = _lens(opened, asked, shape)
        on_stage("reading the prompt")
        why = _why(opened, lens, asked, cell, shape)
    for remark in _remarks(opened, why, cell):
        say(remark)
    _write(why, opened, lens, asked=asked, cell=cell, shape=shape)
    return 0


def _lens(opened: Opened, asked: Start, shape: Shape) -> Lens:
    """Return the lens of the cell: of the kind that was asked for, or the one named, or the logit lens."""
    from lenstui.opening.opened import lenses_to_read

    if shape.lenses is not None:
        return lenses_to_read(opened, shape.lenses, all_of_them=True)[0]
    return opened.fitted[0] if asked.lenses else lenses_to_read(opened, [LOGIT])[0]


def _why(opened: Opened, lens: Lens, asked: Start, cell: AskedCell, shape: Shape) -> Why:
    from lenstui.export.why import Why
    from lenstui.opening.opened import source_of

    model, reading = opened.model, shape.reading
    assert asked.typed is not None
    for reason in reading.refused(model.allowed, model.num_blocks).values():
        raise LensError(reason)
    prompt = reading.prompt(model, asked.typed)
    if shape.edits:
        from lenstui.edits.edited import edited

        model = edited(model, shape.edits, prompt, reading, lens=lens)
        opened = replace(opened, model=model)
    of = _contributions(model, lens, prompt, cell)
    if cell.head is not None:
        block, _ = of.head(cell.head)
        if (no_sources := of.no_sources[block]) is not None:
            raise LensError(f"What attention head {cell.head} read is not known: {no_sources}.")
    return Why(of, prompt, source_of(opened, [lens], reading), model.texts, cell.top, cell.head)


def _contributions(model: Model, lens: Lens, prompt: Prompt, cell: AskedCell) -> Contributions:
    from lenstui.causal.attribution import explain
    from lenstui.causal.components import read_components

    row = _row_index(cell.row, model.num_blocks)
    column = len(prompt.ids) - 1 if cell.column is None else cell.column
    try:
        components = read_components(model, prompt.ids, column, sources=cell.sources)
        return explain(
            components,
            lens,
            row=row,
            token=cell.token,
            minus=cell.minus,
            text=prompt.text,
            neurons=cell.neurons,
            all_rows=cell.all_rows,
        )
    except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Taking the cell apart failed", error, SHORTER_PROMPT)) from error


def _row_index(label: str, num_blocks: int) -> int:
    if label == LAST:
        return num_blocks
    row = Row.of(label).h
    if row > num_blocks:
        raise LensError(f"There is no row {label}: this model has rows emb, 0 … {num_blocks - 1}.")
    return row


def _remarks(opened: Opened, why: Why, cell: AskedCell) -> Iterator[str]:
    from lenstui.readout.pins import find_pins

    yield from opened.remarks
    yield from prompt_remarks(why.prompt)
    model = opened.model
    for word in filter(None, (cell.token, cell.minus)):
        (pin, *_) = find_pins(
            model.tokenizer, model.texts, [word], prompt=why.prompt.text, vocabulary=model.vocabulary
        )
        if not pin.whole:
            text = model.texts[pin.id]
            yield f"No token is the word {word!r}: the first of those it is cut into, {text}, is explained."


def _write(why: Why, opened: Opened, lens: Lens, *, asked: Start, cell: AskedCell, shape: Shape) -> None:
    from lenstui.export.command import why_command
    from lenstui.export.why_forms import why_text
    from lenstui.opening.opened import files_to_name

    def command() -> str:
        return why_command(why, list(cell.options()), files_to_name(opened, [lens]), asked, shape)

    if shape.is_figure:
        from lenstui.export.figures.why import why_figure

        deliver_figure(why_figure(shape.format, why, shape.style, command()), shape.output)
    else:
        deliver(why_text(shape.format, why, command, table_width(shape.output)), shape.output)
