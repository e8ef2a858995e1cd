"""The jobs of the model thread that read a prompt: whole, further on, or through the lens in training.

Torch is imported inside the jobs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.jobs.failures import reporting
from lenstui.jobs.fit_messages import TrainingRead
from lenstui.jobs.messages import (
    GenerationEnded,
    Grown,
    Post,
    ReadDone,
    ReadFailed,
    ReadStarted,
    SublayersRefused,
    TileRead,
)
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read_request import Generation, ReadRequest
from lenstui.jobs.thread import Stop
from lenstui.lens.kinds import made_lens
from lenstui.opening.opened import Opened
from lenstui.opening.side_facts import are_of_one_file
from lenstui.opening.side_reading import (
    SideTile,
    rows_of_sides,
    side_gaps,
    side_prompts,
    side_tiles,
)
from lenstui.readout.alignment import spread
from lenstui.support.errors import SHORTER_PROMPT, LensError
from lenstui.support.turns import Conversation

if TYPE_CHECKING:
    from lenstui.edits.edit import Edit
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.model.rows import Row
    from lenstui.model.tokens import Prompt
    from lenstui.opening.sides import Side

_STOPPED = "stopped"
ONE_RUN = "A file holds one run, or an edited run minus the clean one through the same lens: show these two."


@dataclass(frozen=True, eq=False)
class Shown:
    """The readout on screen, for other jobs of the model thread.

    Attributes:
        opened: the open model, under the edits of the run that is shown.
        lenses: the lenses of the sides of the open model, each once.
        in_training: the kind of the lens among them that is still in training; None for none.
        prompt: the prompt, as the model reads it.
        request: the request that the prompt was read for.
        has_others: whether more models or prompts are shown than a file can hold.
        second: the other model, where two are shown on one prompt, and the lenses of its sides, each once.
        edits: the edits of the run that is shown.
        clean: the model without edits, where the effect of edits is shown: edited minus clean.
    """

    opened: Opened
    lenses: tuple[Lens, ...]
    in_training: str | None
    prompt: Prompt
    request: ReadRequest
    has_others: bool = False
    edits: tuple[Edit, ...] = ()
    clean: Model | None = None
    second: tuple[Opened, tuple[Lens, ...]] | None = None


class ReadJobs:
    """The jobs that read the prompt on screen. Used by the model thread alone."""

    def __init__(self, model_jobs: ModelJobs) -> None:
        """Prepare the jobs; nothing is read yet.

        Args:
            model_jobs: the jobs with the open model and the sides.
        """
        self._model_jobs = model_jobs
        self._request: ReadRequest | None = None

    @property
    def request(self) -> ReadRequest | None:
        """The last request for a prompt that was read, or None."""
        return self._request

    def shown(self, serial: int, places: Sequence[int] = ()) -> Shown | None:
        """Return the readout on screen; None if that is no longer the reading with this number.

        Args:
            serial: the number of the reading.
            places: the places of the sides; empty for all of them.

        Raises:
            LensError: if the prompt cannot be read.
        """
        opened, request = self._model_jobs.opened, self._request
        if opened is None or request is None or request.serial != serial:
            return None
        sides = self._model_jobs.sides
        assert sides is not None
        training = self._model_jobs.kind_in_training if sides.are_own else None
        of_sides = [
            lens if side.model is opened.model else None
            for side, lens in zip(sides.sides, self._model_jobs.lenses, strict=True)
        ]
        chosen = places or range(len(of_sides))
        lenses = tuple(lens for place in chosen if (lens := of_sides[place]) is not None)
        prompt, shown = self.prompt(request), [sides.sides[place] for place in chosen]
        is_effect = _is_effect(shown, lenses)
        if not places or is_effect:
            lenses = _each_once(lenses)
        in_training = training if training in {lens.kind for lens in lenses} else None
        facts, edits = [sides.facts[place] for place in chosen], shown[-1].edits.in_force
        second, others = None, [side for side in shown if side.model is not opened.model]
        if others and are_of_one_file(facts):
            theirs = _each_once(self._model_jobs.lenses[place] for place in chosen if of_sides[place] is None)
            second = others[0].opened, theirs
        clean = opened.model
        if edits:
            from lenstui.edits.edited import edited

            model = edited(clean, edits, prompt, request.reading, lens=shown[-1].lens)
            opened = replace(opened, model=model)
        return Shown(
            opened,
            lenses,
            in_training,
            prompt,
            request,
            has_others=not are_of_one_file(facts),
            edits=edits,
            clean=clean if is_effect else None,
            second=second,
        )

    def read(self, request: ReadRequest, post: Post, stop: Stop) -> None:
        """Read a prompt and post its tiles, the visible columns first."""
        if self._model_jobs.opened is None:
            return
        model, serial, began = self._model_jobs.opened.model, request.serial, time.monotonic()
        with _told(serial, "Reading", post):
            request = self._as_far_as_can_be(request, post)
            prompts = self._prompts(request)
            started = self._started(request, prompts)
            self._request = request  # a prompt that cannot be read is not on screen, and has no cells
            post(started)
            count = len(started.columns)
            visible = range(max(0, count - request.page_columns), count)
            for tile in self._tiles(request, prompts, first=visible):
                if stop():
                    return
                post(TileRead(serial, tile, model.texts.of(tile.tokens)))
            post(ReadDone(serial, time.monotonic() - began))

    def _started(self, request: ReadRequest, prompts: Sequence[Prompt]) -> ReadStarted:
        """Return the message about the columns that are about to come, on every side."""
        assert self._model_jobs.opened is not None and self._model_jobs.sides is not None
        texts = self._model_jobs.opened.model.texts
        rows, *others = (tuple(row.label for row in of_side) for of_side in self.rows_of_sides(request))
        gaps = side_gaps(self._model_jobs.sides, prompts)
        columns = [
            spread([texts[token] for token in prompt.ids], gap, "")
            for prompt, gap in zip(prompts, gaps, strict=True)
        ]
        of_sides = enumerate(self._model_jobs.sides.sides)
        own = {place: columns[place] for place, side in of_sides if side.text is not None}
        dropped = prompts[0].dropped + sum(prompts[place].dropped for place in own)
        deeper = {place: other for place, other in enumerate(others, 1) if other != rows}
        turns = None if prompts[0].turns is None else prompts[0].turns.spread(gaps[0])
        return ReadStarted(request.serial, columns[0], dropped, rows, own, gaps, deeper, turns)

    def grow(self, request: ReadRequest, known: int, post: Post) -> None:
        """Read the columns of a prompt that has grown, from `known` on: the columns before are on screen."""
        began = time.monotonic()
        with _told(request.serial, "Reading", post):
            self._grow(request, known, post)
            post(ReadDone(request.serial, time.monotonic() - began))

    def _grow(self, request: ReadRequest, known: int, post: Post) -> int:
        """Read the columns of a prompt from `known` on, and return the number of all its columns."""
        if self._model_jobs.opened is None:
            return 0
        model, prompts = self._model_jobs.opened.model, self._prompts(request)
        prompt = prompts[0]
        self._request = request
        columns = tuple(model.texts[token] for token in prompt.ids)
        post(Grown(request.serial, columns, request.text, request.tail, prompt.typed, prompt.turns))
        new = range(max(0, min(known, len(columns) - 1)), len(columns))
        for tile in self._tiles(request, prompts, columns=new):
            post(TileRead(request.serial, tile, model.texts.of(tile.tokens)))
        return len(columns)

    def generate(
        self, request: ReadRequest, known: int, how: Generation, post: Post, stop: Stop
    ) -> Iterator[None]:
        """Append generated tokens to the prompt one by one, and read the column of each."""
        opened, reason = self._model_jobs.opened, None
        if opened is None:
            return
        from lenstui.edits.edited import edited
        from lenstui.model.turns import end_of_turn
        from lenstui.readout.generation import generate

        with _told(request.serial, "Generating", post):
            model = opened.model
            lens = self._speaking(how.kind)
            context = self._model_jobs.described.context
            prompt = self.prompt(request)
            said = generate(
                edited(model, how.edits, prompt, request.reading, lens=lens) if how.edits else model,
                prompt.ids,
                count=how.count,
                row=None if how.row is None else self.rows(request)[how.row].h,
                lens=lens,
                final_norm=request.reading.final_norm,
                temperature=how.temperature,
                seed=how.seed,
            )
            turns = request.text if isinstance(request.text, Conversation) else None
            ends = frozenset[int]() if turns is None else end_of_turn(model.tokenizer, turns)
            appended = 0
            for token in said:
                if stop() or self._model_jobs.opened is not opened:
                    reason = _STOPPED
                    break
                if token in ends:  # which the chat template writes itself, behind the turn
                    reason = f"turn ends: {model.texts[token]}"
                    break
                appended += 1
                request = replace(request, tail=(*request.tail, token))
                began = time.monotonic()
                columns = self._grow(request, known, post)
                post(ReadDone(request.serial, time.monotonic() - began))
                known = columns - 1
                if token == model.tokenizer.eos_token_id:
                    reason = f"the text ends here: {model.texts[token]}"
                elif columns == context:
                    break
                yield
            if not appended:
                self._request = request  # what is on screen has this number now
            if appended < how.count and reason != _STOPPED:
                reason = reason or f"the context of {context} columns is full"
                reason = reason if ends else f"{appended} of {how.count}: {reason}"
            elif ends and reason is None:
                reason = "the turn has not ended: G goes on with it"
        post(GenerationEnded(request.serial, reason))

    def _speaking(self, kind: str) -> Lens | None:
        """Return the lens through which a row generates: that of its kind on screen, else the one in use."""
        assert self._model_jobs.opened is not None and self._model_jobs.sides is not None
        shown = zip(self._model_jobs.sides.sides, self._model_jobs.lenses, strict=True)
        own = (lens for side, lens in shown if self._model_jobs.sides.is_own(side) and side.kind == kind)
        return next(own, None) or self._model_jobs.opened.lens(kind)

    def read_in_training(self, serial: int, seen: range, post: Post, stop: Stop) -> Iterator[None]:
        """Read some columns of the current prompt anew, through the lens in training alone.

        An error in the reading is not posted: the fit must not end because somebody watches.
        """
        request, lens, sides = self._request, self._model_jobs.lens_in_training, self._model_jobs.sides
        if sides is None or request is None or request.serial != serial or lens is None:
            return
        began, of_first = time.monotonic(), [lens, *(None for _ in sides.sides[1:])]
        with suppress(Exception):
            prompts = self._prompts(request)
            for tile in side_tiles(sides, request.of_sides, prompts, of_first, first=seen):
                if stop() or tile.start not in seen:
                    return
                texts, seconds = sides.first.model.texts.of(tile.tokens), time.monotonic() - began
                post(TrainingRead(serial, lens.kind, tile.start, tile.sides[0], texts, seconds))
                yield

    def prompt(self, request: ReadRequest) -> Prompt:
        """Return the prompt of a request, as all models on screen read it."""
        return self._prompts(request)[0]

    def _prompts(self, request: ReadRequest) -> tuple[Prompt, ...]:
        """Return the prompt of every side; that of the first, which may have grown, has its whole text."""
        assert self._model_jobs.opened is not None and self._model_jobs.sides is not None
        first, *others = side_prompts(self._model_jobs.sides, request.of_sides)
        return first.saying(self._model_jobs.opened.model.texts.join(request.tail)), *others

    def rows(self, request: ReadRequest) -> tuple[Row, ...]:
        """Return the rows of a request, those of the first side, in the order on screen."""
        return self.rows_of_sides(request)[0]

    def rows_of_sides(self, request: ReadRequest) -> tuple[tuple[Row, ...], ...]:
        """Return the rows of a request for each side, in the order on screen."""
        assert self._model_jobs.sides is not None
        return rows_of_sides(self._model_jobs.sides, request.reading)

    def _tiles(
        self,
        request: ReadRequest,
        prompts: Sequence[Prompt],
        *,
        first: range | None = None,
        columns: range | None = None,
    ) -> Iterator[SideTile]:
        """Return an iterator that reads the tiles of a request, the columns `first` before the others."""
        assert self._model_jobs.sides is not None
        sides, lenses = self._model_jobs.sides, self._model_jobs.lenses
        return side_tiles(sides, request.of_sides, prompts, lenses, first=first, columns=columns)

    def _as_far_as_can_be(self, request: ReadRequest, post: Post) -> ReadRequest:
        """Return the request; where the models cannot be taken apart, without sublayers, and post that."""
        if not request.reading.sublayers:
            return request
        from lenstui.model.sublayers import parts_of
        from lenstui.opening.agreement import check_sublayers

        assert self._model_jobs.sides is not None
        model, *others = self._model_jobs.sides.models
        try:
            parts_of(model)
            for other in others:
                check_sublayers(model, other, request.reading)
        except LensError as error:
            post(SublayersRefused(request.serial, str(error)))
            return replace(request, reading=replace(request.reading, sublayers=False))
        return request


def _told(serial: int, what: str, post: Post) -> AbstractContextManager[None]:
    """Post an exception raised in the block as `ReadFailed` of the reading `serial`."""
    return reporting(lambda text: post(ReadFailed(serial, text)), f"{what} failed", SHORTER_PROMPT)


def _is_effect(sides: Sequence[Side], lenses: Sequence[Lens]) -> bool:
    """Return whether two sides are a clean run and an edited one through the same lens.

    Raises:
        LensError: if there are several runs of one model and prompt, but not these two.
    """
    runs = {side.run for side in sides if side.text is None and side.model is sides[0].model}
    if len(runs) < 2:
        return False
    if len(sides) == 2 and not sides[0].edits.in_force and len(_each_once(lenses)) == 1:
        return True
    raise LensError(ONE_RUN)


def _each_once(lenses: Iterable[Lens | None]) -> tuple[Lens, ...]:
    """Return the lenses in order, each only once."""
    found: dict[tuple[str, int | None], Lens] = {}
    for lens in lenses:
        if lens is not None:
            found.setdefault((lens.kind, None if made_lens(lens.kind) is not None else id(lens)), lens)
    return tuple(found.values())
