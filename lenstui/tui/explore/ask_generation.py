"""The dialog that asks how many tokens to generate, and how."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from lenstui.jobs.read_request import Generation
from lenstui.lens.names import kind_word
from lenstui.support.printable import printable
from lenstui.support.typed_number import finite_number, whole_number
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import StillInput

_COUNT, _TURN, _MOST = 20, 200, 9999


class AskGeneration(BoxScreen[Generation | None]):
    """A dialog for the number of tokens, the temperature and the seed. Returns a `Generation`, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="generation.close"),
        Binding("down", "app.focus_next", "Next", show=False, id="generation.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="generation.previous"),
    ]
    DEFAULT_CSS = """
    AskGeneration {
        Horizontal { height: 1; margin-bottom: 1; }
        Horizontal Label { width: 14; color: $text-muted; }
        Horizontal Label.hint { width: 1fr; margin-left: 2; }
        Input { width: 10; }
        #generation-what { width: 1fr; margin-bottom: 1; }
        #generation-wrong { width: 1fr; color: $error; display: none; }
    }
    """

    def __init__(
        self,
        *,
        row: int | None,
        label: str,
        kind: str,
        seed: int,
        room: int | None,
        edits: str = "",
        of_turns: bool = False,
    ) -> None:
        """Prepare the dialog.

        Args:
            row: the index of the row that generates; None for the last.
            label: the label of that row.
            kind: the kind of lens that reads that row.
            seed: the seed of the draws, unless another one is typed.
            room: the number of tokens that the context still takes; None for no limit.
            edits: the edits under which the model goes on, on one line.
            of_turns: whether the prompt is turns, of which the assistant's is generated.
        """
        super().__init__()
        self._of_turns = of_turns
        self._edits = edits
        self._row, self._label, self._kind, self._seed, self._room = row, label, kind, seed, room

    def compose(self) -> ComposeResult:
        """Yield a line about the row that will generate, and an input for each number."""
        count = _TURN if self._of_turns else _COUNT
        count = count if self._room is None else min(count, self._room)
        what = "The model speaks, until it ends the turn." if self._of_turns else "The model goes on."
        if self._row is not None:
            said = f"Row {self._label} goes on by the {kind_word(self._kind)} lens"
            what = f"{said}: what the model would say if it stopped there."
        what += f" Edited: {printable(self._edits)}." if self._edits else ""
        room = "" if self._room is None else f", at most {self._room}"
        with Box("generate", "enter generates · up down · esc closes"):
            yield Label(Text(what), id="generation-what")
            for name, label, value, hint in (
                ("count", "tokens", str(count), f"a whole number{room}"),
                ("temperature", "temperature", "0", "0 takes the likeliest token"),
                ("seed", "seed", str(self._seed), "of the draws, if temperature is not 0"),
            ):
                with Horizontal():
                    yield Label(label)
                    yield StillInput(value, id=f"generation-{name}")
                    yield Label(hint, classes="hint")
            yield Label(id="generation-wrong")

    def _typed(self, name: str) -> str:
        return self.query_one(f"#generation-{name}", Input).value.strip()

    @on(Input.Submitted)
    def submit(self) -> None:
        """Close the dialog with the typed numbers, or show which of them is wrong."""
        count, seed = whole_number(self._typed("count")), whole_number(self._typed("seed"))
        temperature = finite_number(self._typed("temperature"))
        most = _MOST if self._room is None else min(_MOST, self._room)
        if count is None or not 1 <= count <= most:
            self._say(f"tokens: a whole number from 1 to {most}")
        elif temperature is None:
            self._say("temperature: 0 or a positive number")
        elif seed is None:
            self._say("seed: a whole number")
        else:
            self.dismiss(Generation(count, self._row, self._kind, temperature, seed))

    def _say(self, text: str) -> None:
        wrong = self.query_one("#generation-wrong", Label)
        wrong.update(shown(text))
        wrong.display = True
