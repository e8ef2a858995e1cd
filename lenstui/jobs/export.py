"""Take what is on screen away: the jobs that read it whole, and those that write it.

The model thread reads, and looks up every text, since tokenizers are not made for two threads; the file
thread writes. Torch is imported here, inside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.shape import TOP_K, Shape
from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import LENS_IN_NO_FILE, THINGS
from lenstui.jobs.failures import told
from lenstui.jobs.messages import Post
from lenstui.jobs.read import ReadJobs, Shown
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.lens.kinds import first_kinds, made_lens
from lenstui.readout.cells import Tile
from lenstui.support.errors import LensError
from lenstui.support.paths import made
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.export.forms import Manner
    from lenstui.export.tidy import Heading
    from lenstui.readout.values import Value

_KIND = "export"  # of all its jobs: each stops the one before
GONE = "The prompt has changed meanwhile: try again."
IN_TRAINING = "in training"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be taken away.

    Attributes:
        number: which one it is.
        serial: of the reading that is shown.
        shape: form, value, and file; without a file it goes to the clipboard.
        start: what the program was started with.
        depth: how many tokens of a cell are shown.
        text: what it is, where that need not be read any more; where it comes from is added to it.
        is_picture: that text is a picture of the screen.
        remark: said of it once it is written.
        places: of the sides that are taken; empty for all.
    """

    number: int
    serial: int
    shape: Shape
    start: Start
    depth: int = 1
    text: str | None = None
    is_picture: bool = False
    remark: str | None = None
    places: tuple[int, ...] = ()


class _Stopped(Exception):  # noqa: N818  it is no error
    """It was given up."""


class ExportService:
    """Does one order at a time. Its methods return at once; what becomes of them is posted."""

    def __init__(
        self,
        read_jobs: ReadJobs,
        thread: JobThread,
        file_thread: JobThread,
    ) -> None:
        """Export nothing yet.

        Args:
            read_jobs: with the prompt that is on screen.
            thread: that does model work.
            file_thread: that writes.
        """
        self._read_jobs = read_jobs
        self._thread = thread
        self._file_thread = file_thread

    def take(self, order: Order, post: Post) -> None:
        """Read the whole prompt and write it in its form; or write the text that the order brings."""
        job = self._read if order.text is None else self._bring
        self._thread.submit(_KIND, lambda stop: self._guarded(job(order, post, stop), order, post))

    def take_command(self, order: Order, post: Post) -> None:
        """Make the command that reads the same again."""
        self._thread.submit(_KIND, lambda stop: self._guarded(self._say_command(order, post), order, post))

    def stop(self) -> None:
        """Give up what is under way."""
        self._thread.submit(_KIND, lambda stop: None)
        self._file_thread.submit(_KIND, lambda stop: None)

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _guarded(self, steps: Iterator[None], order: Order, post: Post) -> Iterator[None]:
        """Run the steps of a job; an error is posted as `NotTaken`."""
        told_of_it = told(lambda text: post(NotTaken(order.number, text)), "It was not taken away")
        with told_of_it, suppress(_Stopped):
            yield from steps

    def _read(self, order: Order, post: Post, stop: Stop) -> Iterator[None]:
        """All columns in order, as `lenstui read` reads them."""
        from lenstui.export.reading import tiles_of

        shown = self._shown(order)
        start, shape, heading = _asked(shown, order)
        request, model = shown.request, shown.opened.model
        tiles: list[Tile] = []
        columns, posted = len(shown.prompt.ids), time.monotonic()
        top_k, pins = start.top_k, request.pins
        for tile in tiles_of(model, shown.lenses, shown.prompt, request.reading, top_k=top_k, pins=pins):
            if stop():
                return
            tiles.append(tile)
            if time.monotonic() - posted > POST_EVERY:
                posted = time.monotonic()
                post(ExportProgress(order.number, tile.stop, columns))
            yield
        tokens = {*shown.prompt.ids, *request.pins}
        for tile in tiles:
            for cells in tile.lenses.values():
                tokens.update(np.unique(cells.top_ids[cells.top_ids >= 0]).tolist())
        if stop():
            return
        manner = _manner(shown, order, model.texts.of(tokens), _command(shown, heading, start, shape))
        self._write(
            order, post, lambda stop: self._write_form(order, tiles, heading, manner, post=post, stop=stop)
        )

    def _bring(self, order: Order, post: Post, stop: Stop) -> Iterator[None]:
        """A text that is there already, with its source behind it."""
        from lenstui.export.forms import described, with_source

        shown = self._shown(order)
        start, shape, heading = _asked(shown, order)
        command = _command(shown, heading, start, replace(shape, output=None))
        assert order.text is not None
        sign = described if order.is_picture else with_source
        text = sign(order.text, heading, command)
        self._write(order, post, lambda stop: self._write_text(order, text, post))
        yield

    def _say_command(self, order: Order, post: Post) -> Iterator[None]:
        shown = self._shown(order)
        start, shape, heading = _asked(shown, order)
        command = _command(shown, heading, start, replace(shape, output=None))
        if command.startswith("#"):
            raise LensError(command.removeprefix("# "))
        if shape.output is not None:
            self._write(order, post, lambda stop: self._write_text(order, f"{command}\n", post))
        else:
            post(TextTaken(order.number, THINGS["command"], command))
        yield

    def _shown(self, order: Order) -> Shown:
        shown = self._read_jobs.shown(order.serial, order.places)
        if shown is None:
            raise LensError(GONE)
        return shown

    # ── on the file thread ───────────────────────────────────────────────────────────────────────────────

    def _write(self, order: Order, post: Post, write: Callable[[Stop], None]) -> None:
        def steps(stop: Stop) -> Iterator[None]:
            write(stop)
            yield

        self._file_thread.submit(_KIND, lambda stop: self._guarded(steps(stop), order, post))

    def _write_form(
        self,
        order: Order,
        tiles: Iterable[Tile],
        heading: Heading,
        manner: Manner,
        *,
        post: Post,
        stop: Stop,
    ) -> None:
        from lenstui.export.forms import text_of, write_form

        form, file = order.shape.format, order.shape.output
        tiles = _until(stop, tiles)
        if file is None:
            text = "".join(text_of(form, tiles, heading, manner))
            post(TextTaken(order.number, THINGS["markdown"], text))
            return
        made(file.parent)
        write_form(form, tiles, heading, manner, file)
        post(FileTaken(order.number, file, order.remark))

    def _write_text(self, order: Order, text: str, post: Post) -> None:
        from lenstui.support.atomic_file import written

        file = order.shape.output
        assert file is not None
        made(file.parent)
        with written(file) as out:
            out.write(text.encode("utf-8"))
        post(FileTaken(order.number, file, order.remark))


def _until(stop: Stop, tiles: Iterable[Tile]) -> Iterator[Tile]:
    for tile in tiles:
        if stop():
            raise _Stopped
        yield tile


def _asked(shown: Shown, order: Order) -> tuple[Start, Shape, Heading]:
    """What `lenstui read` would be asked for, and what it would say above the readout."""
    from lenstui.export.reading import heading_of
    from lenstui.readout.pins import pins_of

    model, shape, reading = shown.opened.model, order.shape, shown.request.reading
    value = _value(shown, order)
    # Where the order of tokens counts, no two may share a word.
    pins = pins_of(model.texts, shown.request.pins, vocabulary=model.vocabulary, apart=value.pins > 1)
    if shape.format == "svg" and not value.pins:  # a figure shows the likeliest tokens alone
        pins = ()
    heading = heading_of(shown.opened, shown.lenses, shown.prompt, reading, pins=pins)
    if shown.in_training is not None:
        lenses = tuple(
            replace(each, file=IN_TRAINING) if each.kind == shown.in_training else each
            for each in heading.source.lenses
        )
        heading = replace(heading, source=replace(heading.source, lenses=lenses))
    top_k = order.depth if shape.format == "table" else max(order.depth, TOP_K[shape.format])
    words = tuple(dict.fromkeys(pin.word for pin in pins))
    shape = replace(shape, reading=reading, pins=words, diff=_shows_difference(shown, order))
    return replace(order.start, top_k=top_k), shape, heading


def _manner(shown: Shown, order: Order, texts: dict[int, str], command: str) -> Manner:
    from lenstui.export.forms import Manner

    vocabulary, value = shown.opened.model.vocabulary, _value(shown, order)
    return Manner(texts, vocabulary, value, command, _shows_difference(shown, order))


def _shows_difference(shown: Shown, order: Order) -> bool:
    """The one lens minus the other; sublayers are of the logit lens alone."""
    return order.shape.diff and not shown.request.reading.sublayers


def _value(shown: Shown, order: Order) -> Value:
    """What colours the cells, by the names of the pins."""
    from lenstui.export.reading import value_of

    return value_of(order.shape.value, shown.opened.model, shown.request.pins)


def _command(shown: Shown, heading: Heading, start: Start, shape: Shape) -> str:
    """The command that reads the same again, or a comment that says why there is none."""
    from lenstui.export.command import read_command
    from lenstui.opening.opened import lens_to_name

    if reason := _no_command(shown):
        return f"# {reason}"
    kinds = tuple(lens.kind for lens in shown.lenses)
    if kinds != (first_kinds() if shape.diff else tuple(lens.kind for lens in shown.opened.lenses)):
        shape = replace(shape, lenses=kinds)
    fitted = next((lens for lens in shown.lenses if made_lens(lens.kind) is None), None)
    in_use = fitted is None or fitted is shown.opened.lens(fitted.kind)
    lens = None if fitted is None else lens_to_name(shown.opened) if in_use else fitted.file
    source = heading.source
    if Path(source.model).is_dir():  # so that it is found from everywhere
        heading = replace(heading, source=replace(source, model=str(Path(source.model).absolute())))
    return read_command(heading, None if lens is None else lens.absolute(), start, shape)


def _no_command(shown: Shown) -> str | None:
    """Why no command reads the same, if none does."""

    opened, prompt, text = shown.opened, shown.prompt, shown.prompt.text
    if shown.in_training is not None:
        return "No command reads the same: the lens is still in training, and in no file."
    if shown.has_others:
        return "No command reads the same: other models or prompts are on screen."
    fitted = [lens for lens in shown.lenses if made_lens(lens.kind) is None]
    if len({lens.kind for lens in shown.lenses}) < len(shown.lenses):
        return "No command reads the same: two lenses of one kind are on screen."
    if any(lens.file is None or not lens.file.exists() for lens in fitted):
        return LENS_IN_NO_FILE
    if text == "-" or any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        return "No command reads the same: a command line cannot hold this prompt."
    model, reading = opened.model, shown.request.reading
    again = reading.prompt(model, text)
    if again.ids != prompt.ids:
        return "No command reads the same: cut into tokens anew, the text gives others than were appended."
    return None
