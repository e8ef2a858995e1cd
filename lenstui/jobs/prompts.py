"""The service for screens that reads the prompt, generates tokens, and looks up words and cells."""

from __future__ import annotations

from collections.abc import Sequence

from lenstui.jobs.look_up import LookUpJobs
from lenstui.jobs.messages import Post
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.read_request import Generation, ReadRequest
from lenstui.jobs.thread import JobThread

CELL_TOKENS = 1000  # tokens of one cell that are ranked at most
_READ = "read"  # the kind of the jobs that read: each stops the former one


class PromptService:
    """A service that reads prompts on the model thread. Its methods return at once; answers are posted."""

    def __init__(self, thread: JobThread, read_jobs: ReadJobs, look_up: LookUpJobs) -> None:
        """Prepare the service.

        Args:
            thread: the thread that does model work.
            read_jobs: the jobs that read prompts.
            look_up: the jobs that look up words and cells.
        """
        self._thread = thread
        self._read_jobs = read_jobs
        self._look_up = look_up

    def read(self, request: ReadRequest, post: Post) -> None:
        """Read a prompt; the reading that is under way stops."""
        self._thread.submit(_READ, lambda stop: self._read_jobs.read(request, post, stop))

    def grow(self, request: ReadRequest, known: int, post: Post) -> None:
        """Read a prompt from the column `known` on: the columns before that are on screen."""
        self._thread.submit(_READ, lambda stop: self._read_jobs.grow(request, known, post))

    def generate(self, request: ReadRequest, known: int, how: Generation, post: Post) -> None:
        """Let the model or one of its rows append tokens to the prompt, and read their columns."""
        self._thread.submit(_READ, lambda stop: self._read_jobs.generate(request, known, how, post, stop))

    def stop(self) -> None:
        """Stop reading and generating."""
        self._thread.submit(_READ, lambda stop: None)

    def find_pins(self, word: str, text: str, post: Post) -> None:
        """Look up the tokens of a word that may follow a text, to pin them."""
        self._thread.submit("pins", lambda stop: self._look_up.find_pins(word, text, post, stop))

    def find_word(self, word: str, text: str, post: Post) -> None:
        """Look up the tokens of a word that may follow a text, to look for them in the cells."""
        self._thread.submit("word", lambda stop: self._look_up.find_word(word, text, post, stop))

    def rank_cell(self, serial: int, row: int, column: int, post: Post) -> None:
        """Rank the likeliest tokens of one cell; an earlier request for a cell is dropped."""
        self._thread.submit(
            "cell", lambda stop: self._look_up.read_cell(serial, row, column, CELL_TOKENS, post)
        )

    def read_words(self, serial: int, words: Sequence[str], column: int, post: Post) -> None:
        """Read words of several tokens whole in one column; an earlier request for words is dropped."""
        self._thread.submit("words", lambda stop: self._look_up.read_words(serial, words, column, post, stop))

    def compare_finals(self, serial: int, post: Post) -> None:
        """Compare the final distributions of the sides; an earlier request for that is dropped.

        While tokens are generated this waits, since each of them would run both models over the prompt again.
        """
        self._thread.submit(
            "finals", lambda stop: self._look_up.compare_finals(serial, post, stop), priority=1
        )

    def read_in_training(self, serial: int, columns: range, post: Post) -> None:
        """Read some columns again, through the lens in training."""
        self._thread.submit(
            "in training", lambda stop: self._read_jobs.read_in_training(serial, columns, post, stop)
        )
