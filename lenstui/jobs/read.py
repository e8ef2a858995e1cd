"""The jobs of the model thread that read a prompt: whole, further on, or through the lens in training.

Torch is imported here, inside them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.jobs.failures import told
from lenstui.jobs.fit_messages import TunedRead
from lenstui.jobs.messages import (
    GenerationEnded,
    Grown,
    ReadDone,
    ReadFailed,
    ReadStarted,
    SublayersRefused,
    TileRead,
)
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.model_thread import Stop
from lenstui.jobs.read_request import Generation, ReadRequest
from lenstui.opening.opened import Opened
from lenstui.readout.alignment import spread
from lenstui.readout.cells import Tile
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.lens.tuned import TunedLens
    from lenstui.model.rows import Row
    from lenstui.model.tokens import Prompt

_STOPPED = "stopped"


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


class ReadJobs:
    """The prompt that is on screen, and how its cells come. Touched by the model thread alone."""

    def __init__(self, post: Callable[[Message], object], work: ModelJobs) -> None:
        """Read nothing yet.

        Args:
            post: takes the messages.
            work: the open model.
        """
        self._post = post
        self._work = work
        self._request: ReadRequest | None = None

    @property
    def request(self) -> ReadRequest | None:
        """What was read last."""
        return self._request

    def shown(self, serial: int) -> Shown | None:
        """What is on screen; None if it is not that reading any more.

        Raises:
            LensError: if its prompt cannot be read.
        """
        opened, request = self._work.opened, self._request
        if opened is None or request is None or request.serial != serial:
            return None
        in_training = self._work.beside is None and self._work.lens_in_training is not None
        return Shown(opened, self._work.lens_on_screen, in_training, self.prompt(request), request)

    def read(self, request: ReadRequest, stop: Stop) -> None:
        """Read a prompt and post its tiles, the visible columns first."""
        if self._work.opened is None:
            return
        model, serial, began = self._work.opened.model, request.serial, time.monotonic()
        with self._told(serial, "Reading"):
            request = self._as_far_as_can_be(request)
            self._request = request
            prompts = self._prompts(request)
            started = self._started(request, prompts)
            self._post(started)
            count = len(started.columns)
            visible = range(max(0, count - request.page_columns), count)
            for tile in self._tiles_of_both(request, prompts, first=visible):
                if stop():
                    return
                self._post(TileRead(serial, tile, model.texts.of(_tokens(tile))))
            self._post(ReadDone(serial, time.monotonic() - began))

    def _told(self, serial: int, what: str) -> AbstractContextManager[None]:
        """Post an exception raised in the block as `ReadFailed` of that reading."""
        return told(lambda text: self._post(ReadFailed(serial, text)), f"{what} failed")

    def _started(self, request: ReadRequest, prompts: tuple[Prompt, Prompt]) -> ReadStarted:
        """The columns that are about to come, of a second prompt too."""
        assert self._work.opened is not None
        texts = self._work.opened.model.texts
        rows = tuple(row.label for row in self.rows(request))
        if self._work.beside is None or self._work.beside.text is None:
            prompt, _ = prompts
            columns = tuple(texts[token] for token in prompt.ids)
            return ReadStarted(request.serial, columns, prompt.dropped, rows)
        gaps = self._work.beside.gaps(prompts)
        left, right = (
            spread([texts[token] for token in side.ids], gap, "")
            for side, gap in zip(prompts, gaps, strict=True)
        )
        dropped = sum(side.dropped for side in prompts)
        return ReadStarted(request.serial, left, dropped, rows, right, gaps)

    def grow(self, request: ReadRequest, known: int) -> None:
        """Read the columns from `known` on; those before are on screen, of the prompt as it was."""
        began = time.monotonic()
        with self._told(request.serial, "Reading"):
            self._grow(request, known)
            self._post(ReadDone(request.serial, time.monotonic() - began))

    def _grow(self, request: ReadRequest, known: int) -> int:
        """How many columns there are then."""
        if self._work.opened is None:
            return 0
        model, prompts = self._work.opened.model, self._prompts(request)
        prompt, _ = prompts
        self._request = request
        columns = tuple(model.texts[token] for token in prompt.ids)
        self._post(Grown(request.serial, columns, request.text, request.tail, prompt.text))
        new = range(max(0, min(known, len(columns) - 1)), len(columns))
        for tile in self._tiles_of_both(request, prompts, columns=new):
            self._post(TileRead(request.serial, tile, model.texts.of(_tokens(tile))))
        return len(columns)

    def generate(self, request: ReadRequest, known: int, how: Generation, stop: Stop) -> Iterator[None]:
        """Put one token after the other behind the prompt, and read its column."""
        opened, reason = self._work.opened, None
        if opened is None:
            return
        from lenstui.readout.generation import generate

        with self._told(request.serial, "Generating"):
            model = opened.model
            lens = self._work.lens_on_screen if how.tuned else None
            context = self._work.described.context
            said = generate(
                model,
                self.prompt(request).ids,
                count=how.count,
                row=None if how.row is None else self.rows(request)[how.row].h,
                lens=lens,
                final_norm=request.reading.final_norm,
                temperature=how.temperature,
                seed=how.seed,
            )
            appended = 0
            for token in said:
                if stop() or self._work.opened is not opened:
                    reason = _STOPPED
                    break
                appended += 1
                request = replace(request, tail=(*request.tail, token))
                began = time.monotonic()
                columns = self._grow(request, known)
                self._post(ReadDone(request.serial, time.monotonic() - began))
                known = columns - 1
                if token == model.tokenizer.eos_token_id:
                    reason = f"the text ends here: {model.texts[token]}"
                elif columns == context:
                    break
                yield
            if appended < how.count and reason != _STOPPED:
                reason = f"{appended} of {how.count}: {reason or f'the context of {context} columns is full'}"
        self._post(GenerationEnded(request.serial, reason))

    def read_tuned(self, serial: int, seen: range, stop: Stop) -> Iterator[None]:
        """Read some columns of the current prompt anew, through the lens in training alone.

        Nothing is posted where that fails: the fit must not end because somebody watches.
        """
        request, lens = self._request, self._work.lens_in_training
        if self._work.opened is None or request is None or request.serial != serial or lens is None:
            return
        model, began = self._work.opened.model, time.monotonic()
        with suppress(Exception):
            prompt = self.prompt(request)
            for tile in self._tiles(request, prompt, lens, first=seen, lenses=["tuned"]):
                if stop() or tile.start not in seen:
                    return
                texts, seconds = model.texts.of(_tokens(tile)), time.monotonic() - began
                self._post(TunedRead(serial, tile.start, tile.lenses["tuned"], texts, seconds))
                yield

    def prompt(self, request: ReadRequest) -> Prompt:
        """The prompt that is asked for, as the open model reads it, and what is beside it."""
        return self._prompts(request)[0]

    def _prompts(self, request: ReadRequest) -> tuple[Prompt, Prompt]:
        """The same with what the right pane reads: another one, where a second prompt is on screen."""
        assert self._work.opened is not None
        model = self._work.opened.model
        if self._work.beside is not None:
            left, right = self._work.beside.prompts(request)
        else:
            left = right = request.reading.prompt(model, request.text, tail=request.tail)
        return replace(left, text=request.text + model.texts.join(request.tail)), right

    def rows(self, request: ReadRequest) -> tuple[Row, ...]:
        """The rows that are asked for, as they are on screen."""
        from lenstui.readout.tiles import rows_to_read

        assert self._work.opened is not None
        model, reading = self._work.opened.model, request.reading
        return rows_to_read(model, reading.rows.of(model.num_blocks), sublayers=reading.sublayers)

    def _tiles_of_both(
        self,
        request: ReadRequest,
        prompts: tuple[Prompt, Prompt],
        *,
        first: range | None = None,
        columns: range | None = None,
    ) -> Iterator[Tile]:
        """What both panes show: the open model's two lenses, or it and what is beside it."""
        if self._work.beside is not None:
            return self._work.beside.tiles(request, prompts, first=first, columns=columns)
        return self._tiles(request, prompts[0], self._work.lens_on_screen, first=first, columns=columns)

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
        from lenstui.readout.tiles import read_tiles

        assert self._work.opened is not None
        model, reading = self._work.opened.model, request.reading
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
        from lenstui.model.sublayers import parts_of

        assert self._work.opened is not None
        try:
            parts_of(self._work.opened.model)
        except LensError as error:
            self._post(SublayersRefused(request.serial, str(error)))
            return replace(request, reading=replace(request.reading, sublayers=False))
        return request


def _tokens(tile: Tile) -> set[int]:
    """Every token in a tile."""
    return {int(token) for cells in tile.lenses.values() for token in cells.top_ids.flat if token >= 0}
