"""Dialogs for files to open or to save, of lenses, texts and prompts, made of textual-fspicker's."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import Button, Input
from textual_fspicker import FileOpen, FileSave, Filters, Icons
from textual_fspicker.parts import DirectoryNavigation
from textual_fspicker.safe_tests import is_dir
from textual_fspicker.suggest_path import SuggestPath

from lenstui.texts.files import JSON_LINES, PARQUET
from lenstui.tui.shared.fspicker_hacks import PickerBase
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown

_KEYS = "tab next · backspace folder above · . hidden files · esc closes"
_PARAMS, _CONFIG = "params.pt", "config.json"  # files in a folder of the tuned-lens library

_OPEN_FILTERS = Filters(
    ("lens files", lambda path: path.suffix in {".pt", ".npz"} or path.name == _CONFIG),
    (".pt", lambda path: path.suffix == ".pt"),
    (".npz", lambda path: path.suffix == ".npz"),
    (_CONFIG, lambda path: path.name == _CONFIG),
    ("all files", lambda path: True),
)

_TEXT_FILTERS = Filters(
    ("texts", lambda path: path.suffix.lower() in PARQUET | JSON_LINES | {".txt", ".md"}),
    ("all files", lambda path: True),
)

_PROMPT_FILTERS = Filters(
    ("prompts", lambda path: path.suffix.lower() in PARQUET | JSON_LINES | {".txt", ".csv", ".tsv", ".md"}),
    ("all files", lambda path: True),
)

# One cell wide in every terminal, which emoji are not.
Icons.set_picker(lambda location: Text("▸" if is_dir(Path(location)) else " "))


class ShownNames(DirectoryNavigation, LineList):  # the first one's name is what queries and styles know
    """The files of a folder, without those whose names a terminal would act on."""

    def hide(self, path: Path) -> bool:
        """Return whether a path is left out: a terminal would act on its name, or it is filtered out."""
        return not path.name.isprintable() or super().hide(path)


class Completion(SuggestPath):
    """The completion of a file name that is being typed."""

    async def get_suggestion(self, value: str) -> str | None:
        """Return the completion of a name; None also for a name that no file system takes.

        The error for such a name would end the program.
        """
        try:
            return await super().get_suggestion(value)
        except (OSError, ValueError):
            return None


class LensPicker(PickerBase, AppScreen[Path | None]):
    """The base of the dialogs that open or save a file."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "dismiss(None)", "Close", show=False)]

    def file_list(self, folder: Path) -> DirectoryNavigation:
        """Return a list without the names that a terminal would act on."""
        return ShownNames(folder)

    def completion(self) -> SuggestPath:
        """Return the suggester that completes a name that is being typed, also an impossible one."""
        return Completion()

    def remark(self, message: str) -> Text:
        """Return the error message, or else the keys of the dialog."""
        return shown(message or _KEYS)

    def on_mount(self) -> None:
        """Stop the cursor from blinking, which costs bytes over SSH."""
        self.query_one(Input).cursor_blink = False

    def _completed(self, name: str) -> str:
        """Return the file name that is meant by what was typed."""
        return name

    @on(Input.Submitted)
    @on(Button.Pressed, "#select")
    def complete(self, event: Input.Submitted | Button.Pressed) -> None:
        """Complete the typed name, or refuse one that no file system takes, which would end the program."""
        box = self.query_one(Input)
        try:
            if box.value and not (self.query_one(DirectoryNavigation).location / box.value).is_dir():
                box.value = self._completed(box.value)
        except PermissionError:
            return  # the dialog itself shows this error
        except (OSError, ValueError) as error:
            event.stop()
            event.prevent_default()
            self.say(f"No such name is possible: {getattr(error, 'strerror', None) or 'odd characters'}")


class OpenLens(LensPicker, FileOpen):
    """A dialog that picks a lens file. Its result is the path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "open a lens", filters=_OPEN_FILTERS)


class SaveLens(LensPicker, FileSave):
    """A dialog that picks where to save lenstui's own lens file. Its result ends in `.pt`, or is None."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, "save the lens in use", default_file=f"{name}.pt", filters=_OPEN_FILTERS)

    def on_mount(self) -> None:
        """Focus the name of the file, which may be right already."""
        self.call_later(self.query_one(Input).focus)  # behind the dialog's own, which goes to the list

    def _completed(self, name: str) -> str:
        return name if name.endswith(".pt") else f"{name}.pt"

    def objection(self, chosen: Path) -> str | None:
        """Return why a file cannot be replaced if it holds the tensors of a tuned-lens folder; else None."""
        if chosen.name == _PARAMS and (chosen.parent / _CONFIG).exists():
            return "This is a part of a folder of the tuned-lens library: choose another name"
        return None


class SaveLensFolder(LensPicker, FileSave):
    """A dialog that picks which folder to save for the `tuned-lens` library.

    Its result is the path of the folder or of a part of it, or None.
    """

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(
            folder, "save as a folder of the tuned-lens library", default_file=name, filters=_OPEN_FILTERS
        )

    def on_mount(self) -> None:
        """Focus the name of the folder, which may be right already."""
        self.call_later(self.query_one(Input).focus)  # behind the dialog's own, which goes to the list

    def objection(self, chosen: Path) -> str | None:
        """Return why a path cannot be a folder if a file has its name; else None."""
        if chosen.exists() and chosen.name not in {_PARAMS, _CONFIG}:
            return "A file has this name: give the name of a folder"
        return None


def whole_folder(path: Path) -> Path:
    """Return the folder of the `tuned-lens` library of which `path` is a part, or `path` itself."""
    return path.parent if path.name in {_PARAMS, _CONFIG} else path


class OpenText(LensPicker, FileOpen):
    """A dialog that picks a file with text. Its result is the path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "choose a text", filters=_TEXT_FILTERS)


class OpenPrompts(LensPicker, FileOpen):
    """A dialog that picks a file of prompts. Its result is the path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "choose a file of prompts", filters=_PROMPT_FILTERS)
