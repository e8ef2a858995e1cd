"""The names of sides: every title, legend and line of numbers has its words from here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lenstui.lens.kinds import first_kinds
from lenstui.lens.names import INSTANT, OF_BASE, kind_word
from lenstui.support.cell_width import clip
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.opening.side_facts import SideFacts

_PROMPT_WIDTHS = range(120, 8, -4)  # widths of a prompt in a title, the widest first
EDITED = " · edited"  # behind the title of a side under edits
_PLACES = {1: ("pane",), 2: ("left", "right"), 3: ("left", "middle", "right")}


@dataclass(frozen=True, slots=True)
class SideNames:
    """The names of some sides, in their order.

    Attributes:
        brief: a word for each side, where numbers stand side by side.
        spoken: the name of each side in a sentence, behind "the".
        titles: the titles of each side, in full, then shorter and shorter, as many for the one as for the
            other.
        outputs: equal for sides that end in the same last row: lenses of one model, on one prompt, under the
            same edits.
    """

    brief: tuple[str, ...] = ()
    spoken: tuple[str, ...] = ()
    titles: tuple[tuple[str, ...], ...] = field(default=())
    outputs: tuple[tuple[object, ...], ...] = ()

    @classmethod
    def of(cls, sides: Sequence[SideFacts]) -> SideNames:
        """Return names by which the sides are told apart: those of their lenses, or else of their places."""
        from lenstui.opening.side_facts import are_of_one_model, is_edited_run  # the first paint has no side

        one_prompt = all(side.prompt is None for side in sides)
        one_model = are_of_one_model(sides)
        outputs = tuple(map(_run, sides))
        if len(sides) == 2 and is_edited_run(sides[1], sides[0]):
            return _of_clean_and_edited(sides, outputs)
        if all(side.is_own for side in sides) and len({side.kind for side in sides}) == len(sides):
            briefs = tuple(kind_word(side.kind) for side in sides)
            lenses = tuple(f"{INSTANT if side.is_instant else kind_word(side.kind)} lens" for side in sides)
            full = (f"{lens}{OF_BASE * side.is_of_base}" for side, lens in zip(sides, lenses, strict=True))
            return cls(briefs, lenses, tuple(zip(full, lenses, strict=True)), outputs)
        names = told_apart(sides)
        lenses_of = {(side.kind, side.lens) for side in sides}
        titles: list[tuple[str, ...]] = []
        for side, name in zip(sides, names, strict=True):
            if one_prompt:
                titles.append(_titles(side, name, one_model=one_model, one_lens=len(lenses_of) == 1))
                continue
            model = "" if one_model else f"{name} "
            named = len(lenses_of) > len({side.kind for side in sides})
            titles.append(_prompt_titles(side, model, named=named, one_lens=len(lenses_of) == 1))
        titles = [
            tuple(f"{title}{EDITED * bool(side.edits)}" for title in forms)
            for side, forms in zip(sides, titles, strict=True)
        ]
        places = _PLACES[len(sides)]
        panes = tuple(f"{place} pane" for place in places)
        return cls(places, panes, tuple(titles), outputs)

    def fitting(self, fits: Callable[[Sequence[str]], bool]) -> Sequence[str]:
        """Return the fullest titles for which there is room, or else the shortest."""
        forms = list(zip(*self.titles, strict=True))
        return next((form for form in forms if fits(form)), forms[-1])


def _run(side: SideFacts) -> tuple[object, ...]:
    """Return what is equal for sides that end in the same last row."""
    if not (edits := side.edits.in_force):
        return side.model_number, side.prompt, edits, None
    from lenstui.edits.edit import have_directions  # the first paint can do without

    lens = (side.kind, side.lens) if have_directions(edits) else None
    return side.model_number, side.prompt, edits, lens


def _of_clean_and_edited(sides: Sequence[SideFacts], outputs: tuple[tuple[object, ...], ...]) -> SideNames:
    """Return the names of a clean and an edited side, whose titles say which edits are in force."""
    lens = f"{kind_word(sides[0].kind)} lens"
    edits = printable(sides[1].edits.text) or "no edit is on"
    titles = (
        (f"{lens} · clean", f"{lens} · clean", "clean"),
        (f"{lens} · {edits}", f"{lens} · edited", "edited"),
    )
    return SideNames(("clean", "edited"), ("clean run", "edited run"), titles, outputs)


def first_names() -> SideNames:
    """Return the names of the sides while no model is open: those of the first two kinds of lens."""
    words = tuple(map(kind_word, first_kinds()))
    lenses = tuple(f"{word} lens" for word in words)
    return SideNames(words, lenses, tuple((lens, lens) for lens in lenses), ((),) * len(lenses))


def side_name(side: SideFacts, sides: Sequence[SideFacts]) -> str:
    """Return a name for one of several sides: that of its prompt, of its lens or, in short, of its model."""
    if side.prompt is not None:
        return "a second prompt"
    if side.edits:
        return "an edited run"
    from lenstui.opening.side_facts import are_of_one_model

    if are_of_one_model(sides):
        return printable(side.lens or f"the {kind_word(side.kind)} lens")
    return told_apart(sides)[sides.index(side)]


def told_apart(sides: Sequence[SideFacts]) -> tuple[str, ...]:
    """Return a short name of each side's model; where two are the same, with the owner or the folder.

    Where all models have the same name, whatever their revisions, but different dtypes, the dtype is added.
    """
    names = tuple(_name(side, 1) for side in sides)
    unnumbered = {_name(replace(side, revision=None), 1) for side in sides}
    if len(set(names)) < len({(side.model, side.revision, side.adapter) for side in sides}):
        longer = tuple(_name(side, 2) for side in sides)
        names = longer if len(set(longer)) > len(set(names)) else names
    if len(unnumbered) == 1 and len({side.dtype for side in sides}) > 1:
        return tuple(f"{name} {side.dtype}" for name, side in zip(names, sides, strict=True))
    return names


def _name(side: SideFacts, parts: int) -> str:
    name = "/".join(side.model.rstrip("/").split("/")[-parts:])
    name = f"{name}@{side.revision}" if side.revision else name
    adapter = "/".join(side.adapter.rstrip("/").split("/")[-parts:])
    return printable(f"{name} + {adapter}" if adapter else name)


def _titles(side: SideFacts, name: str, *, one_model: bool, one_lens: bool) -> tuple[str, ...]:
    """Return the titles of a side among several models or lenses, the fullest first.

    The shortest titles, too, tell all sides apart.
    """
    lens = f"{kind_word(side.kind)} lens"
    full = (f"{lens} {printable(side.lens)}" if side.lens else lens) + OF_BASE * side.is_of_base
    if one_model:  # the model says nothing about which is which
        brief = printable(side.lens or kind_word(side.kind))
        return f"{name} · {full}", full, brief
    brief = name if one_lens else f"{name} {kind_word(side.kind)}"
    return f"{name} · {full}", f"{name} · {lens}", f"{name} {kind_word(side.kind)}", brief


def _prompt_titles(side: SideFacts, model: str, *, named: bool, one_lens: bool) -> tuple[str, ...]:
    """Return the titles of a side among several prompts, the fullest first, with ever less of the prompt."""
    lens = f"{model}{kind_word(side.kind)} lens"
    lens += f" {printable(side.lens)}" if named and side.lens else ""
    brief = "" if one_lens else f" {kind_word(side.kind)}"
    if side.prompt is None:
        return (*(f"prompt · {lens}" for _ in _PROMPT_WIDTHS), f"prompt{brief}")
    text = printable(side.prompt)
    quoted = [f"“{clip(text, width)}”" for width in _PROMPT_WIDTHS]
    return (*(f"{short} · {lens}" for short in quoted), f"{quoted[-1]}{brief}")
