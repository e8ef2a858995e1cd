"""Saving of a lens in use: the questions for a place, and whether a file that is there is replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message_pump import MessagePump

from lenstui.jobs.messages import OpenModel
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import kind_word
from lenstui.support.errors import LensError
from lenstui.support.paths import lenses, made
from lenstui.tui.services import Services
from lenstui.tui.shared.file_dialogs import SaveLens, SaveLensFolder, whole_folder
from lenstui.tui.shared.question import Question


@dataclass(frozen=True, slots=True)
class LensToSave:
    """A lens that can be saved.

    Attributes:
        name: its name, which is proposed for the file.
        kind: its kind.
        place: the side that shows it; None for the lens in use of the open model, wherever that is.
    """

    name: str
    kind: str
    place: int | None = None

    @property
    def why_no_folder(self) -> str:
        """Why it cannot be saved to a folder of the tuned-lens library; empty where it can."""
        if self.kind == TUNED:
            return ""
        return f"The tuned-lens library has no {kind_word(self.kind)} lenses: s saves {self.name} as a file."


def lens_to_save(model: OpenModel, active: int) -> LensToSave | None:
    """Return the lens to save: that of the active side, where it comes from a file or a fit.

    Where the active side is read through the logit lens, it is the tuned lens in use, else the first fitted
    lens on any side; None where there is none.

    Args:
        model: the open model with its sides.
        active: the place of the active side.
    """
    fitted = {
        place: LensToSave(side.lens or side.kind, side.kind, place)
        for place, side in enumerate(model.sides)
        if side.is_fitted and side.has_lens
    }
    if active in fitted:
        return fitted[active]
    in_use = None if model.lens is None else LensToSave(model.lens, TUNED)
    return in_use or next(iter(fitted.values()), None)


class LensSaving:
    """The dialogs that save a lens in use for a screen, which gets a message of what becomes of it."""

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

    def ask_for_file(self, name: str, kind: str = TUNED, place: int | None = None) -> None:
        """Ask for the path of lenstui's own kind of file, and write the lens there.

        Args:
            name: the name of the lens, which is proposed.
            kind: the kind of lens.
            place: the side whose lens it is; None for the lens in use of the open model.
        """

        def save(path: Path | None) -> None:
            if path is not None:
                self._save(path, path, as_folder=False, kind=kind, place=place)

        self._services.ask(SaveLens(made_or_home(lenses()), name), save)

    def ask_for_folder(self, name: str, place: int | None = None) -> None:
        """Ask for a folder of the tuned-lens library, and write a tuned lens there.

        Args:
            name: the name of the lens, which is proposed.
            place: the side whose lens it is; None for the lens in use of the open model.
        """

        def save(path: Path | None) -> None:
            if path is not None:
                folder = whole_folder(path)
                self._save(folder, folder / "params.pt", as_folder=True, kind=TUNED, place=place)

        self._services.ask(SaveLensFolder(made_or_home(lenses()), name), save)

    def _save(self, path: Path, written: Path, *, as_folder: bool, kind: str, place: int | None) -> None:
        """Write the lens to a path, but ask before the file `written` is replaced."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._begun(path)
                post = self._services.post_to(self._asker)
                self._services.lenses.save(path, post, as_folder=as_folder, kind=kind, place=place)

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
