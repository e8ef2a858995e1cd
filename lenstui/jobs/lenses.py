"""The service for screens that lists lens files, measures translators, and opens and saves lenses.

The files are looked at on a thread of their own, so that a large file never keeps a prompt waiting. Torch is
imported inside the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.export_messages import NotTaken
from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import (
    LensesListed,
    LensNotMeasured,
    ListedLens,
    Post,
    TranslatorMeasured,
    TrustFound,
)
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.taking import take_view
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.lens.kinds import TUNED
from lenstui.opening.opened import BUNDLED_JACOBIAN_LENS, BUNDLED_LENS, Opened
from lenstui.support.errors import LensError
from lenstui.support.lens_repository import LensRepository
from lenstui.support.paths import bundled_model

if TYPE_CHECKING:
    from lenstui.export.figures.file import FigureFile
    from lenstui.jobs.export_things import Thing
    from lenstui.lens.lens import Lens
    from lenstui.lens.mapped import Sized
    from lenstui.opening.sides import Sides


class LensService:
    """A service that opens, saves, lists and measures lenses. Methods return at once; answers are posted."""

    def __init__(
        self,
        thread: JobThread,
        file_thread: JobThread,
        model_jobs: ModelJobs,
        own: Sequence[LensRepository] = (),
    ) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            file_thread: the thread that looks at files.
            model_jobs: the jobs with the open model.
            own: the user's own repositories of lenses on the hub, of which the downloaded are listed too.
        """
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs
        self._files = LensFileJobs(lambda: model_jobs.opened, own)

    def open(self, path: Path, post: Post, place: int | None = None) -> None:
        """Read the open model through the lens of a file; `LensRefused` is the answer if that fails.

        Args:
            path: the file or folder.
            post: takes the answer.
            place: the side to put the lens on where none shows a lens of its kind; None for one more side.
        """
        self._thread.submit("lens", lambda stop: self._model_jobs.open_lens(path, place, post, stop))

    def save(
        self, path: Path, post: Post, *, as_folder: bool, kind: str = TUNED, place: int | None = None
    ) -> None:
        """Save a lens to a file of lenstui's.

        Args:
            path: the file, or the folder.
            post: takes the answer.
            as_folder: whether to write a folder for the `tuned-lens` library, which has tuned lenses alone.
            kind: the kind of lens.
            place: the side whose lens it is; None for the lens in use of the open model.
        """
        self._thread.submit(
            f"save {path}",
            lambda stop: self._model_jobs.save_lens(path, post, as_folder=as_folder, kind=kind, place=place),
        )

    def list(self, post: Post) -> None:
        """List the lens files; an earlier request is dropped."""
        self._file_thread.submit("list", lambda stop: self._files.list_lenses(post, stop))

    def find_trust(self, post: Post) -> None:
        """Look up how far the lens of each side can be trusted; an earlier request is dropped."""
        self._file_thread.submit("trust", lambda stop: find_trust(self._model_jobs.sides, post))

    def measure(self, path: Path, post: Post) -> None:
        """Measure the translators of a lens; an earlier measurement is given up."""
        self._file_thread.submit("measure", lambda stop: self._files.measure(path, post, stop), priority=1)

    def take_curve(self, number: int, card: LensCard, thing: Thing, path: Path | None, post: Post) -> None:
        """Export the curve of a lens's fit: to a file, or as text for the clipboard where there is none.

        Args:
            number: the number of the order.
            card: the card of the lens.
            thing: the form, one of `CURVE_FILES` or `CURVE_COPIES`.
            path: the file.
            post: takes the answer.
        """
        self._file_thread.submit(f"curve {path}", lambda stop: _take_curve(number, card, thing, path, post))

    def stop_measuring(self) -> None:
        """Give up measuring translators."""
        self._file_thread.submit("measure", lambda stop: None, priority=1)


class LensFileJobs:
    """The jobs that look at lens files. Used by the file thread alone."""

    def __init__(
        self,
        opened: Callable[[], Opened | None],
        own: Sequence[LensRepository] = (),
    ) -> None:
        """Prepare the jobs.

        Args:
            opened: returns the open model with its lenses, or None.
            own: the user's own repositories of lenses on the hub, of which the downloaded are listed too.
        """
        self._opened = opened
        self._own = own

    def list_lenses(self, post: Post, stop: Stop) -> None:
        """Post the lenses at hand, best matches first.

        They are those of the lenses folder, those that were downloaded, the bundled ones and those in use.
        """
        from lenstui.lens.catalog import lenses_at_hand, match, with_evaluations
        from lenstui.lens.mapped import map_lens
        from lenstui.lens.published.repositories import lens_repositories
        from lenstui.model.name import BUNDLED_MODEL

        opened = self._opened()
        cards, left_out = lenses_at_hand(lens_repositories(self._own))
        if bundled := map_lens(bundled_model() / BUNDLED_LENS):
            cards.append(bundled.card)
        is_bundled = opened is not None and opened.model.name == BUNDLED_MODEL
        if is_bundled and (bundled := map_lens(bundled_model() / BUNDLED_JACOBIAN_LENS)):
            cards.append(bundled.card)
        at_hand = [] if opened is None else [lens for lens in opened.fitted if lens.file is not None]
        for lens in at_hand:
            if opened is not None and not any(_is_in(lens, card.path) for card in cards):
                cards += _card_of(lens, opened)
        in_use = [lens for lens in at_hand if opened is not None and opened.is_in_use(lens)]
        listed = [
            ListedLens(
                card,
                None if opened is None else match(card, opened.model),
                any(_is_in(lens, card.path) for lens in in_use),
            )
            for card in with_evaluations(cards)
        ]
        listed.sort(key=lambda lens: 0 if lens.match is None else list(Match).index(lens.match))
        if not stop():
            post(LensesListed(tuple(listed), tuple(left_out)))

    def measure(self, path: Path, post: Post, stop: Stop) -> None:
        """Measure the translators of a lens, and post the size of each."""
        try:
            for row, weight, bias in _translators(path):
                if stop():
                    return
                post(TranslatorMeasured(path, TranslatorSize.of(row, weight, bias)))
        except LensError as error:
            post(LensNotMeasured(path, str(error)))
        except Exception as error:  # whatever torch raises on a file that changes meanwhile
            post(LensNotMeasured(path, f"The translators cannot be read: {type(error).__name__}"))


def find_trust(sides: Sides | None, post: Post) -> None:
    """Post what is known of how far the lens of each side can be trusted, if a model is open."""
    from lenstui.opening.trust import trust_of

    if sides is not None:
        post(TrustFound(sides.facts, tuple(map(trust_of, sides.sides))))


def _take_curve(number: int, card: LensCard, thing: Thing, path: Path | None, post: Post) -> None:
    from lenstui.export.command import curve_command
    from lenstui.export.figures.fit_curve import fit_figure
    from lenstui.export.fit_curve import curve_text
    from lenstui.export.shape import Shape

    def text(form: str) -> str:
        if form != "command":
            return curve_text(form, card)
        command = curve_command(card.path, Shape())
        return command if path is None else f"{command}\n"

    def figure(form: str) -> FigureFile:
        shape = Shape(form, path)
        return fit_figure(form, card, shape.style, curve_command(card.path, shape))

    with reporting(lambda said: post(NotTaken(number, said)), "It was not exported"):
        post(take_view(number, thing, path, text=text, figure=figure))


def _translators(path: Path) -> Iterable[Sized]:
    """Return each row with its matrix and bias; a file that cannot be mapped is read whole first."""
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.jacobian import JacobianLens
    from lenstui.lens.mapped import map_lens

    if mapped := map_lens(path):
        return mapped.translators()
    lens = open_lens(path)
    if isinstance(lens, JacobianLens):
        return ((row, matrix, None) for row, matrix in lens.matrices.items())
    return zip(range(len(lens.weight)), lens.weight, lens.bias, strict=True)


def _card_of(lens: Lens, opened: Opened) -> list[LensCard]:
    """Return a list with the card of a lens at hand, or an empty list where its file is gone."""
    from lenstui.lens.jacobian import JacobianLens

    assert lens.file is not None
    try:
        status = lens.file.stat()
    except OSError:
        return []
    blocks, d_model = lens.shape or (opened.model.num_blocks, opened.model.d_model)
    rows = tuple(lens.matrices) if isinstance(lens, JacobianLens) else None
    size, when = status.st_size, status.st_mtime
    return [LensCard(lens.file, lens.config, lens.fit, blocks, d_model, size, when, lens.kind, rows)]


def _is_in(lens: Lens, path: Path) -> bool:
    """Return whether a lens was read from the file or folder `path`."""
    return lens.file is not None and lens.file.resolve() == path.resolve()
