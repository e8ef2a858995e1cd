"""The dialog that asks how the prompt is to be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from lenstui.model.rows import parse_rows
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import StillInput

if TYPE_CHECKING:
    from lenstui.jobs.messages import OpenModel


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the dialog on which one of several words is chosen.

    Attributes:
        name: the name of the attribute of `Reading` that the line sets.
        label: the name on screen.
        words: the words to choose from, each with the value that it stands for; the default comes first.
        hint: a sentence about the line, shown while the line has the focus.
    """

    name: str
    label: str
    words: tuple[tuple[str, Any], ...]
    hint: str


LINES = (
    Line(
        "final_norm",
        "final norm",
        (("on (default)", True), ("off", False)),
        "Of the logit lens. The last row and the tuned lens always have it.",
    ),
    Line(
        "bos",
        "BOS token",
        (("tokenizer's (default)", None), ("with", True), ("without", False)),
        "Whether the prompt begins with it. With the chat template it is as the template has it.",
    ),
    Line(
        "chat",
        "chat template",
        (("off (default)", False), ("on", True)),
        "The prompt becomes the user's message, and the assistant speaks next.",
    ),
    Line(
        "sublayers",
        "sublayers",
        (("off (default)", False), ("on", True)),
        "What attention and MLP of each block add, by the logit lens alone.",
    ),
    Line(
        "words_only",
        "words only",
        (("off (default)", False), ("on", True)),
        "Cells without tokens that have no letter or digit; every number stays of the whole vocabulary.",
    ),
)
ROWS_HINT = (
    "all (default), every 4, or a list such as emb,0-4,last; the last row is always read. Here: emb, 0 … "
)


class AskReading(BoxScreen[Reading | None]):
    """A dialog for the options by which the prompt is read. Returns a `Reading`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Apply", id="reading.apply"),
        Binding("escape,q", "dismiss", "Close", id="reading.close"),
        Binding("down,j", "app.focus_next", "Next", show=False, id="reading.next"),
        Binding("up,k", "app.focus_previous", "Previous", show=False, id="reading.previous"),
    ]
    DEFAULT_CSS = """
    AskReading {
        Horizontal { height: 1; margin-bottom: 1; }
        Horizontal Label { width: 16; color: $text-muted; }
        Input { width: 1fr; }
        #reading-hint { width: 1fr; height: 2; color: $text-muted; }
        #reading-hint.-wrong { color: $error; }
    }
    """

    def __init__(self, reading: Reading, model: OpenModel, *, of_turns: bool = False) -> None:
        """Prepare the dialog.

        Args:
            reading: the current options.
            model: the open model.
            of_turns: whether the prompt is turns, which are in the chat template, with its BOS.
        """
        super().__init__()
        self._reading, self._model = reading, model
        self._lines = tuple(line for line in LINES if not (of_turns and line.name in {"bos", "chat"}))

    def compose(self) -> ComposeResult:
        """Yield the input for the rows, the lines of words, and the hint."""
        with Box("reading", "enter applies · up down, left right · esc closes"):
            with Horizontal():
                yield Label("rows")
                yield StillInput(self._reading.rows.text, placeholder="all", id="reading-rows")
            for line in self._lines:
                with Horizontal():
                    yield Label(line.label)
                    now = getattr(self._reading, line.name)
                    word = next(word for word, value in line.words if value == now)
                    yield Choice([word for word, _ in line.words], word, id=f"reading-{line.name}")
            yield Label(id="reading-hint")

    def _asked(self) -> Reading:
        chosen = {line.name: dict(line.words)[self._choice(line.name).value] for line in self._lines}
        rows = self.query_one("#reading-rows", Input).value.strip()
        return replace(self._reading, rows=parse_rows(rows or "all"), **chosen)

    def _choice(self, name: str) -> Choice:
        return self.query_one(f"#reading-{name}", Choice)

    @on(Input.Submitted)
    def action_apply(self) -> None:
        """Close the dialog with the chosen options, or show why the prompt cannot be read with them."""
        try:
            reading = self._asked()
        except LensError as error:
            self._say(str(error), wrong=True)
            return
        refused = reading.refused(self._model.allowed, self._blocks)
        if refused:
            self._say(next(iter(refused.values())), wrong=True)
        else:
            self.dismiss(reading)

    @property
    def _blocks(self) -> int:
        return len(self._model.rows) - 1

    @on(Input.Changed)
    @on(Choice.Changed)
    def say_no_more(self) -> None:
        """Replace an error message by the hint, since something was changed."""
        self._hint()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the hint of the line that has the focus."""
        self._hint()

    def _hint(self) -> None:
        focused = "" if self.focused is None else self.focused.id
        line = next((line for line in self._lines if focused == f"reading-{line.name}"), None)
        self._say(ROWS_HINT + self._model.rows[-1] if line is None else line.hint)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        for hint in self.query("#reading-hint").results(Label):  # none while the screen comes or goes
            hint.update(shown(text))
            hint.set_class(wrong, "-wrong")
