"""The dialog that asks for an evaluation: the text, how much of it, and the lenses."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Input, Label

from lenstui.jobs.evaluation_messages import EvaluationAsked, OfferedLens, OfferedModel
from lenstui.support.errors import LensError
from lenstui.support.typed_number import whole_number
from lenstui.support.typed_path import current_folder, expanded
from lenstui.texts.block_size import MAX_TOKENS, BlockSize
from lenstui.texts.bundled import text_for, text_name
from lenstui.texts.documents import COLUMN, Documents, matches
from lenstui.tui.session.fit_texts import LastText
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.file_dialogs import OpenText
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import short_name
from lenstui.tui.shared.still_input import ONE_LINE, StillInput
from lenstui.tui.shared.typed_files import file_names

_YES, _NO = "yes", "no"
_LEAST = 2  # tokens of a block: one, and the one that it predicts
_HINTS: Mapping[str, str] = {
    "model": "On which of the models on screen; a lens of another one is measured too, if it fits.",
    "data": "Files and globs, separated by spaces; one that no lens here was fitted on. Empty: {}.",
    "column": "Of Parquet and JSON lines.",
    "tokens": "How many tokens are read at most, in whole blocks.",
    "block": "Tokens of a block, each of which is read by itself. Empty: {}.",
    "start": "For each row and lens: KL, cross-entropy, agreement, calibration, bias, with standard errors.",
    "browse": "Choose a file from any folder.",
}
_HINT_OF_LENS = "Whether this lens is evaluated; all of them are in one pass of the model."
_FITTED_ON = "The {} was fitted on this text, or on a part of it: here it looks better than it is."


class AskEvaluation(BoxScreen[EvaluationAsked | None]):
    """A dialog for an evaluation, which Enter starts. Returns what is asked for, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Evaluate", id="ask_evaluation.start"),
        Binding("b", "browse", "Browse…", id="ask_evaluation.browse", tooltip="Choose a file with text"),
        Binding("escape", "dismiss", "Close", id="ask_evaluation.close"),
        Binding("down", "app.focus_next", "Next", show=False, id="ask_evaluation.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="ask_evaluation.previous"),
    ]
    DEFAULT_CSS = """
    AskEvaluation {
        Box { width: 92; padding: 1 2 0 2; max-height: 100%; }
        Horizontal { height: 1; }
        Label.name { width: 10; color: $text-muted; }
        Label.inner { width: auto; margin: 0 1 0 2; color: $text-muted; }
        Label.lens { width: 44; }
        Input { width: 12; }
        #ask-data { width: 1fr; }
        #ask-lenses { height: auto; max-height: 8; margin: 1 0; scrollbar-size: 1 1; }
        #ask-hint { width: 1fr; height: 2; color: $text-muted; }
        #ask-hint.-wrong { color: $error; }
        #ask-hint.-doubt { color: $warning; }
        #ask-buttons { height: 1; margin-bottom: 1; }
        #ask-buttons Button { margin-right: 2; min-width: 12; background: $panel; color: $foreground; }
        #ask-buttons Button:focus { background: $primary; color: $background; text-style: bold; }
    }
    """

    def __init__(
        self,
        offered: Sequence[OfferedModel],
        text: LastText,
        before: EvaluationAsked | None = None,
        *,
        wrong: str = "",
    ) -> None:
        """Prepare the dialog.

        Args:
            offered: the models on screen with their lenses, at least one.
            text: the text that is proposed.
            before: what was asked for last, which is proposed again as far as it is there.
            wrong: what was wrong with that, a sentence; empty where it was not tried.
        """
        super().__init__()
        self._offered, self._text, self._before = tuple(offered), text, before
        self._names = {short_name(each.name) if len(offered) > 1 else "": each for each in offered}
        if len(self._names) < len(offered):  # two of one name, in other revisions or dtypes
            self._names = {f"{each.number + 1} {short_name(each.name)}": each for each in offered}
        # What is wrong, and with what: it is said until something is changed.
        self._wrong: tuple[str, tuple[str, ...]] = (wrong, ())

    def compose(self) -> ComposeResult:
        """Yield the lines of the text, those of the lenses of each model, and the buttons."""
        size = BlockSize() if self._before is None else self._before.size
        block = "" if size.seq_len is None else str(size.seq_len)
        with Box("evaluate lenses on a text", "enter starts · tab up down, left right · esc closes"):
            if len(self._offered) > 1:
                with Horizontal():
                    yield Label("on", classes="name")
                    yield Choice(tuple(self._names), self._first_name, id="ask-model")
            with Horizontal():
                yield Label("text", classes="name")
                yield StillInput(
                    self._text.data, placeholder=self._bundled_words, restrict=ONE_LINE, id="ask-data"
                )
            with Horizontal():
                yield Label("column", classes="name")
                yield StillInput(self._text.column, placeholder=COLUMN, restrict=ONE_LINE, id="ask-column")
                yield Label("tokens", classes="inner")
                yield StillInput(str(size.max_tokens), id="ask-tokens")
                yield Label("in blocks of", classes="inner")
                yield StillInput(block, placeholder=self._usual_block, id="ask-block")
            with VerticalScroll(id="ask-lenses", can_focus=False):
                for model in self._offered:
                    for place, lens in enumerate(model.lenses):
                        with Horizontal(id=_line_id(model, place)):
                            yield Label(shown(lens.title), classes="lens")
                            yield Choice(
                                (_YES, _NO), self._first_choice(model, lens), id=_choice_id(model, place)
                            )
            yield Label(id="ask-hint")
            with Horizontal(id="ask-buttons"):
                yield Button("Start", id="ask-start", compact=True)
                yield Button("Browse…", id="ask-browse", compact=True)

    def on_mount(self) -> None:
        """Show the lenses of the model, and go to the button that starts, so that Enter alone does."""
        self._share_lines()
        self.query_one("#ask-start").focus()
        self._wrong = self._wrong[0], self._content
        self._hint()

    # ── what is proposed ─────────────────────────────────────────────────────────────────────────────────

    @property
    def _first_name(self) -> str:
        names = list(self._names)
        if self._before is None:
            return names[0]
        return next((name for name, each in self._names.items() if each == self._before.model), names[0])

    def _first_choice(self, model: OfferedModel, lens: OfferedLens) -> str:
        """Return whether a lens is proposed: as it was chosen before, else each of the model's own."""
        if self._before is not None and self._before.model == model:
            return _YES if lens in self._before.lenses else _NO
        return _YES if lens in model.own else _NO

    @property
    def _model(self) -> OfferedModel:
        """The chosen model."""
        if len(self._offered) == 1 or not self.is_mounted:
            return self._names[self._first_name]
        return self._names[self.query_one("#ask-model", Choice).value]

    @property
    def _bundled_words(self) -> str:
        return text_for(self._model.name).about

    @property
    def _usual_block(self) -> str:
        return str(BlockSize(MAX_TOKENS).columns(self._model.context))

    # ── which lines there are ────────────────────────────────────────────────────────────────────────────

    def _share_lines(self) -> None:
        """Show the lenses that fit the chosen model, and what its empty lines mean."""
        chosen = self._model
        for model in self._offered:
            for place, _ in enumerate(model.lenses):
                self.query_one(f"#{_line_id(model, place)}").display = model is chosen
        self.query_one("#ask-data", Input).placeholder = self._bundled_words
        self.query_one("#ask-block", Input).placeholder = self._usual_block

    @on(Choice.Changed)
    def change_lines(self) -> None:
        """Show the lenses that fit the model that is chosen now."""
        self._share_lines()
        self._hint()

    @on(Input.Changed)
    @on(events.DescendantFocus)
    def hint_anew(self) -> None:
        """Show the hint of the line that has the focus, or that is changed."""
        self._hint()

    @property
    def _content(self) -> tuple[str, ...]:
        """All that is typed and chosen."""
        choices, inputs = self.query(Choice), self.query(StillInput)
        return (*(each.value for each in choices), *(each.value for each in inputs))

    def _hint(self) -> None:
        """Show what is wrong, until something is changed; then a doubt, or a hint about the line."""
        text, content = self._wrong
        if text and content == self._content:
            self._say(text, "wrong")
            return
        focused = self.focused
        name = (getattr(focused, "id", "") or "").removeprefix("ask-")
        lens = next((lens for choice, lens in self._lens_choices() if choice is focused), None)
        if lens is not None:
            self._say(lens.remark or _HINT_OF_LENS, "doubt" if lens.remark else "")
        elif name in {"start", "data"} and (doubt := self._doubt()):
            self._say(doubt, "doubt")
        else:
            usual = {"data": self._bundled_words, "block": self._usual_block}
            self._say(_HINTS.get(name, "").format(usual.get(name, "")))

    def _doubt(self) -> str:
        """Return that a chosen lens was fitted on the chosen text; nothing where no card says so."""
        try:
            paths = [Path(path) for path in self._documents().paths]
            names = {name for path in paths for name in (path.name, text_name(path))}
        except (LensError, OSError):  # what is typed names no file
            return ""
        fitted = next((lens for lens in self._lenses() if names.intersection(lens.fitted_on)), None)
        return "" if fitted is None else _FITTED_ON.format(fitted.title)

    def _say(self, text: str, kind: str = "") -> None:
        for hint in self.query("#ask-hint").results(Label):  # none while the screen comes or goes
            hint.update(shown(text))
            for each in ("wrong", "doubt"):
                hint.set_class(each == kind, f"-{each}")

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────

    @on(Button.Pressed, "#ask-browse")
    def action_browse(self) -> None:
        """Ask for a file with text, and add it to what is typed."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                data = self.query_one("#ask-data", Input)
                data.value = f"{data.value} {shlex.quote(str(path))}".strip()

        self.app.push_screen(OpenText(current_folder()), chosen)

    @on(Input.Submitted)
    @on(Button.Pressed, "#ask-start")
    def action_start(self) -> None:
        """Close the dialog with what is asked for, or show what is wrong with it."""
        try:
            asked = self._asked()
        except LensError as error:
            self._wrong = str(error), self._content
            self._hint()
        else:
            self.dismiss(asked)

    def _asked(self) -> EvaluationAsked:
        """Return what is typed and chosen.

        Raises:
            LensError: if it makes no sense, as far as that is known without the text.
        """
        documents, model, lenses = self._documents(), self._model, self._lenses()
        for path in documents.paths:
            matches(path)
        tokens = self._number("tokens", "tokens")
        typed = self.query_one("#ask-block", Input).value.strip()
        block = self._number("block", "in blocks of") if typed else None
        if block is not None and model.context is not None and block > model.context:
            raise LensError(f"in blocks of: the model reads at most {model.context} tokens")
        if block is not None and block > tokens:
            raise LensError(f"in blocks of: no more than the {tokens} tokens that are read")
        if not lenses:
            raise LensError("Choose a lens: left and right say yes and no.")
        return EvaluationAsked(model, lenses, documents, BlockSize(tokens, block))

    def _documents(self) -> Documents:
        """Return the text, by absolute paths.

        Raises:
            LensError: if a quote is not closed.
        """
        names = file_names(self.query_one("#ask-data", Input).value)
        paths = tuple(str(expanded(name).absolute()) for name in names)
        column = self.query_one("#ask-column", Input).value.strip() or None
        return Documents(paths or (str(text_for(self._model.name).path),), column)

    def _number(self, name: str, label: str) -> int:
        number = whole_number(self.query_one(f"#ask-{name}", Input).value.strip())
        if number is None or number < _LEAST:
            raise LensError(f"{label}: a whole number from {_LEAST} on")
        return number

    def _lens_choices(self) -> list[tuple[Choice, OfferedLens]]:
        """Return the choice of each lens that fits the chosen model."""
        model = self._model
        return [
            (self.query_one(f"#{_choice_id(model, place)}", Choice), lens)
            for place, lens in enumerate(model.lenses)
        ]

    def _lenses(self) -> tuple[OfferedLens, ...]:
        """Return the chosen lenses."""
        return tuple(lens for choice, lens in self._lens_choices() if choice.value == _YES)


def last_text(asked: EvaluationAsked) -> LastText:
    """Return the text of an evaluation as it stands in the dialog: empty where it comes with lenstui."""
    documents = asked.documents
    is_bundled = documents.paths == (str(text_for(asked.model.name).path),)
    return LastText() if is_bundled else LastText.of(documents.paths, documents.column)


def _line_id(model: OfferedModel, place: int) -> str:
    return f"line-{model.number}-{place}"


def _choice_id(model: OfferedModel, place: int) -> str:
    return f"lens-{model.number}-{place}"
