"""What is read beside the open model, in the tuned lens's place: another model, another lens, another prompt.

Used by the model thread. Torch is imported in here, inside the functions.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from lenstui.jobs.slots import LENSES, Comparison, Side
from lenstui.opening.opened import Opened
from lenstui.readout.alignment import NO_GAP, gaps, in_prompt, on_screen
from lenstui.readout.cells import Ranking, Tile
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.jobs.read_request import ReadRequest
    from lenstui.model.rows import Row
    from lenstui.model.tokens import Prompt

SAME = "Both sides are one model: its logit lens would be the same on both."


@dataclass(frozen=True, eq=False)
class Beside:
    """The open model, and what is beside it.

    Attributes:
        left: the open model with its lens.
        right: another model, or the same one with another lens; the very same where `text` is another prompt.
        kind: which lens both are read through, `logit` or `tuned`.
        text: a second prompt, for the right side; None where both read the same one.
    """

    left: Opened
    right: Opened
    kind: str = "logit"
    text: str | None = None

    @classmethod
    def of(cls, left: Opened, right: Opened, kind: str = "logit") -> Beside:
        """Put two side by side, by that kind of lens if they have it.

        Raises:
            LensError: if they cannot be; it names both.
        """
        from lenstui.opening.agreement import check_agreement

        if left.model is not right.model:
            check_agreement(left.model, right.model)
        kinds = _kinds(left, right)
        return cls(left, right, kind if kind in kinds else kinds[0])

    @classmethod
    def of_prompts(cls, opened: Opened, text: str, kind: str = "tuned") -> Beside:
        """Have a second prompt read by the open model, by that kind of lens if it has it."""
        return cls(opened, opened, kind if opened.lens is not None else LENSES[0], text)

    def with_left(self, opened: Opened) -> Beside:
        """The same beside the open model with another lens."""
        return replace(self, left=opened, right=self.right if self.text is None else opened)

    @property
    def of_lenses(self) -> bool:
        """Whether they are one model with two lenses."""
        return self.left.model is self.right.model and self.text is None

    @property
    def context(self) -> int | None:
        """The most columns that both can read."""
        from lenstui.opening.agreement import shared_context

        return shared_context(self.left.model, self.right.model)

    @property
    def vocabulary(self) -> int:
        """Ids below it are tokens of both."""
        return min(self.left.model.vocabulary, self.right.model.vocabulary)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What has to be said of the lens beside."""
        said = {self.right.reason, *self.left.remarks}
        return tuple(remark for remark in self.right.remarks if remark not in said)

    @property
    def described(self) -> Comparison:
        """As the screen describes it."""
        sides = [_side(opened, self.kind) for opened in (self.left, self.right)]
        one_kind = None
        missing = dict.fromkeys(side.model.name for side in (self.left, self.right) if side.lens is None)
        if self.of_lenses:
            one_kind = SAME
        elif missing:
            one_kind = f"No tuned lens for {' and '.join(missing)}: only the logit lens compares them."
        return Comparison(sides[0], sides[1], self.of_lenses, one_kind, self.text)

    def with_other_kind(self) -> Beside:
        """By the other kind of lens, where both have it."""
        kinds = _kinds(self.left, self.right, self.text)
        return replace(self, kind=kinds[(kinds.index(self.kind) + 1) % len(kinds)])

    def prompts(self, request: ReadRequest) -> tuple[Prompt, Prompt]:
        """What either side reads: the same prompt, or two.

        Raises:
            LensError: if it cannot be read, or not by both alike.
        """
        from lenstui.opening.agreement import shared_prompt

        if self.text is None:
            models = self.left.model, self.right.model
            prompt = shared_prompt(*models, request.text, request.reading, tail=request.tail)
            return prompt, prompt
        model, reading = self.left.model, request.reading
        return reading.prompt(model, request.text, tail=request.tail), reading.prompt(model, self.text)

    def gaps(self, prompts: tuple[Prompt, Prompt]) -> tuple[range, range]:
        """The columns on screen in which either side has no token."""
        return (NO_GAP, NO_GAP) if self.text is None else gaps(*(prompt.ids for prompt in prompts))

    def tiles(
        self,
        request: ReadRequest,
        prompts: tuple[Prompt, Prompt],
        *,
        first: range | None = None,
        columns: range | None = None,
    ) -> Iterator[Tile]:
        """Read what is on both sides: tiles of the one and of the other by turns, each with one slot filled.

        Args:
            request: what is asked for.
            prompts: from `prompts`.
            first: the columns on screen, as `read_tiles` takes them.
            columns: a run of them, to read no others.
        """
        from lenstui.readout.tiles import read_tiles

        reading = request.reading

        def of(slot: str, opened: Opened, prompt: Prompt, gap: range) -> Iterator[Tile]:
            for tile in read_tiles(
                opened.model,
                prompt,
                opened.lens if self.kind == "tuned" else None,
                top_k=request.top_k,
                pins=request.pins,
                rows=reading.rows.of(opened.model.num_blocks),
                lenses=[self.kind],
                final_norm=reading.final_norm,
                sublayers=reading.sublayers,
                first=_of_prompt(first, gap),
                columns=_of_prompt(columns, gap),
            ):
                yield from on_screen(replace(tile, lenses={slot: tile.lenses[self.kind]}), gap)

        # Their tiles may be of other widths, as the vocabularies are.
        turns = zip_longest(*map(of, LENSES, (self.left, self.right), prompts, self.gaps(prompts)))
        return (tile for tile in chain.from_iterable(turns) if tile is not None)

    def rankings(self, request: ReadRequest, row: Row, column: int, count: int) -> Mapping[str, Ranking]:
        """The likeliest tokens of one cell by slot; none where the lens does not read that row or column."""
        from lenstui.readout.ranking import rank_cell

        prompts, found = self.prompts(request), {}
        final_norm = request.reading.final_norm
        sides = zip(LENSES, (self.left, self.right), prompts, self.gaps(prompts), strict=True)
        for slot, opened, prompt, gap in sides:
            if column in gap:
                continue
            lens = opened.lens if self.kind == "tuned" else None
            here = in_prompt(column, gap)
            ranked = rank_cell(opened.model, prompt, row, here, lens, count=count, final_norm=final_norm)
            if self.kind in ranked:
                found[slot] = ranked[self.kind]
        return found


def beside_no_longer(before: Beside, opened: Opened) -> tuple[Beside | None, str | None]:
    """What is beside another open model than before: the same, if they agree; else nothing, and why."""
    if before.text is not None:
        return Beside.of_prompts(opened, before.text, before.kind), None
    if before.of_lenses:
        return None, "The lens that was beside is of the model before: it is taken away."
    try:
        beside = Beside.of(opened, before.right, before.kind)
    except LensError as error:
        return None, f"{before.right.model.name} is beside no longer. {error}"
    if beside.kind != before.kind:
        return beside, f"{beside.described.one_kind}"
    return beside, None


def give_back_memory() -> None:
    """Free the memory of a model that was closed."""
    import torch

    gc.unfreeze()  # Explore has the collector pass over all that was there when a model was opened
    gc.collect()
    gc.freeze()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _of_prompt(columns: range | None, gap: range) -> range | None:
    """Columns on screen as those of a prompt with a gap."""
    return None if columns is None else range(in_prompt(columns.start, gap), in_prompt(columns.stop, gap))


def _kinds(left: Opened, right: Opened, text: str | None = None) -> tuple[str, ...]:
    """Kinds of lens that both are worth reading through."""
    if left.model is right.model and text is None:
        return ("tuned",)
    return LENSES if left.lens is not None and right.lens is not None else LENSES[:1]


def _side(opened: Opened, kind: str) -> Side:
    model, lens = opened.model, opened.lens
    return Side(
        model.name,
        model.revision,
        model.dtype_name,
        model.vocabulary,
        kind,
        lens.name if lens is not None and kind == "tuned" else None,
    )
