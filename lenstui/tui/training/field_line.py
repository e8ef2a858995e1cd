"""A line of the form for a fit: a label, what is typed or chosen, and a note."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from lenstui.fitting.options import DEFAULT_PRESET, PRESETS
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import StillInput
from lenstui.tui.training.fields import Field, first_text


class FieldLine(Horizontal):
    """A line of the form: a label, an input, and a note on its meaning or on what is wrong with it."""

    def __init__(self, field: Field) -> None:
        super().__init__(id=f"line-{field.name}", classes="field")
        self._field = field
        self._complaint: str | None = None

    def compose(self) -> ComposeResult:
        """Yield label, input and note of the field."""
        first = first_text(self._field.name, PRESETS[DEFAULT_PRESET])
        yield Label(self._field.label)
        if self._field.words:
            yield Choice(self._field.words, first, id=f"field-{self._field.name}")
        else:
            yield StillInput(first, placeholder=self._field.empty, id=f"field-{self._field.name}")
        yield Static(self._field.note, classes="note")

    @property
    def text(self) -> str:
        """The text in the field, or the word that is chosen there."""
        control = self.query_one(f"#field-{self._field.name}")
        assert isinstance(control, Input | Choice)
        return control.value

    @text.setter
    def text(self, text: str) -> None:
        control = self.query_one(f"#field-{self._field.name}")
        assert isinstance(control, Input | Choice)
        control.value = text

    def complain(self, text: str | None) -> None:
        """Show what is wrong with the field, or its note again where `text` is None."""
        if text == self._complaint:
            return
        self._complaint = text
        note = self.query_one(".note", Static)
        note.update(shown(text or self._field.note))
        note.set_class(text is not None, "-wrong")
