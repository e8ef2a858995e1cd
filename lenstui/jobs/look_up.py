"""The jobs of the model thread that look something up: the tokens of a word, those of a cell in full."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message

from lenstui.jobs.failures import told
from lenstui.jobs.messages import CellNotRead, CellRead, PinsFound, PinsNotFound, WordFound, WordNotFound
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.model_thread import Stop
from lenstui.jobs.read import ReadJobs
from lenstui.model.tokens import visible
from lenstui.opening.side_reading import side_rankings
from lenstui.support.errors import LensError


class LookUpJobs:
    """Looks up what is asked for. Touched by the model thread alone."""

    def __init__(self, post: Callable[[Message], object], work: ModelJobs, reading: ReadJobs) -> None:
        """Look nothing up yet.

        Args:
            post: takes the messages.
            work: the open model.
            reading: the prompt that is on screen.
        """
        self._post = post
        self._work = work
        self._reading = reading

    def find_pins(self, word: str, text: str, stop: Stop) -> None:
        """Look up the tokens of a word that may follow a text, to pin them."""
        self._look_up(word, text, stop, PinsFound, PinsNotFound)

    def find_word(self, word: str, text: str, stop: Stop) -> None:
        """Look up the same tokens, to look for them in the cells."""
        self._look_up(word, text, stop, WordFound, WordNotFound)

    def _look_up(
        self,
        word: str,
        text: str,
        stop: Stop,
        found: type[PinsFound | WordFound],
        not_found: type[PinsNotFound | WordNotFound],
    ) -> None:
        if self._work.opened is None:
            return
        from lenstui.readout.pins import find_pins

        model = self._work.opened.model
        try:
            vocabulary = model.vocabulary if self._work.sides is None else self._work.sides.vocabulary
            pins = find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=vocabulary)
        except LensError as error:
            self._post(not_found(str(error)))
        else:
            if not stop():
                tokens = tuple((pin.id, model.texts[pin.id]) for pin in pins)
                self._post(found(visible(word), tokens, all(pin.whole for pin in pins)))

    def read_cell(self, serial: int, row: int, column: int, count: int) -> None:
        """Rank the likeliest tokens of one cell of the current prompt, its row counted among those read."""
        request = self._reading.request
        sides = self._work.sides
        if sides is None or request is None or request.serial != serial:
            return
        model = sides.first.model
        with told(lambda text: self._post(CellNotRead(serial, text)), "Reading failed"):
            of_row = self._reading.rows(request)[row]
            lenses = self._work.lenses
            rankings = side_rankings(sides, request.of_sides, of_row, column, lenses, count=count)
            tokens = {int(token) for ranking in rankings.values() for token in ranking.ids}
            self._post(CellRead(serial, row, column, rankings, model.texts.of(tokens)))
