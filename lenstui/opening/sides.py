"""Sides: the contents of panes, each a model, a prompt and a lens, in order, with one cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from lenstui.edits.edit import have_directions
from lenstui.edits.edit_list import EditList
from lenstui.lens.kinds import LOGIT, first_kinds, made_lens
from lenstui.lens.names import is_instant, kind_word
from lenstui.model.rows import Row
from lenstui.opening.opened import Opened
from lenstui.opening.side_count import MOST_SIDES, NO_MORE, ONE_STAYS
from lenstui.opening.side_facts import SideFacts
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model

BY_DEPTH = "each row stands beside the one at the same relative depth."
FIRST_STAYS = "The first side is the open model with its prompt: Tab goes to the one to remove."


@dataclass(frozen=True, eq=False)
class Side:
    """The model, the prompt and the lens of one pane.

    Attributes:
        opened: the model, with the lenses that are in use for this side.
        kind: the kind of lens that it is read through.
        text: a prompt that this side alone reads; None for the typed one.
        edits: edits of the forward pass; without any, the side shows the clean run.
    """

    opened: Opened
    kind: str
    text: str | None = None
    edits: EditList = field(default=EditList())

    @property
    def model(self) -> Model:
        """The model that reads the prompt."""
        return self.opened.model

    @property
    def lens(self) -> Lens | None:
        """The lens that the prompt is read through; None where there is none of that kind."""
        return self.opened.lens(self.kind)

    @property
    def run(self) -> tuple[object, ...]:
        """What is equal for sides that one pass of a model reads: model, prompt and edits."""
        edits = self.edits.in_force
        return id(self.model), self.text, edits, id(self.lens) if have_directions(edits) else None

    @property
    def lacks(self) -> frozenset[str]:
        """The labels of the rows of the residual stream for which the lens has no numbers."""
        if (lens := self.lens) is None:
            return frozenset()
        return frozenset(row.label for row in map(Row, range(self.model.num_blocks)) if not lens.reads(row))

    def is_as(self, other: Side) -> bool:
        """Return whether two sides show the same: a model and a prompt through the same lens."""
        same_lens = self.lens is other.lens or made_lens(self.kind) is not None
        ours, theirs = ((side.model, side.kind, side.text, side.edits) for side in (self, other))
        return ours == theirs and same_lens


@dataclass(frozen=True, eq=False)
class Sides:
    """An ordered group of sides. The first has the open model, and reads the typed prompt.

    Attributes:
        sides: the sides, at least one, at most `MOST_SIDES`.
    """

    sides: tuple[Side, ...]

    @classmethod
    def of(cls, opened: Opened, most: int = MOST_SIDES) -> Sides:
        """Return what is shown of a model at first: the logit lens and the fitted ones, `most` at most.

        Without any fitted lens it is the first two kinds, though there is but one lens.
        """
        if not opened.fitted:
            return cls(tuple(Side(opened, kind) for kind in first_kinds()))
        shown = (
            side
            for side in _through_each_lens(opened)
            if side.kind in first_kinds() or made_lens(side.kind) is None
        )
        return cls(tuple(islice(shown, most)))

    def are_first(self, most: int = MOST_SIDES) -> bool:
        """Return whether the sides are those that are shown of their model at first."""
        first = Sides.of(self.opened, most).sides
        return len(first) == len(self.sides) and all(map(Side.is_as, self.sides, first))

    @property
    def first(self) -> Side:
        """The first side."""
        return self.sides[0]

    @property
    def opened(self) -> Opened:
        """The open model, with the lenses in use."""
        return self.first.opened

    def is_own(self, side: Side) -> bool:
        """Return whether a side shows the open model, unedited, the typed prompt, and a lens in use."""
        return side.opened is self.opened and side.text is None and not side.edits

    @property
    def are_own(self) -> bool:
        """Whether all sides show the open model, the typed prompt, and a lens in use."""
        return all(map(self.is_own, self.sides))

    @property
    def models(self) -> tuple[Model, ...]:
        """The models in memory, each once."""
        return tuple({id(side.model): side.model for side in self.sides}.values())

    @property
    def context(self) -> int | None:
        """The most columns that all models can read, or None where none has a limit."""
        return min((model.context for model in self.models if model.context is not None), default=None)

    @property
    def vocabulary(self) -> int:
        """The number of token ids that all models have in common."""
        return min(model.vocabulary for model in self.models)

    @property
    def remarks(self) -> tuple[str, ...]:
        """Remarks on the models and lenses beside the open model, for the user."""
        said = {*(side.opened.reason for side in self.sides), *self.opened.remarks}
        others = dict.fromkeys(remark for side in self.sides for remark in side.opened.remarks)
        return (*(remark for remark in others if remark not in said), *self._remarks_on_depth())

    def _remarks_on_depth(self) -> Iterator[str]:
        """Yield for each model that is not as deep as the first one how its rows are aligned."""
        first, *others = self.models
        for other in others:
            if other.num_blocks != first.num_blocks:
                yield f"{first.num_blocks + 1} rows beside {other.num_blocks + 1}: {BY_DEPTH}"

    @property
    def facts(self) -> tuple[SideFacts, ...]:
        """Descriptions of the sides, for the screen."""
        from lenstui.lens.compatibility import is_of_base

        numbers = {id(model): number for number, model in enumerate(self.models)}
        return tuple(
            SideFacts(
                side.model.name,
                side.model.revision,
                side.model.dtype_name,
                side.model.vocabulary,
                side.kind,
                None if side.lens is None or not side.lens.name else side.lens.name,
                side.lens is not None,
                made_lens(side.kind) is None,
                side.lens is not None and is_instant(side.lens.fit),
                side.text,
                self.is_own(side),
                numbers[id(side.model)],
                side.lacks,
                side.edits,
                adapter="" if side.model.adapter is None else side.model.adapter.typed,
                is_of_base=side.lens is not None and is_of_base(side.lens, side.model),
            )
            for side in self.sides
        )

    # ── other sides ──────────────────────────────────────────────────────────────────────────────────────

    def with_model(self, place: int, opened: Opened) -> Sides:
        """Return these with another model on a side, read as it was read before.

        The first side is the open model's: from there the model goes beside it, read as the first side is.
        A model that has no lens of that kind is read through the logit lens.

        Raises:
            LensError: if the models cannot be read side by side; it names both.
        """
        from lenstui.opening.agreement import check_same_tokens

        if opened.model is not self.first.model:
            check_same_tokens(self.first.model, opened.model)
        side = replace(self._changing(place), opened=opened)
        return self._with(place, side if side.lens is not None else replace(side, kind=LOGIT))

    def with_prompt(self, place: int, text: str) -> Sides:
        """Return these with another prompt on a side, read as the typed one was read there.

        The first side reads the typed prompt: from there the other one goes beside it.
        """
        side = replace(self._changing(place), text=text)
        return self._with(place, side if side.lens is not None else replace(side, kind=LOGIT))

    def with_edits(self, place: int, edits: EditList) -> Sides:
        """Return these with other edits on a side.

        A side of the open model that had none goes to the first place, with its edited run beside it, so that
        the difference of the two is the effect; of the others those stay that are more than another lens.
        Without any edit left, an edited side goes away again if another one shows the same.
        """
        side = self.sides[place]
        new = replace(side, edits=edits)
        if not side.edits and side.opened is self.opened and side.text is None:
            return self._beside(side, new) if edits else self
        sides = [*self.sides[:place], new, *self.sides[place + 1 :]]
        if not edits and any(map(new.is_as, (*sides[:place], *sides[place + 1 :]))):
            del sides[place]
        return Sides(tuple(sides)) if len(sides) > 1 else Sides.of(self.opened)

    def with_prompt_beside(self, place: int, text: str) -> Sides:
        """Return these with another prompt beside a side, read through the same lens.

        The side goes to the first place if it reads the typed prompt of the open model.
        """
        side = self.sides[place]
        if side.opened is not self.opened or side.text is not None or side.edits:
            return self.with_prompt(1 if place == 0 else place, text)
        return self._beside(side, replace(side, text=text))

    def _beside(self, side: Side, new: Side) -> Sides:
        """Return a side and a new one beside it, and those others that are more than another lens."""
        others = (each for each in self.sides if each is not side and (each.text is not None or each.edits))
        return Sides((side, new, *others)[:MOST_SIDES])

    def with_lens(self, place: int, lens: Lens, warning: str | None) -> Sides:
        """Return these with another lens of the open model on a side; from the first it goes beside it."""
        side = replace(self._changing(place), opened=self.opened.using(lens, warning), kind=lens.kind)
        return self._with(place, side)

    def _changing(self, place: int) -> Side:
        """The side that another model, prompt or lens is put on; from the first side one that is as that."""
        return self.sides[min(place, len(self.sides) - 1)]

    def _with(self, place: int, side: Side) -> Sides:
        """These with another side; from the first one it goes to the second place."""
        rest = list(self.sides[1:])
        rest[max(place, 1) - 1 : max(place, 1)] = [side]
        return Sides((self.first, *rest))

    def showing(self, kind: str, place: int | None) -> Sides:
        """Return the sides with a lens in use of the open model on one of them, if none shows it yet.

        Args:
            kind: the kind of that lens.
            place: the place of the side to put it on, from the first beside it; None for one more side.
        """
        new = Side(self.opened, kind)
        if any(map(new.is_as, self.sides)):
            return self
        if place is None and len(self.sides) < MOST_SIDES:
            return Sides((*self.sides, new))
        return self._with(len(self.sides) - 1 if place is None else place, new)

    def with_next_lens(self, place: int) -> Sides:
        """Return the sides with the next lens at hand on one of them, that no other side shows.

        Raises:
            LensError: if there is none; the message says why.
        """
        side = self.sides[place]
        offered = [
            replace(each, text=side.text, edits=side.edits) for each in _through_each_lens(side.opened)
        ]
        here = next((i for i, each in enumerate(offered) if each.is_as(side)), -1)
        others = [one for i, one in enumerate(self.sides) if i != place]
        for new in (*offered[here + 1 :], *offered[: max(here, 0)]):
            if not any(map(new.is_as, others)):
                return Sides((*self.sides[:place], new, *self.sides[place + 1 :]))
        if missing := [kind for kind in first_kinds() if side.opened.lens(kind) is None]:
            only = " and ".join(kind_word(lens.kind) for lens in side.opened.lenses)
            none = f"No {kind_word(missing[0])} lens for {side.model.title}"
            raise LensError(f"{none}: only the {only} lens reads it.")
        raise LensError("Every lens in use is on screen: o lists others, and c puts one here.")

    def with_one_more(self) -> Sides:
        """Return the sides and one more: a lens of the open model that no side shows, else the last again.

        Raises:
            LensError: if there are as many as there may be, or a side has no lens to show anything by.
        """
        if len(self.sides) >= MOST_SIDES:
            raise LensError(NO_MORE)
        offered = _through_each_lens(self.opened)
        unseen = (side for side in offered if not any(map(side.is_as, self.sides)))
        if (new := next(unseen, None)) is not None:
            return Sides((*self.sides, new))
        if lacking := self.lacking():
            none = f"No {kind_word(lacking[0].kind)} lens for {lacking[0].model.title}"
            raise LensError(f"{none}: t trains one, o opens one.")
        return Sides((*self.sides, self.sides[-1]))

    def without(self, place: int) -> Sides:
        """Return the sides less one; the initial sides where that leaves the open model alone.

        Raises:
            LensError: if the side has to stay.
        """
        if len(self.sides) == 1:
            raise LensError(ONE_STAYS)
        if place == 0 and not self.is_own(self.sides[1]):
            raise LensError(FIRST_STAYS)
        left = Sides((*self.sides[:place], *self.sides[place + 1 :]))
        if all(side.lens is None for side in left.sides):
            raise LensError(f"The other side has no {kind_word(left.first.kind)} lens to show anything by.")
        return left

    def using(self, opened: Opened) -> Sides:
        """Return the sides with the open model's new lenses in use, where they showed the former ones."""
        before = self.opened
        return Sides(
            tuple(replace(side, opened=opened) if side.opened is before else side for side in self.sides)
        )

    def of_another(self, opened: Opened, most: int = MOST_SIDES) -> tuple[Sides, list[str]]:
        """Return the sides that agree with another open model, and remarks on those that are dropped.

        A lens of the former model that was beside its own is dropped with it. Where nothing but the former
        model was shown, as at first, so is the other one.

        Args:
            opened: the other model.
            most: the most sides that are shown of a model at first.
        """
        from lenstui.opening.agreement import check_same_tokens

        kept, remarks = [], []
        for side in self.sides:
            if side.opened is self.opened and (
                side.kind in first_kinds() or opened.lens(side.kind) is not None
            ):  # also where the side has its own prompt
                kept.append(replace(side, opened=opened))
            elif side.model is self.first.model:
                remarks.append("The lens beside it is of the model before: it is removed.")
            else:
                try:
                    check_same_tokens(opened.model, side.model)
                    kept.append(side)
                except LensError as error:
                    remarks.append(f"{side.model.title} is beside no longer. {error}")
        # Of sides that have no lens any more, one is enough.
        kept = [
            side for i, side in enumerate(kept) if side.lens is not None or not any(map(side.is_as, kept[:i]))
        ]
        sides = Sides(tuple(kept))
        if sides.are_own:
            nothing = all(side.lens is None for side in kept)
            as_first = nothing or not self.are_own or self.are_first() or self.are_first(MOST_SIDES - 1)
            return (Sides.of(opened, most) if as_first else sides), remarks
        if missing := sides.lacking():
            names = " and ".join(dict.fromkeys(side.model.title for side in missing))
            remarks.append(
                f"No {kind_word(missing[0].kind)} lens for {names}: only the logit lens compares them."
            )
            compared: list[Side] = []
            for side in (replace(side, kind=LOGIT) for side in kept):
                if not any(map(side.is_as, compared)):
                    compared.append(side)
            sides = Sides(tuple(compared))
        return sides, remarks

    def lacking(self) -> list[Side]:
        """Return the sides that have no lens of their kind."""
        return [side for side in self.sides if side.lens is None]


def _through_each_lens(opened: Opened) -> tuple[Side, ...]:
    """Return a side of a model for each lens at hand, in the order of their kinds."""
    return tuple(Side(opened.preferring(lens), lens.kind) for lens in opened.lenses)
