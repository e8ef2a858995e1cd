"""The dialog that asks which text to scan."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from lenstui.export.names import shown_path
from lenstui.jobs.messages import OpenModel
from lenstui.jobs.scan_messages import ScanAsked
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.support.typed_number import whole_number
from lenstui.support.typed_path import expanded, is_there
from lenstui.texts.block_size import MAX_TOKENS, BlockSize
from lenstui.texts.bundled import text_for
from lenstui.texts.documents import Documents, find_files
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import short_name
from lenstui.tui.shared.still_input import ONE_LINE, StillInput
from lenstui.tui.shared.typed_files import file_names
from lenstui.tui.training.fields import FieldError

_HINTS = {
    "text": "Text, JSON lines (their `text`) or Parquet; globs; a name with spaces in quotes."
    " Empty: {about}.",
    "tokens": "How many tokens are read at most, in whole blocks.",
    "length": "How many tokens a block has: a position is read behind those before it. Empty: {length}.",
    "folder": "A name in {place}, or a path. A scan that was begun there goes on.",
}


class AskScan(BoxScreen[ScanAsked | None]):
    """A dialog for a scan: the text, its size, the folder of the records. Returns it, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Close", id="ask_scan.close"),
        Binding("down", "app.focus_next", "Next", show=False, id="ask_scan.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="ask_scan.previous"),
    ]
    DEFAULT_CSS = """
    AskScan {
        Box { width: 92; padding: 1 2 0 2; max-height: 100%; }
        Horizontal { height: 1; }
        Label.name { width: 14; color: $text-muted; }
        Input { width: 1fr; }
        #ask-scan-hint { width: 1fr; height: 2; margin-top: 1; color: $text-muted; }
        #ask-scan-hint.-wrong { color: $error; }
    }
    """

    def __init__(
        self, model: OpenModel, place: Path, *, asked: ScanAsked | None = None, wrong: str = ""
    ) -> None:
        """Prepare the dialog.

        Args:
            model: the open model.
            place: the folder of scans.
            asked: what was asked for before; None for nothing.
            wrong: what was wrong with it, a sentence; empty where it was not tried.
        """
        super().__init__()
        self._model, self._place, self._asked = model, place, asked
        # What is wrong, and with what: it is said until something is changed.
        self._wrong: tuple[str, tuple[str, ...]] = (wrong, ())
        self._text = text_for(model.name)
        self._followed = ""  # the folder that follows from the text, until another is typed

    def compose(self) -> ComposeResult:
        """Yield the lines of the form, and a hint about the one with the focus."""
        asked = self._asked
        name = printable(short_name(self._model.name))
        lenses = ", ".join(dict.fromkeys(side.kind for side in self._model.sides if side.has_lens))
        with Box(f"scan a text with {name} · {lenses}", "enter starts · up down · esc closes"):
            texts = "" if asked is None else shlex.join(asked.documents.paths)
            tokens = MAX_TOKENS if asked is None else asked.size.max_tokens
            length = "" if asked is None or asked.size.seq_len is None else str(asked.size.seq_len)
            self._followed = self._proposed("")
            folder = self._followed if asked is None else shown_path(asked.folder)
            for key, label, value, placeholder in (
                ("text", "text", texts, self._text.about),
                ("tokens", "tokens", str(tokens), ""),
                ("length", "block length", length, str(self._usual_length)),
                ("folder", "records in", folder, ""),
            ):
                with Horizontal():
                    yield Label(label, classes="name")
                    yield StillInput(value, placeholder=placeholder, restrict=ONE_LINE, id=f"ask-scan-{key}")
            yield Label(id="ask-scan-hint")

    def on_mount(self) -> None:
        """Begin with the text, or say what was wrong."""
        self.query_one("#ask-scan-text", Input).focus()
        self._wrong = self._wrong[0], self._content
        self.hint()

    @property
    def _content(self) -> tuple[str, ...]:
        """All that is typed."""
        return tuple(line.value for line in self.query(StillInput))

    @property
    def _usual_length(self) -> int:
        return BlockSize().columns(self._model.context)

    def _typed(self, key: str) -> str:
        return self.query_one(f"#ask-scan-{key}", Input).value.strip()

    def _proposed(self, texts: str) -> str:
        """Return a new name for the folder: that of the first text, and the model's."""
        try:
            names = file_names(texts)
        except FieldError:
            names = ()
        text = Path(names[0] if names else self._text.path).stem
        stem = f"{short_name(self._model.name)}-{text}"
        stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in stem)
        name, number = stem, 1
        while is_there(self._place / name):
            number += 1
            name = f"{stem}-{number}"
        return name

    @on(Input.Changed, "#ask-scan-text")
    def follow_text(self, message: Input.Changed) -> None:
        """Propose a folder for the text, unless one was typed."""
        folder = self.query_one("#ask-scan-folder", Input)
        if folder.value == self._followed:
            self._followed = folder.value = self._proposed(message.value)

    @on(events.DescendantFocus)
    @on(Input.Changed)
    def hint(self) -> None:
        """Show a hint about the line with the focus."""
        text, content = self._wrong
        if text and content == self._content:
            self._say(text, wrong=True)
            return
        key = (getattr(self.focused, "id", "") or "").removeprefix("ask-scan-")
        place = printable(shown_path(self._place))
        hint = _HINTS.get(key, "").format(about=self._text.about, length=self._usual_length, place=place)
        self._say(hint)

    def _say(self, text: str, *, wrong: bool = False) -> None:
        for hint in self.query("#ask-scan-hint").results(Label):  # none while the screen comes or goes
            hint.update(shown(text))
            hint.set_class(wrong, "-wrong")

    @on(Input.Submitted)
    def start(self) -> None:
        """Close the dialog with what is asked for, or show what is wrong with it."""
        try:
            asked = self._asked_now()
            find_files(asked.documents)
        except (LensError, FieldError) as error:
            self._wrong = str(error), self._content
            self.hint()
        else:
            self.dismiss(asked)

    def _asked_now(self) -> ScanAsked:
        """Return what is typed.

        Raises:
            LensError: if it makes no sense.
            FieldError: if the text does not.
        """
        paths = tuple(map(_absolute, file_names(self._typed("text")))) or (str(self._text.path),)
        tokens, length = whole_number(self._typed("tokens")), whole_number(self._typed("length"))
        if not tokens or tokens < 2:
            raise LensError("tokens: a whole number from 2 on")
        if self._typed("length") and (length is None or length < 2):
            raise LensError("block length: a whole number from 2 on, or nothing")
        context = self._model.context
        if length is not None and context is not None and length > context:
            raise LensError(f"block length: the model reads at most {context} tokens")
        if length is not None and length > tokens:
            raise LensError(f"block length: no more than the {tokens} tokens")
        if not (typed := self._typed("folder")):
            raise LensError("records in: the name of a folder")
        folder = Path(_absolute(typed)) if typed[0] in "~/." else self._place / typed
        return ScanAsked(folder, Documents(paths), BlockSize(tokens, length))


def _absolute(name: str) -> str:
    """Return a file, folder or glob as it is found from everywhere."""
    return str(expanded(name).absolute())
