"""Every private name of textual-fspicker that lenstui uses, behind a plain one.

The library promises nothing about these names. Each of them is described with the reason for its use, and the
test that fails once it is gone or means something else. `tests/test_private_names.py` holds that they are
used here alone.
"""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual_fspicker.base_dialog import Dialog
from textual_fspicker.file_dialog import BaseFileDialog
from textual_fspicker.parts import CurrentDirectory, DirectoryNavigation
from textual_fspicker.suggest_path import SuggestPath


class PickerBase(BaseFileDialog):
    """A file dialog whose list, completion, remarks and last check are a subclass's own.

    In the order of bases it comes before `FileOpen` or `FileSave`.
    """

    def file_list(self, folder: Path) -> DirectoryNavigation:
        """Return the list of files, which begins in `folder`."""
        return DirectoryNavigation(folder)

    def completion(self) -> SuggestPath:
        """Return the suggester that completes a name that is being typed."""
        return SuggestPath()

    def remark(self, message: str) -> str | Text:
        """Return the text in the frame for an error message, or for "" where nothing is wrong."""
        return message

    def objection(self, chosen: Path) -> str | None:
        """Return why a path cannot be chosen; None where nothing but the library may object to it."""
        return None

    def compose(self) -> ComposeResult:
        """Compose the library's widgets, with the list and the completion of the subclass.

        Why: the library makes both itself and takes neither as an argument, and before it is mounted its list
        does not say where it begins. The line with the folder's name reads brackets as markup.

        Uses: `BaseFileDialog._suggest_path`, set after `__init__`, and `FileSystemPickerScreen._location`.

        Noticed by `test_names_that_no_file_can_have_are_said` (the library's own completion would end the
        program), `test_browse_begins_in_the_data_folder_and_escape_leads_back` and
        `test_names_that_a_terminal_would_act_on_are_not_sent` of `test_open_lens.py`.
        """
        self._suggest_path = self.completion()
        for widget in super().compose():
            if isinstance(widget, DirectoryNavigation):
                yield self.file_list(Path(self._location))
            elif isinstance(widget, CurrentDirectory):
                yield CurrentDirectory(markup=False)
            else:
                yield widget

    def say(self, message: str) -> None:
        """Show in the frame what is wrong.

        Why: the library clears its own error message when another name is typed or another folder is shown,
        and this one is to be cleared then as well.

        Uses: `FileSystemPickerScreen._set_error`, which is overridden below.

        Noticed by `test_names_that_would_spoil_something_are_refused` of `test_save_lens.py`.
        """
        self._set_error(message)

    def _set_error(self, message: str = "") -> None:
        dialog = self.query_one(Dialog)
        dialog.set_class(bool(message), "-wrong")
        dialog.border_subtitle = self.remark(message)

    def _should_return(self, candidate: Path) -> bool:
        # Why: the library hands back whatever was chosen, and has no public check. Noticed by
        # `test_names_that_would_spoil_something_are_refused` of `test_save_lens.py`.
        if (objection := self.objection(candidate)) is not None:
            self.say(objection)
            return False
        return super()._should_return(candidate)
