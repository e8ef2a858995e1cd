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
            vocabulary = model.vocabulary if self._work.beside is None else self._work.beside.vocabulary
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
        if self._work.opened is None or request is None or request.serial != serial:
            return
        from lenstui.readout.ranking import rank_cell

        model, final_norm = self._work.opened.model, request.reading.final_norm
        with told(lambda text: self._post(CellNotRead(serial, text)), "Reading failed"):
            prompt, of_row = self._reading.prompt(request), self._reading.rows(request)[row]
            if self._work.beside is not None:
                rankings = self._work.beside.rankings(request, of_row, column, count)
            else:
                lens = self._work.lens_on_screen
                rankings = rank_cell(model, prompt, of_row, column, lens, count=count, final_norm=final_norm)
            tokens = {int(token) for ranking in rankings.values() for token in ranking.ids}
            self._post(CellRead(serial, row, column, rankings, model.texts.of(tokens)))
