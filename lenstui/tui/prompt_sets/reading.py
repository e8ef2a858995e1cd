"""The reading of a prompt set: choose its file, read, take the cases as they come, stop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lenstui.edits.edit import Edit, have_directions
from lenstui.edits.language import begins_as_edit, parse_edits
from lenstui.export.names import shown_path
from lenstui.jobs.messages import Post
from lenstui.jobs.set_messages import CasesRead, SetEnd, SetEnded, SetOpened, SetStarted
from lenstui.jobs.sets import NO_MODEL, SetRequest
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.support.typed_path import expanded, folder_near
from lenstui.texts.files import listed
from lenstui.tui.prompt_sets.painter import SetPainter, SetWidgets
from lenstui.tui.prompt_sets.state import SetRun, SetState
from lenstui.tui.services import Services
from lenstui.tui.shared.file_dialogs import OpenPrompts

OTHERS_EDITS = "The active side's edits are of another model: the open model reads the prompts clean."
NOT_READING = "Nothing is being read."
ONE_SIDE_ALONE = "Outlier scores are of one side: an empty line behind d ends the second, behind o scores."
CLEAN_AGAINST = "The second side is held against the clean run: the edits of Explore are left out."
CLEAN_ALONE = "Outlier scores are of clean runs: in Explore W takes the edits away; o names no reference."
IN_USE = "A lens is in training: the prompts are read through the one in use, beside it."


class SetReader:
    """The part of the screen that has a prompt set read, and takes its cases as they come."""

    def __init__(
        self, state: SetState, widgets: SetWidgets, services: Services, painter: SetPainter, post: Post
    ) -> None:
        """Prepare the part; nothing is read yet.

        Args:
            state: the state of the screen.
            widgets: the widgets of the screen.
            services: the services of the program.
            painter: draws the state.
            post: takes the messages of the jobs to the screen.
        """
        self._state = state
        self._widgets = widgets
        self._services = services
        self._painter = painter
        self._post = post

    # ── which file ───────────────────────────────────────────────────────────────────────────────────────

    def name_file(self) -> None:
        """Put the focus on the line that names the file."""
        self._state.is_naming = True
        self._widgets.file.focus()

    def note_edit(self, text: str) -> None:
        """Note that the user is typing a file name, so that the focus stays there when a prompt set opens."""
        if self._state.asked is not None and text.strip() != self._state.asked.typed:
            self._state.is_naming = True

    def browse(self) -> None:
        """Open a dialog to choose a file of prompts, and read the chosen file."""
        folder = folder_near(expanded(self._widgets.file.value))
        self._services.ask(OpenPrompts(folder), self._browsed)

    def _browsed(self, path: Path | None) -> None:
        if path is not None:
            self._widgets.file.value = shown_path(path)
            self.read()

    def read(self) -> None:
        """Read the file that the line names, or the examples if the line is empty."""
        state = self._state
        if self._services.model is None:
            self._painter.say(NO_MODEL, wrong=True)
            return
        typed = self._widgets.file.value.strip() or EXAMPLES
        state.is_naming = False
        number = 1 if state.asked is None else state.asked.number + 1
        reading = replace(self._services.shown_reading, sublayers=False)  # sublayers are of one prompt
        try:
            edits, kind = self._edits()
        except LensError as error:
            self._painter.say(str(error), wrong=True)
            return
        if state.reference and (edits or state.against):
            self._painter.say(CLEAN_ALONE if edits else ONE_SIDE_ALONE, wrong=True)
            return
        state.asked = SetRequest(
            number,
            typed,
            self._services.start,
            reading,
            edits,
            kind,
            reference=state.reference,
            above=state.above,
            against="" if edits else state.against,
        )
        state.is_opening = True
        self._painter.say("opening the file …")
        if self._services.training.is_busy:
            self._services.tell(IN_USE)
        self._services.sets.read(state.asked, self._post)

    def _edits(self) -> tuple[tuple[Edit, ...], str | None]:
        """Return the edits of the prompts, and the only kind of lens that they are for, if any.

        They are those that the line of the second side names; where it names nothing, those of Explore's
        active side. Words in edits have their directions through the lens of that side.

        Raises:
            LensError: if what the line names is no edit, though it begins as one.
        """
        model, active, against = self._services.model, self._services.active_side, self._state.against
        if model is None or active >= len(model.sides):
            return (), None
        side = model.sides[active]
        edits = side.edits.in_force
        if against:
            if edits:
                self._services.tell(CLEAN_AGAINST)
            typed = parse_edits(against) if begins_as_edit(against) else ()
            return typed, side.kind if have_directions(typed) else None
        if edits and side.model_number != model.sides[0].model_number:
            self._services.tell(OTHERS_EDITS)
            return (), None
        return edits, side.kind if have_directions(edits) else None

    def stop(self) -> None:
        """Stop reading; the cases that were read stay."""
        state = self._state
        if reason := self.why_not_stop():
            self._services.tell(reason)
        for request in (state.asked, None if state.run is None else state.run.request):
            if request is not None:
                request.given_up.set()

    def why_not_stop(self) -> str:
        """Return that nothing is being read that could be stopped; nothing where something is."""
        return "" if self._state.is_reading or self._state.is_opening else NOT_READING

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def begin(self, message: SetOpened) -> SetRun | None:
        """Show the set whose file was opened, sorted and filtered as before; return the set if awaited."""
        state, asked = self._state, self._state.asked
        if asked is None or message.number != asked.number:
            return None
        state.is_opening = False
        groups = tuple(map(printable, message.groups))
        state.run = SetRun(asked, message.name, message.cases, groups, message.skipped, message.remark)
        if message.unread:
            self._services.tell(printable(f"Not read: {listed(message.unread)}."), seconds=8)
        if state.view.column >= len(state.columns):
            state.view = replace(state.view, column=0)
        if state.view.group not in groups:  # a group of the former prompt set
            state.view = replace(state.view, group=None)
        return state.run

    def start(self, message: SetStarted) -> None:
        """Store the source of the cases of the prompt set, which the model begins to read."""
        if (run := self._state.run_of(message.number)) is not None:
            run.source = message.source
            self._painter.draw()
            for remark in message.remarks:
                self._services.tell(printable(remark), seconds=8)

    def add(self, message: CasesRead) -> None:
        """Add cases that were read to the prompt set, and draw them soon."""
        if (run := self._state.run_of(message.number)) is not None:
            by = self._state.columns[self._state.view.column].name
            run.cases.extend(message.cases)
            names = [column.name for column in self._state.columns]  # there may be one more now
            self._state.view = replace(self._state.view, column=names.index(by))
            run.texts.update(message.texts)
            run.seconds = message.seconds
            self._painter.draw_soon()

    def end(self, message: SetEnded, *, is_seen: bool) -> None:
        """Note that no more cases come, and tell the user.

        Args:
            message: says how the reading ended.
            is_seen: whether the screen of prompt sets is in front.
        """
        state = self._state
        if (run := state.run_of(message.number)) is not None:
            run.end, run.why = message.end, message.text
            self._painter.draw()
            if not is_seen:
                self._services.notify(self._painter.counts(run), title="Prompt set", seconds=8)
        elif state.asked is not None and message.number == state.asked.number:
            state.is_opening = False
            self._painter.say(message.text or "stopped", wrong=message.end is SetEnd.FAILED)
            if is_seen and message.of_reference:
                self._widgets.reference.focus()
            elif is_seen:
                self.name_file()
