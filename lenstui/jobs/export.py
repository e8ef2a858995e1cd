"""The jobs of an export: they read the whole prompt that is on screen, and write it in one of the forms.

The model thread reads, and looks up every text, since tokenizers are not made for two threads; the file
thread writes. Torch is imported inside the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.shape import TOP_K, Shape
from lenstui.jobs.export_messages import ExportProgress, FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import LENS_IN_NO_FILE, THINGS
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.read import ReadJobs, Shown
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.lens.kinds import first_kinds, made_lens
from lenstui.readout.cells import Tile
from lenstui.support.errors import LensError
from lenstui.support.paths import made
from lenstui.support.request import Start
from lenstui.support.turns import text_of

if TYPE_CHECKING:
    from lenstui.export.forms import Manner
    from lenstui.export.tidy import Heading
    from lenstui.export.two_models import ModelReadout
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.opening.opened import Opened
    from lenstui.readout.pins import Pin
    from lenstui.readout.values import Value

_KIND = "export"  # the kind of all jobs of an export: each stops the former one
GONE = "The prompt has changed meanwhile: try again."
IN_TRAINING = "in training"


@dataclass(frozen=True, slots=True)
class Order:
    """An order to export the readout on screen, or a text.

    Attributes:
        number: the number of the order.
        serial: the number of the reading on screen.
        shape: the form, the value and the file; without a file, the text is for the clipboard.
        start: the request that the program was started with.
        depth: the number of tokens of a cell that are shown.
        text: the finished text to export, to which its source is added; None to read the whole prompt.
        is_picture: whether that text is a picture of the screen.
        remark: a remark for the user once the file is written.
        places: the places of the sides to export; empty for all.
        is_kept: whether it is kept in the lab notebook: the shape has no file then, and its form is `md`.
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
    is_kept: bool = False


class _Stopped(Exception):  # noqa: N818  it is no error
    """An exception that ends an export that was given up."""


class ExportService:
    """A service that exports one order at a time. Its methods return at once; the results are posted."""

    def __init__(
        self,
        read_jobs: ReadJobs,
        thread: JobThread,
        file_thread: JobThread,
    ) -> None:
        """Prepare the service; nothing is exported yet.

        Args:
            read_jobs: the jobs that read the prompt on screen.
            thread: the thread that does model work.
            file_thread: the thread that writes files.
        """
        self._read_jobs = read_jobs
        self._thread = thread
        self._file_thread = file_thread

    def take(self, order: Order, post: Post) -> None:
        """Export the finished text of an order, or without one the whole prompt, in the order's form."""
        job = self._read if order.text is None else self._bring
        self._thread.submit(_KIND, lambda stop: self._guarded(job(order, post, stop), order, post))

    def take_command(self, order: Order, post: Post) -> None:
        """Export the command that repeats the readout on screen."""
        self._thread.submit(_KIND, lambda stop: self._guarded(self._say_command(order, post), order, post))

    def take_report(self, order: Order, post: Post) -> None:
        """Write all views of the lab notebook to the order's file: Markdown if it ends so, else HTML."""
        self._write(order, post, lambda stop: self._write_report(order, post))

    def stop(self) -> None:
        """Give up the export that is under way."""
        self._thread.submit(_KIND, lambda stop: None)
        self._file_thread.submit(_KIND, lambda stop: None)

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _guarded(self, steps: Iterator[None], order: Order, post: Post) -> Iterator[None]:
        """Run the steps of a job; an error is posted as `NotTaken`."""
        reports = reporting(lambda text: post(NotTaken(order.number, text)), "It was not exported")
        with reports, suppress(_Stopped):
            yield from steps

    def _read(self, order: Order, post: Post, stop: Stop) -> Iterator[None]:
        """Read all columns in order, as `lenstui read` does, and write them in the form of the order."""
        from lenstui.export.reading import both_words, clean_and_edited, tiles_of, words_of

        shown = self._shown(order)
        if shown.second is not None:
            yield from self._read_two(shown, shown.second, order, post, stop)
            return
        start, shape, heading = _asked(shown, order)
        request, model = shown.request, shown.opened.model
        words = words_of(model, shown.lenses, shown.prompt, request.reading, heading.pins)
        if shown.clean is not None and shape.diff:
            before = words_of(shown.clean, shown.lenses, shown.prompt, request.reading, heading.pins)
            words = both_words(before, words)
        heading = replace(heading, words=words)
        yield
        tiles: list[Tile] = []
        columns, posted = len(shown.prompt.ids), time.monotonic()
        top_k, pins = start.top_k, [pin.id for pin in heading.pins]

        def tiles_by(model: Model) -> Iterator[Tile]:
            return tiles_of(model, shown.lenses, shown.prompt, request.reading, top_k=top_k, pins=pins)

        found = tiles_by(model)
        if shown.clean is not None and shape.diff:
            found = map(clean_and_edited, tiles_by(shown.clean), found)
        for tile in found:
            if stop():
                return
            tiles.append(tile)
            if time.monotonic() - posted > POST_EVERY:
                posted = time.monotonic()
                post(ExportProgress(order.number, tile.stop, columns))
            yield
        tokens = {*shown.prompt.ids, *pins}
        for tile in tiles:
            for cells in tile.lenses.values():
                tokens.update(np.unique(cells.top_ids[cells.top_ids >= 0]).tolist())
        if stop():
            return
        self._write_read(shown, order, tiles, heading, texts=model.texts.of(tokens), post=post)

    def _write_read(
        self,
        shown: Shown,
        order: Order,
        tiles: Sequence[Tile],
        heading: Heading,
        *,
        texts: dict[int, str],
        post: Post,
    ) -> None:
        """Have what was read written in the form of the order, or kept in the lab notebook."""

        def manner_of(order: Order) -> Manner:
            start, shape, asked = _asked(shown, order)
            return _manner(shown, order, texts, _command(shown, asked, start, shape))

        manner = manner_of(order)
        if order.is_kept:
            drawn = manner_of(replace(order, shape=replace(order.shape, format="svg")))
            self._write(order, post, lambda stop: _keep(tiles, heading, manner, drawn, post))
            return
        self._write(
            order, post, lambda stop: self._write_form(order, tiles, heading, manner, post=post, stop=stop)
        )

    def _read_two(
        self, shown: Shown, second: tuple[Opened, Sequence[Lens]], order: Order, post: Post, stop: Stop
    ) -> Iterator[None]:
        """Read all columns by two models, as `lenstui read --against-model` does, and write them."""
        from lenstui.export.two_models import DATA_FORMS, TwoModels, beside, tokens_of

        start, shape, asked = _asked(shown, order)
        reading = TwoModels(
            (shown.opened, shown.lenses),
            second,
            shown.prompt,
            shown.request.reading,
            top_k=start.top_k,
            pins=asked.pins,
        )
        posted = time.monotonic()
        for read in reading.read():
            if stop():
                return
            if time.monotonic() - posted > POST_EVERY:
                posted = time.monotonic()
                post(ExportProgress(order.number, read, reading.columns))
            yield
        both = reading.of_models()
        if stop():
            return
        if shape.format in DATA_FORMS:
            # Tokenizers are not made for two threads: the texts are looked up here.
            looked_up = [replace(each, texts=each.model.texts.of(tokens_of([each]))) for each in both]
            self._write(order, post, lambda stop: self._write_data(order, looked_up, post))
            return
        tile, heading = beside(*both)
        texts = shown.opened.model.texts.of(tokens_of(both))
        self._write_read(shown, order, [tile], heading, texts=texts, post=post)

    def _bring(self, order: Order, post: Post, stop: Stop) -> Iterator[None]:
        """Write the finished text of an order, with its source added."""
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

    def _write_data(self, order: Order, both: Sequence[ModelReadout], post: Post) -> None:
        from lenstui.export.two_models import write_data
        from lenstui.support.atomic_file import written

        file = order.shape.output
        assert file is not None
        made(file.parent)
        with written(file) as out:
            write_data(order.shape.format, both, out)
        post(FileTaken(order.number, file, order.remark))

    def _write_report(self, order: Order, post: Post) -> None:
        from lenstui.export.notebook import NOTHING, read_notebook
        from lenstui.export.report import write_report
        from lenstui.support.paths import notebook

        file, views = order.shape.output, read_notebook(notebook()).views
        assert file is not None
        if not views:
            raise LensError(NOTHING)
        made(file.parent)
        write_report(views, "md" if file.suffix.lower() == ".md" else "html", file)
        post(FileTaken(order.number, file, order.remark))

    def _write_text(self, order: Order, text: str, post: Post) -> None:
        from lenstui.support.atomic_file import written

        file = order.shape.output
        assert file is not None
        made(file.parent)
        with written(file) as out:
            out.write(text.encode("utf-8"))
        post(FileTaken(order.number, file, order.remark))


def _keep(tiles: Sequence[Tile], heading: Heading, manner: Manner, figure_manner: Manner, post: Post) -> None:
    """Keep a readout in the lab notebook: as Markdown, and as a figure."""
    from lenstui.export.forms import figure_of, text_of

    markdown = "".join(text_of("md", tiles, heading, manner))
    prompt = heading.prompt.text
    post(keep_view("readout", prompt, markdown, lambda: figure_of("svg", tiles, heading, figure_manner)))


def _until(stop: Stop, tiles: Iterable[Tile]) -> Iterator[Tile]:
    for tile in tiles:
        if stop():
            raise _Stopped
        yield tile


def _asked(shown: Shown, order: Order) -> tuple[Start, Shape, Heading]:
    """Return the request, shape and heading with which `lenstui read` would write what is on screen."""
    from lenstui.export.reading import heading_of
    from lenstui.opening.opened import source_of
    from lenstui.opening.source import Beside
    from lenstui.readout.pins import pins_of

    model, shape, reading = shown.opened.model, order.shape, shown.request.reading
    value = _value(shown, order)
    # Where the order of tokens counts, no two may share a word.
    words = _words(shown)
    pins = pins_of(
        model.texts, shown.request.pins, vocabulary=model.vocabulary, apart=value.pins > 1, words=words
    )
    if shape.is_figure and not shape.is_of_pins and not value.pins:  # it shows the likeliest tokens alone
        pins = ()
    heading = heading_of(shown.opened, shown.lenses, shown.prompt, reading, pins=pins)
    if shown.second is not None:
        beside = Beside(source_of(*shown.second, reading))
        heading = replace(heading, source=replace(heading.source, beside=beside))
    if shown.in_training is not None:
        lenses = tuple(
            replace(each, file=IN_TRAINING) if each.kind == shown.in_training else each
            for each in heading.source.lenses
        )
        heading = replace(heading, source=replace(heading.source, lenses=lenses))
    top_k = order.depth if shape.format == "table" else max(order.depth, TOP_K[shape.format])
    typed = tuple(dict.fromkeys(pin.word for pin in pins))
    shape = replace(
        shape, reading=reading, pins=typed, diff=_shows_difference(shown, order), edits=shown.edits
    )
    return replace(order.start, top_k=top_k), shape, heading


def _words(shown: Shown) -> dict[int, Pin]:
    """Return the pins of words of several tokens behind the prompt, by their place among the pins."""
    from lenstui.readout.continuation import ANSWER_BEGINS
    from lenstui.readout.pins import find_pins

    model, request = shown.opened.model, shown.request
    behind = ANSWER_BEGINS if request.reading.chat and not request.tail else shown.prompt.text
    found: dict[int, Pin] = {}
    for place, word in request.words.items():
        (found[place],) = find_pins(
            model.tokenizer, model.texts, [word], prompt=behind, vocabulary=model.vocabulary
        )
    return found


def _manner(shown: Shown, order: Order, texts: dict[int, str], command: str) -> Manner:
    from lenstui.export.forms import Manner

    models = [shown.opened.model, *([] if shown.second is None else [shown.second[0].model])]
    vocabulary, value = min(model.vocabulary for model in models), _value(shown, order)
    shape = order.shape
    return Manner(
        texts,
        vocabulary,
        value,
        command,
        _shows_difference(shown, order),
        figure=shape.figure,
        column=shape.column,
        style=shape.style,
    )


def _shows_difference(shown: Shown, order: Order) -> bool:
    """Return whether to show one lens minus the other; never with sublayers, read by the logit lens alone."""
    return order.shape.diff and not shown.request.reading.sublayers


def _value(shown: Shown, order: Order) -> Value:
    """Return the value that colours the cells, its label naming the pins."""
    from lenstui.export.reading import value_of

    texts, request = shown.opened.model.texts, shown.request
    marked = (f"{texts[token]}{'…' * (place in request.words)}" for place, token in enumerate(request.pins))
    return value_of(order.shape.value, list(marked))


def _command(shown: Shown, heading: Heading, start: Start, shape: Shape) -> str:
    """Return the command that repeats the readout, or a comment that says why there is none."""
    from lenstui.export.command import against_words, read_command
    from lenstui.opening.opened import files_to_name

    if reason := _no_command(shown):
        return f"# {reason}"
    kinds = tuple(lens.kind for lens in shown.lenses)
    against: list[str] = []
    if shown.second is not None:
        opened, lenses = shown.second
        theirs = [file.absolute() for file in files_to_name(opened, lenses)]
        assert heading.source.beside is not None
        source = heading.source.from_anywhere.models[1]
        against = against_words(source, theirs, [lens.kind for lens in lenses])
        shape = replace(shape, lenses=tuple(dict.fromkeys(kinds)))
    elif kinds != (
        first_kinds() if shape.diff and not shown.edits else tuple(lens.kind for lens in shown.opened.lenses)
    ):
        shape = replace(shape, lenses=tuple(dict.fromkeys(kinds)))
    files = tuple(file.absolute() for file in files_to_name(shown.opened, shown.lenses))
    heading = replace(heading, source=heading.source.from_anywhere)
    return read_command(heading, files, start, shape, against)


def _no_command(shown: Shown) -> str | None:
    """Return why no command repeats the readout; None where one does."""
    from lenstui.export.command import can_be_typed

    opened, prompt, typed = shown.opened, shown.prompt, shown.prompt.typed
    if shown.in_training is not None:
        return "No command reads the same: the lens is still in training, and in no file."
    if shown.has_others:
        return "No command reads the same: other models or prompts are on screen."
    if shown.second is not None and (reason := _no_second(shown.opened, shown.second[0])):
        return f"No command reads the same: {reason}"
    if shown.edits and prompt.appended:
        return "No command reads the same: tokens were appended, and the edits are of the prompt before."
    of_models = [shown.lenses, *([] if shown.second is None else [shown.second[1]])]
    fitted = [lens for lenses in of_models for lens in lenses if made_lens(lens.kind) is None]
    for lenses in of_models:
        if len(list(groupby(lenses, lambda lens: lens.kind))) > len({lens.kind for lens in lenses}):
            return "No command reads the same: lenses of one kind have one of another kind between them."
    if any(lens.file is None or not lens.file.exists() for lens in fitted):
        return LENS_IN_NO_FILE
    if not can_be_typed(text_of(typed)):
        return "No command reads the same: a command line cannot hold this prompt."
    model, reading = opened.model, shown.request.reading
    again = reading.prompt(model, typed)
    if again.ids != prompt.ids and prompt.turns is not None:
        return "No command reads the same: put into the chat template anew, the turns have other tokens."
    if again.ids != prompt.ids and shown.request.ids:
        return "No command reads the same: cut into tokens anew, the text gives others than were scanned."
    if again.ids != prompt.ids:
        return "No command reads the same: cut into tokens anew, the text gives others than were appended."
    return None


def _no_second(first: Opened, second: Opened) -> str:
    """Return why no command opens a second model as it is; nothing where one does."""
    from lenstui.model.name import BUNDLED_MODEL

    one, other = first.model, second.model
    if other.name == BUNDLED_MODEL:
        return "the bundled model is the first of two there."
    if (one.dtype_name, one.device) != (other.dtype_name, other.device):
        return "it runs both models in one dtype, on one device."
    if (one.adapter and one.adapter.typed) != (other.adapter and other.adapter.typed):
        return "it has both models under the same adapter, or under none."
    return ""
