"""The jobs of the model thread that look up the tokens of a word, a word in a column, and a cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import (
    CellNotRead,
    CellRead,
    FinalsCompared,
    PinsFound,
    PinsNotFound,
    Post,
    WordFound,
    WordNotFound,
    WordsRead,
)
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.thread import Stop
from lenstui.model.tokens import visible
from lenstui.opening.side_reading import SideWord, side_prompts, side_rankings, side_words
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import SHORTER_PROMPT, LensError

if TYPE_CHECKING:
    from lenstui.readout.pins import Pin


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
            pins = self._pins_of(word, text)
        except LensError as error:
            post(PinsNotFound(str(error)))
            return
        if pins and not stop():
            several = word if any(pin.rest for pin in pins) else ""
            post(PinsFound(*self._found(word, pins), several))

    def find_word(self, word: str, text: str, post: Post, stop: Stop) -> None:
        """Post the tokens of a word that may follow a text, to look for them in the cells."""
        try:
            pins = self._pins_of(word, text)
        except LensError as error:
            post(WordNotFound(str(error)))
            return
        if pins and not stop():
            post(WordFound(*self._found(word, pins)))

    def _pins_of(self, word: str, text: str) -> tuple[Pin, ...]:
        """Return the tokens of a word; none while no model is open.

        Raises:
            LensError: if the word has no token.
        """
        sides = self._model_jobs.sides
        if sides is None:
            return ()
        from lenstui.readout.pins import find_pins

        model = sides.opened.model
        return find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=sides.vocabulary)

    def _found(self, word: str, pins: Sequence[Pin]) -> tuple[str, tuple[tuple[int, str], ...], bool]:
        """Return a word, its tokens with their display texts, and whether each of these is the whole word."""
        assert self._model_jobs.sides is not None
        texts = self._model_jobs.sides.opened.model.texts
        return visible(word), tuple((pin.id, texts[pin.id]) for pin in pins), all(pin.whole for pin in pins)

    def read_words(
        self, serial: int, words: Sequence[str], column: int, post: Post, stop: Stop
    ) -> Iterator[None]:
        """Post words of several tokens as read in a column of the current prompt, all of their tokens."""
        request, sides = self._read_jobs.request, self._model_jobs.sides
        if sides is None or request is None or request.serial != serial:
            return
        with reporting(
            lambda text: post(WordsRead(serial, column, failure=text)), "Reading failed", SHORTER_PROMPT
        ):
            found: dict[int, dict[str, SideWord]] = {}
            lenses = self._model_jobs.lenses
            for place, word in side_words(sides, request.of_sides, words, column, lenses):
                if stop():
                    return
                found.setdefault(place, {})[word.word] = word
                yield
            tokens = {token for of_side in found.values() for word in of_side.values() for token in word.ids}
            post(WordsRead(serial, column, found, sides.first.model.texts.of(tokens)))

    def compare_finals(self, serial: int, post: Post, stop: Stop) -> Iterator[None]:
        """Post how far the final distributions of the sides part in each column of the current prompt."""
        request, sides = self._read_jobs.request, self._model_jobs.sides
        if sides is None or request is None or request.serial != serial:
            return
        from lenstui.opening.finals import final_divergences

        failed = "The last rows were not compared"
        with reporting(lambda text: post(FinalsCompared(serial, {}, text)), failed):
            found = dict[int, FloatArray]()
            prompts = side_prompts(sides, request.of_sides)
            for place, of_side in final_divergences(sides, request.of_sides, prompts):
                if stop():
                    return
                found[place] = of_side
                yield
            post(FinalsCompared(serial, found))

    def read_cell(self, serial: int, row: int, column: int, count: int, post: Post) -> None:
        """Post the likeliest tokens of one cell of the current prompt; `row` counts the rows on screen."""
        request = self._read_jobs.request
        sides = self._model_jobs.sides
        if sides is None or request is None or request.serial != serial:
            return
        model = sides.first.model
        with reporting(lambda text: post(CellNotRead(serial, text)), "Reading failed", SHORTER_PROMPT):
            of_row = self._read_jobs.rows(request)[row]
            lenses = self._model_jobs.lenses
            rankings = side_rankings(sides, request.of_sides, of_row, column, lenses, count=count)
            tokens = {int(token) for ranking in rankings.values() for token in ranking.ids}
            post(CellRead(serial, row, column, rankings, model.texts.of(tokens)))
