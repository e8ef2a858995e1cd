"""The jobs of the model thread: load a model, read a prompt, change the lens, save it. (Fits: `fit_work`.)

Torch is imported here, inside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.lens.cells import Tile, row_labels
from lenstui.lens.errors import LensError, first_line
from lenstui.lens.reading import Reading
from lenstui.lens.tokens import visible
from lenstui.opening import DOWNLOADING, Opened, open_model
from lenstui.start import Start
from lenstui.ui.beside import Beside, beside_no_longer, blanks, give_back_memory
from lenstui.ui.fit_messages import TunedRead
from lenstui.ui.messages import (
    BesideTold,
    CellNotRead,
    CellRead,
    GenerationEnded,
    Grown,
    LensNotSaved,
    LensOpened,
    LensRefused,
    LensSaved,
    LoadFailed,
    LoadStage,
    ModelLoaded,
    OpenModel,
    PinsFound,
    PinsNotFound,
    ReadDone,
    ReadFailed,
    ReadStarted,
    SublayersRefused,
    TileRead,
    WordFound,
    WordNotFound,
)
from lenstui.ui.model_thread import Stop

if TYPE_CHECKING:
    from lenstui.lens.rows import Row
    from lenstui.lens.tokens import Prompt
    from lenstui.lens.tuned_lens import TunedLens


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One prompt to read.

    Attributes:
        serial: which reading this is.
        text: the prompt.
        page_columns: how many columns fit on the screen; that many at the end are read first.
        top_k: how many tokens each cell keeps.
        reading: how it is read.
        pins: tokens whose numbers each cell keeps.
        tail: token ids to put behind those of the text.
    """

    serial: int
    text: str
    page_columns: int
    top_k: int
    reading: Reading
    pins: tuple[int, ...] = ()
    tail: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Generation:
    """What to say more.

    Attributes:
        count: how many tokens at most.
        row: index among the rows that are read of the one that speaks; None for the last, the model itself.
        tuned: read that row by the tuned lens, else by the logit lens.
        temperature: 0 takes the likeliest token.
        seed: of the draws.
    """

    count: int
    row: int | None
    tuned: bool
    temperature: float
    seed: int


@dataclass(frozen=True, eq=False)
class Shown:
    """What is on screen, for other jobs of the model thread.

    Attributes:
        opened: the open model.
        lens: what the tuned side is read through, or None.
        in_training: that lens is the one in training.
        prompt: as the model reads it.
        request: what was asked for.
    """

    opened: Opened
    lens: TunedLens | None
    in_training: bool
    prompt: Prompt
    request: ReadRequest


class ModelWork:
    """The open model with its lens, and what is done with it. Touched by the model thread alone."""

    def __init__(self, post: Callable[[Message], object]) -> None:
        """Open nothing yet.

        Args:
            post: takes the messages.
        """
        self._post = post
        self._opened: Opened | None = None
        self.beside: Beside | None = None  # what else is on screen, in the tuned lens's place
        self._lens_in_training: Callable[[], TunedLens | None] = lambda: None
        self._request: ReadRequest | None = None

    def load(self, start: Start, stop: Stop) -> None:
        """Open the model that `start` asks for. A failure leaves the one before as it was."""
        self.open(start, stop, self._change)

    def open(self, start: Start, stop: Stop, use: Callable[[Opened], None]) -> None:
        """Hand a model that was asked for to `use`, which may refuse it too; a failure is posted."""
        try:
            opened = open_model(start, self._say_stage, stop)
            if not stop():
                use(opened)
        except LensError as error:
            if not stop():  # else it is given up, which is known
                self._post(LoadFailed(str(error)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            self._post(LoadFailed(f"Opening failed: {type(error).__name__}: {first_line(error)}"))

    def _change(self, opened: Opened) -> None:
        """Have another model open. What is beside it stays there if it can."""
        is_first, told = self._opened is None, None
        self._opened = opened
        if self.beside is not None:
            self.beside, told = beside_no_longer(self.beside, opened)
        if not is_first:
            give_back_memory()
        self._post(ModelLoaded(self.described))
        if told is not None:
            self._post(BesideTold(told))

    @property
    def opened(self) -> Opened | None:
        """What is open just now; itself never changed. The only part that other threads may ask for."""
        return self._opened

    @property
    def described(self) -> OpenModel:
        """The open model, with what is beside it."""
        assert self._opened is not None
        described = _describe(self._opened)
        if self.beside is None:
            return described
        return replace(
            described,
            comparison=self.beside.described,
            context=self.beside.context,
            remarks=(*described.remarks, *self.beside.remarks),
        )

    @property
    def request(self) -> ReadRequest | None:
        """What was read last."""
        return self._request

    def prefer(self, lens_in_training: Callable[[], TunedLens | None]) -> None:
        """While `lens_in_training` has one, prompts are read through it instead of the lens in use."""
        self._lens_in_training = lens_in_training

    def _say_stage(self, stage: str) -> None:
        self._post(LoadStage(stage, is_download=stage.startswith(DOWNLOADING)))

    def read(self, request: ReadRequest, stop: Stop) -> None:
        """Read a prompt and post its tiles, the visible columns first."""
        if self._opened is None:
            return
        model, serial, began = self._opened.model, request.serial, time.monotonic()
        try:
            request = self._as_far_as_can_be(request)
            self._request = request
            prompt = self._prompt(request)
            started = self._started(request, prompt)
            self._post(started)
            count = len(started.columns)
            visible = range(max(0, count - request.page_columns), count)
            for tile in self._tiles_of_both(request, prompt, first=visible):
                if stop():
                    return
                self._post(TileRead(serial, tile, model.texts.of(_tokens(tile))))
        except LensError as error:
            self._post(ReadFailed(serial, str(error)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            self._post(ReadFailed(serial, f"Reading failed: {type(error).__name__}: {first_line(error)}"))
        else:
            self._post(ReadDone(serial, time.monotonic() - began))

    def _started(self, request: ReadRequest, prompt: Prompt) -> ReadStarted:
        """The columns that are about to come, of a second prompt too."""
        assert self._opened is not None
        texts = self._opened.model.texts
        rows = tuple(row.label for row in self._rows(request))
        columns = tuple(texts[token] for token in prompt.ids)
        if self.beside is None or self.beside.text is None:
            return ReadStarted(request.serial, columns, prompt.dropped, rows)
        prompts = self.beside.prompts(request)
        missing = blanks(prompts)
        left, right = (
            ("",) * blank + tuple(texts[token] for token in side.ids)
            for side, blank in zip(prompts, missing, strict=True)
        )
        dropped = sum(side.dropped for side in prompts)
        return ReadStarted(request.serial, left, dropped, rows, right, missing)

    def grow(self, request: ReadRequest, known: int) -> None:
        """Read the columns from `known` on; those before are on screen, of the prompt as it was."""
        began = time.monotonic()
        try:
            self._grow(request, known)
        except LensError as error:
            self._post(ReadFailed(request.serial, str(error)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            text = f"Reading failed: {type(error).__name__}: {first_line(error)}"
            self._post(ReadFailed(request.serial, text))
        else:
            self._post(ReadDone(request.serial, time.monotonic() - began))

    def _grow(self, request: ReadRequest, known: int) -> int:
        """How many columns there are then."""
        if self._opened is None:
            return 0
        model, prompt = self._opened.model, self._prompt(request)
        self._request = request
        columns = tuple(model.texts[token] for token in prompt.ids)
        self._post(Grown(request.serial, columns, request.text, request.tail, prompt.text))
        new = range(max(0, min(known, len(columns) - 1)), len(columns))
        for tile in self._tiles_of_both(request, prompt, columns=new):
            self._post(TileRead(request.serial, tile, model.texts.of(_tokens(tile))))
        return len(columns)

    def generate(self, request: ReadRequest, known: int, how: Generation, stop: Stop) -> Iterator[None]:
        """Put one token after the other behind the prompt, and read its column."""
        opened, reason = self._opened, None
        if opened is None:
            return
        from lenstui.lens.generation import generate

        try:
            model = opened.model
            lens = self._lens_on_screen if how.tuned else None
            context = self.described.context
            said = generate(
                model,
                self._prompt(request).ids,
                count=how.count,
                row=None if how.row is None else self._rows(request)[how.row].h,
                lens=lens,
                final_norm=request.reading.final_norm,
                temperature=how.temperature,
                seed=how.seed,
            )
            for number, token in enumerate(said, 1):
                if stop() or self._opened is not opened:
                    reason = "stopped"
                    break
                request = replace(request, tail=(*request.tail, token))
                began = time.monotonic()
                columns = self._grow(request, known)
                self._post(ReadDone(request.serial, time.monotonic() - began))
                known = columns - 1
                if token == model.tokenizer.eos_token_id:
                    reason = f"the text ends here: {model.texts[token]}"
                elif columns == context and number < how.count:
                    reason = f"the context of {context} columns is full"
                    break
                yield
        except LensError as error:
            self._post(ReadFailed(request.serial, str(error)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            text = f"Generating failed: {type(error).__name__}: {first_line(error)}"
            self._post(ReadFailed(request.serial, text))
        self._post(GenerationEnded(request.serial, reason))

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
        if self._opened is None:
            return
        from lenstui.lens.pins import find_pins

        model = self._opened.model
        try:
            vocabulary = model.vocabulary if self.beside is None else self.beside.vocabulary
            pins = find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=vocabulary)
        except LensError as error:
            self._post(not_found(str(error)))
        else:
            if not stop():
                tokens = tuple((pin.id, model.texts[pin.id]) for pin in pins)
                self._post(found(visible(word), tokens, all(pin.whole for pin in pins)))

    def read_tuned(self, serial: int, seen: range, stop: Stop) -> Iterator[None]:
        """Read some columns of the current prompt anew, through the lens in training alone.

        Nothing is posted where that fails: the fit must not end because somebody watches.
        """
        request, lens = self._request, self._lens_in_training()
        if self._opened is None or request is None or request.serial != serial or lens is None:
            return
        model, began = self._opened.model, time.monotonic()
        with suppress(Exception):
            prompt = self._prompt(request)
            for tile in self._tiles(request, prompt, lens, first=seen, lenses=["tuned"]):
                if stop() or tile.start not in seen:
                    return
                texts, seconds = model.texts.of(_tokens(tile)), time.monotonic() - began
                self._post(TunedRead(serial, tile.start, tile.lenses["tuned"], texts, seconds))
                yield

    def read_cell(self, serial: int, row: int, column: int, count: int) -> None:
        """Rank the likeliest tokens of one cell of the current prompt, its row counted among those read."""
        request = self._request
        if self._opened is None or request is None or request.serial != serial:
            return
        from lenstui.lens.ranking import rank_cell

        model, final_norm = self._opened.model, request.reading.final_norm
        try:
            prompt, of_row = self._prompt(request), self._rows(request)[row]
            if self.beside is not None:
                rankings = self.beside.rankings(request, of_row, column, count)
            else:
                lens = self._lens_on_screen
                rankings = rank_cell(model, prompt, of_row, column, lens, count=count, final_norm=final_norm)
            tokens = {int(token) for ranking in rankings.values() for token in ranking.ids}
            self._post(CellRead(serial, row, column, rankings, model.texts.of(tokens)))
        except LensError as error:
            self._post(CellNotRead(serial, str(error)))
        except Exception as error:  # whatever torch and transformers raise must not end the program
            text = f"Reading failed: {type(error).__name__}: {first_line(error)}"
            self._post(CellNotRead(serial, text))

    def shown(self, serial: int) -> Shown | None:
        """What is on screen; None if it is not that reading any more.

        Raises:
            LensError: if its prompt cannot be read.
        """
        opened, request = self._opened, self._request
        if opened is None or request is None or request.serial != serial:
            return None
        in_training = self.beside is None and self._lens_in_training() is not None
        return Shown(opened, self._lens_on_screen, in_training, self._prompt(request), request)

    def _prompt(self, request: ReadRequest) -> Prompt:
        """The prompt that is asked for, as the open model reads it, and what is beside it."""
        from lenstui.lens.tokens import encode

        assert self._opened is not None
        model = self._opened.model
        if self.beside is not None:
            prompt, _ = self.beside.prompts(request)
        else:
            prompt = encode(
                model.tokenizer,
                request.text,
                bos=request.reading.bos,
                chat=request.reading.chat,
                context=model.context,
                tail=request.tail,
            )
        return replace(prompt, text=request.text + model.texts.join(request.tail))

    @property
    def _lens_on_screen(self) -> TunedLens | None:
        """The open model's: the one in training, if any, but in a comparison always the one in use."""
        assert self._opened is not None
        return (self._lens_in_training() if self.beside is None else None) or self._opened.lens

    def _tiles_of_both(
        self,
        request: ReadRequest,
        prompt: Prompt,
        *,
        first: range | None = None,
        columns: range | None = None,
    ) -> Iterator[Tile]:
        """What both panes show: the open model's two lenses, or it and what is beside it."""
        if self.beside is not None:
            return self.beside.tiles(request, first=first, columns=columns)
        return self._tiles(request, prompt, self._lens_on_screen, first=first, columns=columns)

    def _tiles(
        self,
        request: ReadRequest,
        prompt: Prompt,
        lens: TunedLens | None,
        *,
        first: range | None = None,
        columns: range | None = None,
        lenses: Collection[str] = ("logit", "tuned"),
    ) -> Iterator[Tile]:
        """Read what is asked for, the columns `first` before the others."""
        from lenstui.lens.readout import read_tiles

        assert self._opened is not None
        model, reading = self._opened.model, request.reading
        return read_tiles(
            model,
            prompt,
            lens,
            top_k=request.top_k,
            pins=request.pins,
            rows=reading.rows.of(model.num_blocks),
            first=first,
            columns=columns,
            lenses=lenses,
            final_norm=reading.final_norm,
            sublayers=reading.sublayers,
        )

    def _as_far_as_can_be(self, request: ReadRequest) -> ReadRequest:
        """The same without sublayers, which is said, where the model cannot be taken apart."""
        if not request.reading.sublayers:
            return request
        from lenstui.lens.sublayers import parts_of

        assert self._opened is not None
        try:
            parts_of(self._opened.model)
        except LensError as error:
            self._post(SublayersRefused(request.serial, str(error)))
            return replace(request, reading=replace(request.reading, sublayers=False))
        return request

    def _rows(self, request: ReadRequest) -> tuple[Row, ...]:
        """The rows that are asked for, as they are on screen."""
        from lenstui.lens.readout import rows_to_read

        assert self._opened is not None
        model, reading = self._opened.model, request.reading
        return rows_to_read(model, reading.rows.of(model.num_blocks), sublayers=reading.sublayers)

    def put_to_use(self, lens: TunedLens, file: Path | None) -> None:
        """Read the open model through a lens that was made for it."""
        assert self._opened is not None
        self._use(replace(self._opened, lens=lens, lens_file=file, warning=None))

    def _use(self, opened: Opened) -> None:
        """Have another lens with the open model, on its side of a comparison too."""
        self._opened = opened
        if self.beside is not None:
            self.beside = self.beside.with_left(opened)
        self._post(LensOpened(self.described))

    def open_lens(self, path: Path, stop: Stop) -> None:
        """Give the open model another lens. A failure leaves the one before as it was."""
        if self._opened is None:
            self._post(LensRefused("No model is open: a lens needs one."))
            return
        from lenstui.lens.compatibility import fit_warning
        from lenstui.lens.lens_file import open_lens
        from lenstui.lens.library_folder import meant_folder

        try:
            lens = open_lens(path)
            warning = fit_warning(lens, self._opened.model)
        except LensError as error:
            self._post(LensRefused(str(error)))
        except Exception as error:  # whatever torch raises must not end the program
            self._post(LensRefused(f"{path} was not opened: {type(error).__name__}: {first_line(error)}"))
        else:
            if not stop():
                file = meant_folder(path) or path
                self._use(replace(self._opened, lens=lens, lens_file=file, warning=warning))

    def save_lens(self, path: Path, as_folder: bool) -> None:
        """Write the lens in use: our own file, or a folder that the `tuned-lens` library loads."""
        if self._opened is None or self._opened.lens is None:
            self._post(LensNotSaved("No lens is in use: there is nothing to save."))
            return
        from lenstui.lens.compatibility import marked
        from lenstui.lens.lens_file import save_lens
        from lenstui.lens.library_folder import save_library_folder

        try:
            lens, remark = self._opened.lens, None
            if as_folder:
                lens, remark = marked(lens, self._opened.model)
                save_library_folder(lens, path)
            else:
                save_lens(lens, path)
        except LensError as error:
            self._post(LensNotSaved(str(error)))
        except Exception as error:  # whatever torch raises must not end the program
            self._post(LensNotSaved(f"{path} was not written: {type(error).__name__}: {first_line(error)}"))
        else:
            self._post(LensSaved(path, remark))


def _tokens(tile: Tile) -> set[int]:
    """Every token in a tile."""
    return {int(token) for cells in tile.lenses.values() for token in cells.top_ids.flat}


def _describe(opened: Opened) -> OpenModel:
    model, lens = opened.model, opened.lens
    held_out = lens.fit.get("held_out_kl") if lens is not None else None
    return OpenModel(
        name=model.name,
        remarks=opened.remarks,
        rows=row_labels(model.num_blocks),
        d_model=model.d_model,
        vocabulary=model.vocabulary,
        context=model.context,
        device=str(model.device),
        dtype=model.dtype_name,
        wiring=tuple(f"{check.name}: off by {check.worst:.1e}" for check in model.wiring),
        lens=None if lens is None else lens.name,
        lens_kl=sum(held_out) / len(held_out) if held_out else None,
        lens_file=opened.lens_file,
        allowed=model.allowed,
        revision=model.revision,
    )
