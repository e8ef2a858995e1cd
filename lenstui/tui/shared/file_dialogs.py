"""Pick a lens file to open, or where to save one: textual-fspicker's dialogs in our dress."""

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
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown

_KEYS = "tab next · backspace folder above · . hidden files · esc closes"
_PARAMS, _CONFIG = "params.pt", "config.json"  # of a folder of the tuned-lens library

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
    ("prompts", lambda path: path.suffix.lower() in PARQUET | JSON_LINES | {".txt", ".tsv", ".md"}),
    ("all files", lambda path: True),
)

# One cell wide in every terminal, which emoji are not.
Icons.set_picker(lambda location: Text("▸" if is_dir(Path(location)) else " "))


class ShownNames(DirectoryNavigation):
    """The files of a folder, but for those whose names a terminal would act on."""

    def hide(self, path: Path) -> bool:
        """Leave those out, as well as what is filtered out."""
        return not path.name.isprintable() or super().hide(path)


class Completion(SuggestPath):
    """Completes the name of a file that is being typed."""

    async def get_suggestion(self, value: str) -> str | None:
        """A name that no file system takes has no completion; the error would end the program."""
        try:
            return await super().get_suggestion(value)
        except (OSError, ValueError):
            return None


class LensPicker(PickerBase, AppScreen[Path | None]):
    """What opening and saving have in common."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("q", "dismiss(None)", "Close", show=False)]

    def file_list(self, folder: Path) -> DirectoryNavigation:
        """Return a list without the names that a terminal would act on."""
        return ShownNames(folder)

    def completion(self) -> SuggestPath:
        """Return what completes a name that is being typed, whatever that is."""
        return Completion()

    def remark(self, message: str) -> Text:
        """Return what is wrong, or else which keys there are."""
        return shown(message or _KEYS)

    def on_mount(self) -> None:
        """A blinking cursor costs bytes over SSH."""
        self.query_one(Input).cursor_blink = False

    def _completed(self, name: str) -> str:
        """What is meant by the name of a file that was typed."""
        return name

    @on(Input.Submitted)
    @on(Button.Pressed, "#select")
    def complete(self, event: Input.Submitted | Button.Pressed) -> None:
        """Complete the name; one that no file system takes would end the program."""
        box = self.query_one(Input)
        try:
            if box.value and not (self.query_one(DirectoryNavigation).location / box.value).is_dir():
                box.value = self._completed(box.value)
        except PermissionError:
            return  # which the dialog itself tells
        except (OSError, ValueError) as error:
            event.stop()
            event.prevent_default()
            self.say(f"No such name is possible: {getattr(error, 'strerror', None) or 'odd characters'}")


class OpenLens(LensPicker, FileOpen):
    """Pick a lens file. Hands back its path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "open a lens", filters=_OPEN_FILTERS)


class SaveLens(LensPicker, FileSave):
    """Pick where to save our own file. Hands back a path that ends in `.pt`, or None."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, "save the lens in use", default_file=f"{name}.pt", filters=_OPEN_FILTERS)

    def on_mount(self) -> None:
        """The name may be just right."""
        self.call_later(self.query_one(Input).focus)  # behind the dialog's own, which goes to the list

    def _completed(self, name: str) -> str:
        return name if name.endswith(".pt") else f"{name}.pt"

    def objection(self, chosen: Path) -> str | None:
        """Return that the library's tensors are no place for our own file."""
        if chosen.name == _PARAMS and (chosen.parent / _CONFIG).exists():
            return "This is a part of a folder of the tuned-lens library: choose another name"
        return None


class SaveLensFolder(LensPicker, FileSave):
    """Pick which folder to save for the `tuned-lens` library. Hands back it or a part of it, or None."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(
            folder, "save as a folder of the tuned-lens library", default_file=name, filters=_OPEN_FILTERS
        )

    def on_mount(self) -> None:
        """The name may be just right."""
        self.call_later(self.query_one(Input).focus)  # behind the dialog's own, which goes to the list

    def objection(self, chosen: Path) -> str | None:
        """Return that a file is no folder."""
        if chosen.exists() and chosen.name not in {_PARAMS, _CONFIG}:
            return "A file has this name: give the name of a folder"
        return None


def whole_folder(path: Path) -> Path:
    """The folder of the `tuned-lens` library of which `path` is a part, or itself."""
    return path.parent if path.name in {_PARAMS, _CONFIG} else path


class OpenText(LensPicker, FileOpen):
    """Pick a file with text. Hands back its path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "choose a text", filters=_TEXT_FILTERS)


class OpenPrompts(LensPicker, FileOpen):
    """Pick a file of prompts. Hands back its path, or None."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "choose a file of prompts", filters=_PROMPT_FILTERS)
