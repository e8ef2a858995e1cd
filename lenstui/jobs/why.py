"""The job that explains a cell of the prompt on screen: what wrote the logit of a token in it.

Torch is imported inside the job.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.shape import Shape
from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.thread import JobThread, Stop
from lenstui.jobs.why_messages import CellAsked, WhyNotRead, WhyRead
from lenstui.lens.kinds import made_lens
from lenstui.opening.side_reading import side_model, side_prompts
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.causal.contributions import Contributions
    from lenstui.model.tokens import Prompt
    from lenstui.opening.sides import Side
    from lenstui.readout.reading import Reading

OTHER_SIDE = "# No command says the same: the side has another prompt or model than the first."


class WhyService:
    """A service that explains cells. Its methods return at once; the results are posted."""

    def __init__(self, thread: JobThread, model_jobs: ModelJobs, read_jobs: ReadJobs) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            model_jobs: the jobs with the open model and the sides.
            read_jobs: the jobs that read the prompt on screen.
        """
        self._thread = thread
        self._model_jobs = model_jobs
        self._read_jobs = read_jobs

    def explain(self, asked: CellAsked, start: Start, post: Post) -> None:
        """Explain a cell; an earlier request is dropped."""
        self._thread.submit("why", lambda stop: self._explain(asked, start, post, stop))

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _explain(self, asked: CellAsked, start: Start, post: Post, stop: Stop) -> None:
        request, sides = self._read_jobs.request, self._model_jobs.sides
        if sides is None or request is None or request.serial != asked.serial:
            return
        with reporting(lambda text: post(WhyNotRead(asked, text)), "The cell was not explained"):
            prompt = side_prompts(sides, request.of_sides)[asked.place]
            side, reading = sides.sides[asked.place], request.reading
            of = self._contributions(asked, side, prompt)
            texts = side.model.texts.of({*of.ids, of.token, *([] if of.minus is None else [of.minus])})
            is_first = side.text is None and side.model is sides.first.model
            command = _command(side, of, prompt, reading, start) if is_first else OTHER_SIDE
            if not stop():
                post(WhyRead(asked, of, texts, command))

    def _contributions(self, asked: CellAsked, side: Side, prompt: Prompt) -> Contributions:
        from lenstui.causal.attribution import explain
        from lenstui.causal.components import read_components

        request = self._read_jobs.request
        assert request is not None
        row = self._read_jobs.rows(request)[asked.row]
        if row.part is not None:
            raise LensError("What one part adds is not taken apart any more: go to a row between two blocks.")
        if (lens := self._model_jobs.lenses[asked.place]) is None:
            raise LensError("There is no lens to read the cell through.")
        lens = lens if request.reading.final_norm else lens.without_final_norm()
        model = side_model(side, prompt, request.of_sides)
        components = read_components(model, prompt.ids, asked.column)
        return explain(
            components, lens, row=row.h, token=asked.token, minus=asked.minus, text=prompt.text, all_rows=True
        )


def _command(side: Side, of: Contributions, prompt: Prompt, reading: Reading, start: Start) -> str:
    """Return the `lenstui why` that says the same, or a comment that says why there is none."""
    from lenstui.export.command import why_command
    from lenstui.export.why import Why
    from lenstui.opening.opened import files_to_name, source_of

    lens, model = side.lens, side.model
    if lens is None or (made_lens(lens.kind) is None and (lens.file is None or not lens.file.exists())):
        return "# No command says the same: the lens is in no file. o lists it, s saves it."
    if not reading.final_norm:
        return "# No command says the same: the final norm is left out."
    if reading.prompt(model, prompt.text).ids != prompt.ids or (side.edits.in_force and prompt.appended):
        return "# No command says the same: tokens were appended."
    source = source_of(side.opened, [lens], reading)
    if Path(source.model).is_dir():  # so that it is found from everywhere
        source = replace(source, model=str(Path(source.model).absolute()))
    why = Why(of, prompt, source, model.texts)
    files = tuple(file.absolute() for file in files_to_name(side.opened, [lens]))
    shape = Shape(lenses=(lens.kind,), reading=replace(reading, sublayers=False), edits=side.edits.in_force)
    return why_command(why, [], files, start, shape)
