"""Saving of the lens in use: the questions for a place, and whether a file that is there is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.message_pump import MessagePump

from lenstui.lens.kinds import TUNED
from lenstui.support.errors import LensError
from lenstui.support.paths import lenses, made
from lenstui.tui.services import Services
from lenstui.tui.shared.file_dialogs import SaveLens, SaveLensFolder, whole_folder
from lenstui.tui.shared.question import Question


class LensSaving:
    """The dialogs that save the lens in use for a screen, which gets a message of what becomes of it."""

    def __init__(
        self, services: Services, asker: MessagePump, begun: Callable[[Path], object] = lambda path: None
    ) -> None:
        """Save nothing yet.

        Args:
            services: the services of the program.
            asker: the screen that receives `LensSaved` or `LensNotSaved`.
            begun: called with the path when writing begins.
        """
        self._services = services
        self._asker = asker
        self._begun = begun

    def ask_for_file(self, name: str, kind: str = TUNED) -> None:
        """Ask for the path of lenstui's own kind of file, and write the lens there.

        Args:
            name: the name of the lens, which is proposed.
            kind: the kind of the lens in use that is saved.
        """

        def save(path: Path | None) -> None:
            if path is not None:
                self._save(path, path, as_folder=False, kind=kind)

        self._services.ask(SaveLens(made_or_home(lenses()), name), save)

    def ask_for_folder(self, name: str) -> None:
        """Ask for a folder of the tuned-lens library, and write the lens there.

        Args:
            name: the name of the lens, which is proposed.
        """
        self._services.ask(SaveLensFolder(made_or_home(lenses()), name), self._save_folder)

    def _save_folder(self, path: Path | None) -> None:
        if path is not None:
            folder = whole_folder(path)
            self._save(folder, folder / "params.pt", as_folder=True)

    def _save(self, path: Path, written: Path, *, as_folder: bool, kind: str = TUNED) -> None:
        """Write the lens to a path, but ask before the file `written` is replaced."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._begun(path)
                post = self._services.post_to(self._asker)
                self._services.lenses.save(path, post, as_folder=as_folder, kind=kind)

        if written.exists():
            self._services.ask(Question("replace it?", f"{path} exists. Replace it?"), answered)
        else:
            answered(True)


def made_or_home(folder: Path) -> Path:
    """Return `folder`, created if need be; the home folder, or `/`, if it cannot be created."""
    try:
        return made(folder)
    except LensError:
        home = Path.home()
        return home if home.is_dir() else Path("/")
