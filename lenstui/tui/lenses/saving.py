"""Saving the lens in use: where to is asked, and whether a file that is there is replaced."""

from __future__ import annotations

from pathlib import Path

from lenstui.support.errors import LensError
from lenstui.support.paths import lenses, made
from lenstui.tui.shared.file_dialogs import SaveLens, SaveLensFolder, whole_folder
from lenstui.tui.shared.question import Question
from lenstui.tui.shared.screen import AppScreen


class LensSaving(AppScreen[None]):
    """A screen from which the lens in use can be saved."""

    def _ask_for_file(self, name: str) -> None:
        """Ask where a lens of this name is to go, as a file of ours, and write it."""
        self.app.push_screen(SaveLens(made_or_home(lenses()), name), self._save_file)

    def _ask_for_folder(self, name: str) -> None:
        """Ask where a lens of this name is to go, as a folder of the tuned-lens library, and write it."""
        self.app.push_screen(SaveLensFolder(made_or_home(lenses()), name), self._save_folder)

    def _save_file(self, path: Path | None) -> None:
        if path is not None:
            self._save(path, path, as_folder=False)

    def _save_folder(self, path: Path | None) -> None:
        if path is not None:
            folder = whole_folder(path)
            self._save(folder, folder / "params.pt", as_folder=True)

    def _save(self, path: Path, written: Path, *, as_folder: bool) -> None:
        """Write there, but ask before `written` is replaced."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._say_saving(path)
                self._app.request_save(path, as_folder)

        if written.exists():
            self.app.push_screen(Question("replace it?", f"{path} exists. Replace it?"), answered)
        else:
            answered(True)

    def _say_saving(self, path: Path) -> None:
        """Show that saving has begun; a screen with a place for that overrides it."""


def made_or_home(folder: Path) -> Path:
    """Return `folder`, created if need be; the home folder, or `/`, if it cannot be created."""
    try:
        return made(folder)
    except LensError:
        home = Path.home()
        return home if home.is_dir() else Path("/")
