"""The jobs that explain a cell of the prompt on screen, what wrote a token's logit in it, and export that.

Torch is imported inside the jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.shape import Shape
from lenstui.jobs.export_messages import NotTaken
from lenstui.jobs.export_things import NOTEBOOK
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.taking import take_view
from lenstui.jobs.thread import JobThread, Stop
from lenstui.jobs.why_messages import CellAsked, WhyNotRead, WhyOrder, WhyRead, WhySource
from lenstui.lens.kinds import made_lens
from lenstui.opening.side_reading import side_model, side_prompts
from lenstui.support.errors import SHORTER_PROMPT, LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.causal.contributions import Contributions
    from lenstui.export.figures.file import FigureFile
    from lenstui.export.why import Why
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.opening.sides import Side
    from lenstui.readout.reading import Reading

SHOWN = ("--all-rows",)  # the options of `lenstui why` that give what the screen shows
OTHER_SIDE = "# No command says the same: the side has another prompt or model than the first."


class WhyService:
    """A service that explains cells. Its methods return at once; the results are posted."""

    def __init__(
        self, thread: JobThread, file_thread: JobThread, model_jobs: ModelJobs, read_jobs: ReadJobs
    ) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            file_thread: the thread that writes files.
            model_jobs: the jobs with the open model and the sides.
            read_jobs: the jobs that read the prompt on screen.
        """
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs
        self._read_jobs = read_jobs

    def explain(self, asked: CellAsked, start: Start, post: Post) -> None:
        """Explain a cell; an earlier request is dropped."""
        self._thread.submit("why", lambda stop: self._explain(asked, start, post, stop))

    def write(self, order: WhyOrder, post: Post) -> None:
        """Write an explained cell to a file, or post its text for the clipboard."""
        self._file_thread.submit("export why", lambda stop: _write(order, post))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _explain(self, asked: CellAsked, start: Start, post: Post, stop: Stop) -> None:
        request, sides = self._read_jobs.request, self._model_jobs.sides
        # A later reading is of the same prompt, since no other is read behind the screen: edits began it.
        if sides is None or request is None or request.serial < asked.serial:
            post(WhyNotRead(asked, "The prompt is being read: go back, and ask again."))
            return
        if asked.place >= len(sides.sides):
            post(WhyNotRead(asked, "The side was taken away: go back, and ask on another."))
            return
        from lenstui.export.why import Why
        from lenstui.opening.opened import source_of

        with reporting(
            lambda text: post(WhyNotRead(asked, text)), "The cell was not explained", SHORTER_PROMPT
        ):
            prompt = side_prompts(sides, request.of_sides)[asked.place]
            side, reading = sides.sides[asked.place], request.reading
            model = side_model(side, prompt, request.of_sides)
            of = self._contributions(asked, model, prompt)
            texts = model.texts.of({*of.ids, of.token, *([] if of.minus is None else [of.minus])})
            is_first = side.text is None and side.model is sides.first.model
            no_command = _no_command(side, prompt, reading) if is_first else OTHER_SIDE
            reading = replace(reading, sublayers=False)
            assert side.lens is not None  # as the cell was explained
            origin = source_of(replace(side.opened, model=model), [side.lens], reading)
            source = _source(side, Why(of, prompt, origin, texts), reading, start, no_command)
            if not stop():
                post(WhyRead(asked, of, texts, _command(source), source))

    def _contributions(self, asked: CellAsked, model: Model, prompt: Prompt) -> Contributions:
        from lenstui.causal.attribution import explain
        from lenstui.causal.components import read_components

        request = self._read_jobs.request
        assert request is not None
        row = self._read_jobs.rows_of_sides(request)[asked.place][asked.row]
        if row.part is not None:
            raise LensError("What one part adds is not taken apart any more: go to a row between two blocks.")
        if (lens := self._model_jobs.lenses[asked.place]) is None:
            raise LensError("There is no lens to read the cell through.")
        lens = lens if request.reading.final_norm else lens.without_final_norm()
        components = read_components(model, prompt.ids, asked.column)
        return explain(
            components, lens, row=row.h, token=asked.token, minus=asked.minus, text=prompt.text, all_rows=True
        )


def _no_command(side: Side, prompt: Prompt, reading: Reading) -> str:
    """Return why no `lenstui why` says the same, as a comment; empty where one does."""
    lens = side.lens
    if lens is None or (made_lens(lens.kind) is None and (lens.file is None or not lens.file.exists())):
        return "# No command says the same: the lens is in no file. o lists it, s saves it."
    if not reading.final_norm:
        return "# No command says the same: the final norm is left out."
    if reading.prompt(side.model, prompt.typed).ids != prompt.ids or (
        side.edits.in_force and prompt.appended
    ):
        return "# No command says the same: the text is cut into other tokens than the prompt has."
    return ""


def _source(side: Side, why: Why, reading: Reading, start: Start, no_command: str) -> WhySource:
    """Return what the cell is exported from."""
    from lenstui.opening.opened import files_to_name

    assert side.lens is not None  # as the cell was explained
    files = () if no_command else files_to_name(side.opened, [side.lens])
    shape = Shape(lenses=(side.lens.kind,), reading=reading, edits=side.edits.in_force)
    return WhySource(why, tuple(file.absolute() for file in files), start, shape, no_command)


def _command(
    source: WhySource, options: Sequence[str] = (), form: str = "table", path: Path | None = None
) -> str:
    """Return the `lenstui why` that says the same, or a comment that says why there is none."""
    from lenstui.export.command import why_command

    if source.no_command:
        return source.no_command
    why, shape = source.why, replace(source.shape, format=form, output=path)
    why = replace(why, source=why.source.from_anywhere)
    return why_command(why, options, source.lens_files, source.start, shape)


# ── on the file thread ───────────────────────────────────────────────────────────────────────────────────


def _write(order: WhyOrder, post: Post) -> Iterator[None]:
    with reporting(lambda text: post(NotTaken(order.number, text)), "It was not exported"):
        if order.thing is NOTEBOOK:
            why = order.source.why
            post(keep_view("why", why.prompt.text, _text(order, "md"), lambda: _figure(order, "svg")))
        else:
            text, figure = partial(_text, order), partial(_figure, order)
            post(take_view(order.number, order.thing, order.path, text=text, figure=figure))
        yield


def _figure(order: WhyOrder, form: str) -> FigureFile:
    from lenstui.export.figures.why import why_figure

    source = order.source
    command = _command(source, _options(source), form, order.path)
    return why_figure(form, source.why, source.shape.style, command)


def _options(source: WhySource) -> list[str]:
    """Return the options of what is shown, in the order of `lenstui why`."""
    head = source.why.head
    return [*([] if head is None else [f"--head={head}"]), *SHOWN]


def _text(order: WhyOrder, form: str) -> str:
    from lenstui.export.why_forms import why_text

    source, options = order.source, _options(order.source)
    if form != "command":
        return "".join(why_text(form, source.why, lambda: _command(source, options, form, order.path)))
    if source.no_command:
        raise LensError(source.no_command.removeprefix("# "))
    return _command(source, options) + ("" if order.path is None else "\n")
