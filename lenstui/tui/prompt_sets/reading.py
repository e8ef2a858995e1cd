"""What the screen of prompt sets does to read one: which file, how far it is, stop."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.timer import Timer
from textual.widgets import Input, Static

from lenstui.export.names import shown_path
from lenstui.jobs.fit_messages import BUSY, FitChanged
from lenstui.jobs.messages import LensOpened, LoadFailed, LoadStage, ModelLoaded
from lenstui.jobs.set_messages import CasesRead, ReadCase, SetEnd, SetEnded, SetOpened, SetSource, SetStarted
from lenstui.jobs.sets import NO_MODEL, SetRequest
from lenstui.readout.sets.prompts import EXAMPLES
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.tui.shared.file_dialogs import OpenPrompts
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.shared.themes import rich_colour

_BAR = 20  # cells
_SHARE = 0.1  # of the time that drawing may take while cases come
_LEAST = 0.2  # seconds between two drawings
NOT_READING = "Nothing is being read."
IN_USE = "A lens is in training: the prompts are read through the one in use, beside it."


@dataclass(eq=False)
class SetRun:
    """A set that is read, or was.

    Attributes:
        request: what was asked for.
        name: of the set.
        total: how many cases there are.
        groups: their groups, in order of appearance, as display texts.
        skipped: how many lines of the file held no prompt.
        remark: which these are.
        cases: what was read, in the file's order.
        texts: display texts of every token in them.
        source: where the numbers come from; None before the model begins.
        seconds: since then.
        end: how it ended; None while more come.
        why: it ended so.
        is_stale: another model was opened since.
    """

    request: SetRequest
    name: str
    total: int
    groups: tuple[str, ...]
    skipped: int
    remark: str | None
    cases: list[ReadCase] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    source: SetSource | None = None
    seconds: float = 0.0
    end: SetEnd | None = None
    why: str = ""
    is_stale: bool = False


class SetReading(LeanScreen[None], AppScreen[None]):
    """A screen that reads prompt sets. What was read stays until another file is opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "b", "browse", "Browse…", show=False, id="prompts.browse",
            tooltip="Choose a file of prompts from any folder",
        ),
        Binding(
            "s", "stop", "Stop", show=False, id="prompts.stop", tooltip="Stop reading; what was read stays"
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._asked: SetRequest | None = None  # the last one
        self._opening = False  # its file
        self._is_naming = False  # the line of the file was asked for, or edited, since it was read
        self._run: SetRun | None = None  # what is shown
        self._drawn = 0.0  # when, and how long that took
        self._cost = 0.0
        self._soon: Timer | None = None

    @property
    def run(self) -> SetRun | None:
        """What is shown."""
        return self._run

    @property
    def is_reading(self) -> bool:
        """Whether cases are to come."""
        return self._run is not None and self._run.end is None

    # ── which file ───────────────────────────────────────────────────────────────────────────────────────

    def action_name_file(self) -> None:
        """Go to the line that names it."""
        self._is_naming = True
        self.query_one("#set-file", Input).focus()

    def action_browse(self) -> None:
        """Choose one."""
        typed = Path(self.query_one("#set-file", Input).value).expanduser()
        folder = typed.parent if typed.is_file() else Path.home()
        self.app.push_screen(OpenPrompts(folder if folder.is_dir() else Path("/")), self._browsed)

    def _browsed(self, path: Path | None) -> None:
        if path is not None:
            self.query_one("#set-file", Input).value = shown_path(path)
            self.read_file()

    @on(Input.Submitted, "#set-file")
    def read_file(self) -> None:
        """Read what the line names."""
        explore = self._app.explore
        if explore.model is None:
            self._say(NO_MODEL, wrong=True)
            return
        typed = self.query_one("#set-file", Input).value.strip() or EXAMPLES
        self._is_naming = False
        number = 1 if self._asked is None else self._asked.number + 1
        reading = replace(explore.shown_reading, sublayers=False)  # which are of one prompt
        self._asked = SetRequest(number, typed, self._app.start, reading)
        self._opening = True
        self._say("opening the file …")
        if self._app.training.is_busy:
            self._tell(IN_USE)
        self._app.sets.read(self._asked, self.post_message)

    @on(Input.Changed, "#set-file")
    def edit_file(self, message: Input.Changed) -> None:
        """Somebody types, who is not to lose the line to what is read meanwhile."""
        if self._asked is not None and message.value.strip() != self._asked.typed:
            self._is_naming = True

    def action_stop(self) -> None:
        """Stop; what was read stays."""
        if not (self.is_reading or self._opening):
            self._tell(NOT_READING)
        for request in (self._asked, None if self._run is None else self._run.request):
            if request is not None:
                request.given_up.set()

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def on_set_opened(self, message: SetOpened) -> None:
        """The cases of the file before go."""
        asked = self._asked
        if asked is not None and message.number == asked.number:
            self._opening = False
            groups = tuple(map(printable, message.groups))
            self._run = SetRun(asked, message.name, message.cases, groups, message.skipped, message.remark)
            self._begin(self._run)
            self._show()

    def on_set_started(self, message: SetStarted) -> None:
        """It is known where the numbers come from."""
        if (run := self._run_of(message.number)) is not None:
            run.source = message.source
            self._show()

    def on_cases_read(self, message: CasesRead) -> None:
        """More of them."""
        if (run := self._run_of(message.number)) is not None:
            run.cases.extend(message.cases)
            run.texts.update(message.texts)
            run.seconds = message.seconds
            self._show_soon()

    def on_set_ended(self, message: SetEnded) -> None:
        """All are there, or no more come."""
        if (run := self._run_of(message.number)) is not None:
            run.end, run.why = message.end, message.text
            self._show()
            if not self.is_current:
                self.app.notify(self._counts(run), title="Prompt set", timeout=8, markup=False)
        elif self._asked is not None and message.number == self._asked.number:
            self._opening = False
            self._say(message.text or "stopped", wrong=message.end is SetEnd.FAILED)
            if self.is_current:
                self.action_name_file()

    def _run_of(self, number: int) -> SetRun | None:
        """What is shown, if it has this number."""
        return self._run if self._run is not None and number == self._run.request.number else None

    # ── what is said ─────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, run: SetRun) -> None:
        """Another file is read."""

    def _draw(self) -> None:
        """Show what there is."""

    def _show_soon(self) -> None:
        """Draw when that is worth its time."""
        if self._soon is None:
            wait = self._drawn + max(_LEAST, self._cost / _SHARE) - time.monotonic()
            self._soon = self.set_timer(max(wait, 0.01), self._show)

    def _show(self) -> None:
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        began = time.monotonic()
        self._draw()
        if self._run is not None:
            self._say(self._counts(self._run))
        self._drawn = time.monotonic()
        self._cost = self._drawn - began

    def _counts(self, run: SetRun) -> str:
        """How far it is, and what of it was not read."""
        done = len(run.cases)
        failed = sum(case.line.reason is not None for case in run.cases)
        why = f": {run.why}" * bool(run.why)
        match run.end:
            case SetEnd.DONE:
                parts = [f"{done} prompt{'s' * (done != 1)}", f"{run.seconds:.1f} s"]
            case SetEnd.STOPPED:
                parts = [f"stopped at {done} of {run.total}{why}"]
            case SetEnd.FAILED:
                parts = [f"failed at {done} of {run.total}{why}"]
            case _:
                parts = [f"{done} of {run.total}"]
        if run.end is None and run.source is None:
            parts.append("waiting for the model")
        elif run.end is None and done:
            parts.append(f"{duration((run.total - done) * run.seconds / done)} left")
        parts += [f"{failed} failed"] * bool(failed)
        parts += [f"{run.skipped} {'line' if run.skipped == 1 else 'lines'} skipped"] * bool(run.skipped)
        return " · ".join([*parts, *self._counts_shown()])

    def _counts_shown(self) -> list[str]:
        """How many of them are shown, where that is not all."""
        return []

    def _say(self, text: str, *, wrong: bool = False) -> None:
        """On the line under the file: how far it is, or what is wrong with it."""
        line = Text(no_wrap=True, overflow="ellipsis")
        run = self._run
        if run is not None and run.end is None and not wrong:
            full = round(_BAR * len(run.cases) / max(run.total, 1))
            line.append("━" * full, style=rich_colour(self.app, "primary"))
            line.append("━" * (_BAR - full) + "  ", style=rich_colour(self.app, "border-blurred"))
            text += " · s stops"
        said = self.query_one("#set-said", Static)
        said.set_class(wrong, "-wrong")
        said.update(line.append(printable(text)))
        said.tooltip = shown(run.remark) if run is not None and run.remark else None

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def on_screen_resume(self) -> None:
        """What happened to the model meanwhile is seen."""
        self.query_one(StatusBar).model = self._app.explore.model

    def on_load_stage(self, message: LoadStage) -> None:
        """Say how far loading is."""
        self.query_one(StatusBar).stage = message.text

    def on_load_failed(self, message: LoadFailed) -> None:
        """What was open stays open; Explore says why."""
        self.query_one(StatusBar).stage = None

    def on_model_loaded(self, message: ModelLoaded) -> None:
        """What was read is of the one before; the model thread stops by itself."""
        if self._run is not None:
            self._run.is_stale = True
        self._show_model(message)

    def on_lens_opened(self, message: LensOpened) -> None:
        """What is being read goes on by the lens that it began with."""
        self._show_model(message)

    def _show_model(self, message: ModelLoaded | LensOpened) -> None:
        status = self.query_one(StatusBar)
        status.model, status.stage = message.model, None

    def on_fit_changed(self, message: FitChanged) -> None:
        """The top line says how far it is."""
        status = message.status
        self.query_one(StatusBar).fit = status if status.phase in BUSY else None
