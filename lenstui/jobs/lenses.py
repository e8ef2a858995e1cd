"""The service for screens that lists lens files, measures translators, and opens and saves lenses.

The files are looked at on a thread of their own, so that a large file never keeps a prompt waiting. Torch is
imported inside the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.jobs.messages import LensesListed, LensNotMeasured, ListedLens, Post, TranslatorMeasured
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.opening.opened import BUNDLED_LENS, Opened
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, lenses

if TYPE_CHECKING:
    from lenstui.lens.mapped import Sized


class LensService:
    """A service that opens, saves, lists and measures lenses. Methods return at once; answers are posted."""

    def __init__(self, thread: JobThread, file_thread: JobThread, model_jobs: ModelJobs) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            file_thread: the thread that looks at files.
            model_jobs: the jobs with the open model.
        """
        self._thread = thread
        self._file_thread = file_thread
        self._model_jobs = model_jobs
        self._files = LensFileJobs(lambda: model_jobs.opened)

    def open(self, path: Path, post: Post) -> None:
        """Read the open model through the lens of a file; `LensRefused` is the answer if that fails."""
        self._thread.submit("lens", lambda stop: self._model_jobs.open_lens(path, post, stop))

    def save(self, path: Path, post: Post, *, as_folder: bool) -> None:
        """Save the lens in use to a file of lenstui, or to a folder for the `tuned-lens` library."""
        self._thread.submit(f"save {path}", lambda stop: self._model_jobs.save_lens(path, as_folder, post))

    def list(self, post: Post) -> None:
        """List the lens files; an earlier request is dropped."""
        self._file_thread.submit("list", lambda stop: self._files.list_lenses(post, stop))

    def measure(self, path: Path, post: Post) -> None:
        """Measure the translators of a lens; an earlier measurement is given up."""
        self._file_thread.submit("measure", lambda stop: self._files.measure(path, post, stop), priority=1)

    def stop_measuring(self) -> None:
        """Give up measuring translators."""
        self._file_thread.submit("measure", lambda stop: None, priority=1)


class LensFileJobs:
    """The jobs that look at lens files. Used by the file thread alone."""

    def __init__(self, opened: Callable[[], Opened | None]) -> None:
        """Prepare the jobs.

        Args:
            opened: returns the open model with its lenses, or None.
        """
        self._opened = opened

    def list_lenses(self, post: Post, stop: Stop) -> None:
        """Post the lenses of the lenses folder, the bundled one and the one in use, best matches first."""
        from lenstui.lens.catalog import lens_paths, list_lenses, match
        from lenstui.lens.mapped import map_lens

        opened = self._opened()
        cards = list_lenses(lenses())
        left_out = sorted({path.name for path in lens_paths(lenses())} - {card.path.name for card in cards})
        if bundled := map_lens(bundled_model() / BUNDLED_LENS):
            cards.append(bundled.card)
        in_use = None if opened is None else opened.lens_file
        if opened is not None and in_use and not any(_same(card.path, in_use) for card in cards):
            cards += _card_in_use(opened, in_use)
        listed = [
            ListedLens(
                card,
                None if opened is None else match(card, opened.model),
                in_use is not None and _same(card.path, in_use),
            )
            for card in cards
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


def _card_in_use(opened: Opened, path: Path) -> list[LensCard]:
    """Return a list with the card of the lens in use, or an empty list where its file is gone."""
    lens = opened.fitted[0]
    try:
        status = path.stat()
    except OSError:
        return []
    blocks, d_model = lens.shape or (opened.model.num_blocks, opened.model.d_model)
    return [LensCard(path, lens.config, lens.fit, blocks, d_model, status.st_size, status.st_mtime)]


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
