"""The jobs of the model thread that look up the tokens of a word, and the likeliest tokens of a cell."""

from __future__ import annotations

from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import (
    CellNotRead,
    CellRead,
    PinsFound,
    PinsNotFound,
    Post,
    WordFound,
    WordNotFound,
)
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.thread import Stop
from lenstui.model.tokens import visible
from lenstui.opening.side_reading import side_rankings
from lenstui.support.errors import LensError

Found = tuple[str, tuple[tuple[int, str], ...], bool]
"""A word, its tokens with their display texts, and whether each of these is the whole word."""


class LookUpJobs:
    """The jobs that look up words and cells. Used by the model thread alone."""

    def __init__(self, model_jobs: ModelJobs, read_jobs: ReadJobs) -> None:
        """Prepare the jobs.

        Args:
            model_jobs: the jobs with the open model and the sides.
            read_jobs: the jobs that read the prompt on screen.
        """
        self._model_jobs = model_jobs
        self._read_jobs = read_jobs

    def find_pins(self, word: str, text: str, post: Post, stop: Stop) -> None:
        """Post the tokens of a word that may follow a text, to pin them."""
        try:
            found = self._tokens_of(word, text)
        except LensError as error:
            post(PinsNotFound(str(error)))
            return
        if found is not None and not stop():
            post(PinsFound(*found))

    def find_word(self, word: str, text: str, post: Post, stop: Stop) -> None:
        """Post the tokens of a word that may follow a text, to look for them in the cells."""
        try:
            found = self._tokens_of(word, text)
        except LensError as error:
            post(WordNotFound(str(error)))
            return
        if found is not None and not stop():
            post(WordFound(*found))

    def _tokens_of(self, word: str, text: str) -> Found | None:
        """Return the tokens of a word; None while no model is open.

        Raises:
            LensError: if the word has no token.
        """
        sides = self._model_jobs.sides
        if sides is None:
            return None
        from lenstui.readout.pins import find_pins

        model = sides.opened.model
        pins = find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=sides.vocabulary)
        tokens = tuple((pin.id, model.texts[pin.id]) for pin in pins)
        return visible(word), tokens, all(pin.whole for pin in pins)

    def read_cell(self, serial: int, row: int, column: int, count: int, post: Post) -> None:
        """Post the likeliest tokens of one cell of the current prompt; `row` counts the rows on screen."""
        request = self._read_jobs.request
        sides = self._model_jobs.sides
        if sides is None or request is None or request.serial != serial:
            return
        model = sides.first.model
        with reporting(lambda text: post(CellNotRead(serial, text)), "Reading failed"):
            of_row = self._read_jobs.rows(request)[row]
            lenses = self._model_jobs.lenses
            rankings = side_rankings(sides, request.of_sides, of_row, column, lenses, count=count)
            tokens = {int(token) for ranking in rankings.values() for token in ranking.ids}
            post(CellRead(serial, row, column, rankings, model.texts.of(tokens)))
