"""The jobs on lens files: list them, measure translators. Torch is imported here, inside them.

They have a thread of their own, so that a long look at a large file never keeps a prompt waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.jobs.messages import LensesListed, LensNotMeasured, ListedLens, TranslatorMeasured
from lenstui.jobs.model_thread import Stop
from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.opening.opened import BUNDLED_LENS, Opened
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model, lenses

if TYPE_CHECKING:
    from torch import Tensor


class FileJobs:
    """Looks at lens files and posts what is in them."""

    def __init__(self, post: Callable[[Message], object], opened: Callable[[], Opened | None]) -> None:
        """Look at nothing yet.

        Args:
            post: takes the messages.
            opened: what is open just now.
        """
        self._post = post
        self._opened = opened

    def list_lenses(self, stop: Stop) -> None:
        """The lenses of the lenses folder, the bundled one and the one in use, those that fit first."""
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
            self._post(LensesListed(tuple(listed), tuple(left_out)))

    def measure(self, path: Path, stop: Stop) -> None:
        """Measure the translators of a lens, one by one, until told to stop."""
        try:
            for row, (weight, bias) in enumerate(_translators(path)):
                if stop():
                    return
                self._post(TranslatorMeasured(path, TranslatorSize.of(row, weight, bias)))
        except LensError as error:
            self._post(LensNotMeasured(path, str(error)))
        except Exception as error:  # whatever torch raises on a file that changes meanwhile
            self._post(LensNotMeasured(path, f"The translators cannot be read: {type(error).__name__}"))


def _translators(path: Path) -> Iterable[tuple[Tensor, Tensor]]:
    """`A` and `b` of each row; those of another program's file are read at once."""
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.mapped import map_lens

    if mapped := map_lens(path):
        return mapped.translators()
    lens = open_lens(path)
    return zip(lens.weight, lens.bias, strict=True)


def _card_in_use(opened: Opened, path: Path) -> list[LensCard]:
    """The card of a lens from elsewhere; none where its file is gone."""
    lens = opened.fitted[0]
    try:
        status = path.stat()
    except OSError:
        return []
    blocks, d_model = lens.shape or (opened.model.num_blocks, opened.model.d_model)
    return [LensCard(path, lens.config, lens.fit, blocks, d_model, status.st_size, status.st_mtime)]


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
