"""The form for a fit: its defaults fit any model, and Enter begins."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import Button, Collapsible, Input, Label, Static

from lenstui.fitting.options import DEFAULT_PRESET, PRESETS
from lenstui.fitting.plan import unit_of
from lenstui.jobs.fit_messages import (
    Elsewhere,
    FitRequest,
    TextCounted,
    TextRefused,
    Unfinished,
)
from lenstui.jobs.messages import OpenModel
from lenstui.lens.kinds import JACOBIAN, TUNED
from lenstui.lens.names import instant_lens_named, kind_word
from lenstui.texts.bundled import text_for
from lenstui.tui.session.fit_texts import LastText
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.fit_words import PRESETS as PRESET_WORDS
from lenstui.tui.shared.fit_words import elsewhere_words
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import short_name
from lenstui.tui.shared.still_input import StillInput
from lenstui.tui.shared.typed_files import are_there
from lenstui.tui.training.field_line import FieldLine
from lenstui.tui.training.fields import (
    FIELDS,
    JACOBIAN_FIELDS,
    TUNED_FIELDS,
    FieldError,
    fields_of,
    first_text,
    make_request,
)
from lenstui.tui.training.text_words import need_words, prompts_words, size_words

_COUNTING = "counting …"
_STARTS = ("the instant lens", "a closed form on the text")


_KINDS = {kind_word(kind): kind for kind in (TUNED, JACOBIAN)}
_ABOUT_KIND = {
    TUNED: "reads out what the model would say next, fitted by KL",
    JACOBIAN: "reads out what the model is disposed to say later",
}


class TrainForm(VerticalScroll):
    """The form for a fit: the kind of lens, the text, the method, and all other options."""

    can_focus = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="form.help"),
        Binding("enter", "begin", "Start", tooltip="Begin the fit", id="form.start"),
        Binding("b", "screen.browse", "Browse…", tooltip="Choose a file with text", id="form.browse"),
        Binding("down", "app.focus_next", "Next field", show=False, id="form.next"),
        Binding("up", "app.focus_previous", "Field before", show=False, id="form.before"),
    ]
    DEFAULT_CSS = """
    TrainForm {
        padding: 0 2;
        scrollbar-size: 1 1;
        Label { width: 18; color: $foreground 65%; }
        Input, Input:focus { border: none; padding: 0; height: 1; background: $panel; }
        Input:focus { background: $primary 25%; }
        .field { height: auto; }
        #tuned-options, #jacobian-options { height: auto; }
        #jacobian-options { margin-top: 1; }
        .field Input { width: 14; }
        .field .note { width: 1fr; padding-left: 2; color: $foreground 50%; height: auto; }
        .note.-wrong, .wrong { color: $error; }
        .line { height: 1; margin-top: 1; }
        .under { padding-left: 18; color: $foreground 60%; height: auto; }
        .under.-wrong { color: $error; }
        #buttons { height: auto; margin-top: 1; }
        #buttons Button { margin-right: 2; min-width: 12; background: $panel; color: $foreground; }
        #buttons Button:focus { background: $primary; color: $background; text-style: bold; }
        #complaint { color: $error; height: auto; margin-top: 1; display: none; }
        #elsewhere { color: $foreground 60%; height: auto; margin-top: 1; display: none; }
        Collapsible:focus-within { background-tint: $surface 0%; }
        Collapsible { background: $surface; border: none; padding: 0; margin-top: 1; }
        CollapsibleTitle { padding: 0; color: $foreground 65%; background: $surface; }
        CollapsibleTitle:focus { background: $primary; color: $background; }
        Collapsible Contents { padding: 1 0 0 0; }
        #fields { layout: grid; grid-size: 1; grid-rows: auto; height: auto; grid-gutter: 0 2; }
    }
    """
    model: reactive[OpenModel | None] = reactive(None, init=False)

    class Edited(Message):
        """The message that the form asks for another fit; `request` is None where it makes no sense."""

        def __init__(self, request: FitRequest | None) -> None:
            self.request = request
            super().__init__()

    class Submitted(Message):
        """The message that the user wants the fit in the form to begin."""

        def __init__(self, request: FitRequest) -> None:
            self.request = request
            super().__init__()

    class Resumed(Message):
        """The message that the user wants to go on with a fit that was not finished."""

        def __init__(self, unfinished: Unfinished) -> None:
            self.unfinished = unfinished
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="form")
        self._counted: FitRequest | None = None  # the request whose text is counted, or being counted
        self._unfinished: Unfinished | None = None
        self._proposed = LastText()  # the text that the user has not typed for this model, or has fitted on

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield kind, text, method and buttons, and all other fields under "more"."""
        with Horizontal(id="line-kind", classes="line"):
            yield Label("kind of lens")
            yield Choice(tuple(_KINDS), kind_word(TUNED), id="kind")
        yield Static(_ABOUT_KIND[TUNED], id="about-kind", classes="under")
        with Horizontal(classes="line"):
            yield Label("text")
            yield StillInput(placeholder=text_for("").about, id="data")
        yield Static(need_words(DEFAULT_PRESET), id="need", classes="under")
        yield Static(id="size", classes="under")
        with Vertical(id="tuned-options"):
            with Horizontal(classes="line"):
                yield Label("preset")
                yield Choice(tuple(PRESETS), DEFAULT_PRESET, id="preset")
            yield Static(PRESET_WORDS[DEFAULT_PRESET], id="about", classes="under")
            with Horizontal(classes="line", id="line-start"):
                yield Label("starts from")
                yield Choice(_STARTS, _STARTS[0], id="starts-from")
        with Vertical(id="jacobian-options"):
            for field in JACOBIAN_FIELDS:
                yield FieldLine(field)
        with Horizontal(id="buttons"):
            yield Button("Start", id="start", compact=True)
            yield Button("Go on", id="resume", compact=True)
        yield Static(id="complaint")
        yield Static(id="elsewhere")
        with Collapsible(title="more"), Container(id="fields"):
            for field in FIELDS:
                yield FieldLine(field)

    def on_mount(self) -> None:
        """Focus the start button, so that Enter alone begins, and hide the button that resumes a fit."""
        self.border_subtitle = "files and globs, separated by spaces · tab next · enter starts"
        self.query_one("#resume").display = False
        self._show_kind()
        self._offer_start()
        self.start_button.focus()

    @property
    def start_button(self) -> Button:
        """The button that begins a fit, and has the focus at first."""
        return self.query_one("#start", Button)

    def watch_model(self, model: OpenModel | None) -> None:
        """Name the model in the title, propose its text, and forget the size of another model's text."""
        self._show_title()
        self.query_one("#data", Input).placeholder = text_for(self._model_name).about
        self._counted = None
        self._offer_start()

    def _show_title(self) -> None:
        name = "" if self.model is None else f" for {short_name(self.model.label)}"
        self.border_title = shown(f"train a {kind_word(self.kind)} lens{name}")

    @property
    def kind(self) -> str:
        """The kind of lens that the form asks for."""
        return _KINDS[self.query_one("#kind", Choice).value]

    @on(Choice.Changed, "#kind")
    def change_kind(self) -> None:
        """Show the fields of the chosen kind, and have the text counted for it."""
        self._show_kind()
        self._count()

    def _show_kind(self) -> None:
        """Show the fields of the chosen kind of lens, and hide those of the other."""
        kind = self.kind
        self.query_one("#tuned-options").display = kind == TUNED
        self.query_one("#jacobian-options").display = kind == JACOBIAN
        for field in TUNED_FIELDS:
            self._line(field.name).display = kind == TUNED
        self.query_one("#about-kind", Static).update(_ABOUT_KIND[kind])
        self._show_title()
        self._show_need()

    def _show_need(self) -> None:
        """Show what text the lens needs."""
        length = self._line("prompt_len").text
        words = need_words(self._preset.value) if self.kind == TUNED else prompts_words(length)
        self.query_one("#need", Static).update(shown(words))

    def _offer_start(self) -> None:
        """Offer to start from the instant lens where one is in use, and the preset would make another one."""
        model = self.model
        offered = model is not None and model.instant is not None and self._preset.value == DEFAULT_PRESET
        self.query_one("#line-start").display = offered

    @property
    def _starts_from(self) -> str:
        """The instant lens, in words, that the fit is to start from; empty where it starts from none."""
        if not self.query_one("#line-start").display or self.model is None or self.model.instant is None:
            return ""
        chosen = self.query_one("#starts-from", Choice).value
        return instant_lens_named(self.model.instant) if chosen == _STARTS[0] else ""

    @property
    def _model_name(self) -> str:
        return "" if self.model is None else self.model.name

    def propose(self, last: LastText) -> None:
        """Propose the text that a lens of this model was last fitted on, unless the user has typed another.

        Files that are gone are not proposed: then it is the text that comes with lenstui for this model.
        """
        if self._typed == self._proposed:
            self._proposed = last if are_there(last.data) else LastText()
            self.query_one("#data", Input).value = self._proposed.data
            self._line("column").text = self._proposed.column

    @property
    def _typed(self) -> LastText:
        return LastText(self.query_one("#data", Input).value, self._line("column").text)

    def start(self) -> None:
        """Clear the complaint and count the text, once the form is on screen."""
        self.complain(None)
        self._count()

    # ── what is asked for ────────────────────────────────────────────────────────────────────────────────

    def _request(self) -> FitRequest | None:
        """Return the request in the form; None, with a complaint, where it makes no sense."""
        for line in self.query(FieldLine):
            line.complain(None)
        kind, typed, first = self.kind, self._typed.data, self._starts_from
        texts = {field.name: self._line(field.name).text for field in fields_of(kind)}
        try:
            return make_request(
                self._model_name, self._preset.value, typed, texts, kind=kind, starts_from=first
            )
        except FieldError as error:
            self._complain_at(error.field, str(error))
            return None

    def _line(self, name: str) -> FieldLine:
        return self.query_one(f"#line-{name}", FieldLine)

    @property
    def _preset(self) -> Choice:
        return self.query_one("#preset", Choice)

    def _complain_at(self, field: str, text: str) -> None:
        """Show a complaint beside the field that it is about."""
        if field == "data":
            self._say_size(text, wrong=True)
        elif field:
            if field not in {each.name for each in JACOBIAN_FIELDS}:
                self.query_one(Collapsible).collapsed = False
            self._line(field).complain(text)
        else:
            self.complain(text)

    def complain(self, text: str | None) -> None:
        """Show what is wrong with the form as a whole, or nothing where `text` is None."""
        complaint = self.query_one("#complaint", Static)
        complaint.update(shown(text or ""))
        complaint.display = text is not None

    def on_descendant_blur(self) -> None:
        """Have the text counted after a field was left, if the request has changed."""
        self.call_later(self._count)

    @on(Choice.Changed, "#preset")
    def change_preset(self, message: Choice.Changed) -> None:
        """Fill the fields that the user has not edited with the values of the chosen preset."""
        old = self._old_preset
        self._old_preset = message.value
        for field in FIELDS:
            line = self._line(field.name)
            if line.text == first_text(field.name, PRESETS[old]):
                line.text = first_text(field.name, PRESETS[message.value])
        self.query_one("#about", Static).update(PRESET_WORDS[message.value])
        self._offer_start()
        self._show_need()
        self._count()

    _old_preset = DEFAULT_PRESET

    def _count(self) -> None:
        """Have the text counted, if the form asks for something else than before."""
        request = self._request()
        self._show_need()
        if request == self._counted or self.model is None:
            return
        self._counted = request
        if request is not None:
            self._say_size(_COUNTING)
        self.post_message(self.Edited(request))

    # ── what is answered ─────────────────────────────────────────────────────────────────────────────────

    def show_size(self, message: TextCounted) -> None:
        """Show how much text there is for the request in the form."""
        if message.request == self._counted:
            self._say_size(size_words(message.size))

    def show_refusal(self, message: TextRefused) -> None:
        """Show why the text of the request cannot be used."""
        if message.request == self._counted:
            self._say_size(message.text, wrong=True)

    def _say_size(self, text: str, *, wrong: bool = False) -> None:
        size = self.query_one("#size", Static)
        size.update(shown(text))
        size.set_class(wrong, "-wrong")

    def offer(self, found: Sequence[Unfinished]) -> None:
        """Offer to go on with the newest of the fits that were not finished."""
        self._unfinished = found[0] if found else None
        button = self.query_one("#resume", Button)
        button.display = bool(found)
        if found:
            newest = found[0]
            place = f"{unit_of(newest.kind)} {newest.step} of {newest.steps}"
            button.label = shown(f"Go on with {newest.path.stem}: {place}")

    def show_elsewhere(self, found: Sequence[Elsewhere]) -> None:
        """Show how far the fits of other processes are, a line for each."""
        line = self.query_one("#elsewhere", Static)
        line.display = bool(found)
        line.update(shown("\n".join(map(elsewhere_words, found))))

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    @on(Input.Submitted)
    def to_start(self) -> None:
        """Focus the start button at Enter in a line, so that a second Enter begins."""
        self.start_button.focus()

    @on(Button.Pressed, "#start")
    def action_begin(self) -> None:
        """Post `Submitted` with the request in the form, if that makes sense."""
        self.complain(None)
        request = self._request()
        if request is not None:
            self._proposed = self._typed
            self.post_message(self.Submitted(request))

    @on(Button.Pressed, "#resume")
    def go_on(self) -> None:
        """Post `Resumed` with the fit that was not finished."""
        if self._unfinished is not None:
            self.post_message(self.Resumed(self._unfinished))

    def add_file(self, path: Path) -> None:
        """Add a file to the names of the files with text."""
        data = self.query_one("#data", Input)
        data.value = f"{data.value} {shlex.quote(str(path))}".strip()
        self._count()
