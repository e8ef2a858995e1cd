"""What the two panes hold, in words: every title, legend and line of numbers has them from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lenstui.support.cell_width import clip
from lenstui.support.printable import printable

LENSES = ("logit", "tuned")  # the slots: what a readout calls its lenses
_PROMPT_WIDTHS = range(120, 8, -4)  # of a second prompt, in a title


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a comparison is read through.

    Attributes:
        model: its name.
        revision: of the hub, where one was named.
        dtype: of its weights.
        vocabulary: how many logits it gives.
        kind: `logit` or `tuned`.
        lens: name of the tuned lens, where that is the kind.
    """

    model: str
    revision: str | None
    dtype: str
    vocabulary: int
    kind: str
    lens: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models side by side, or two lenses of one, or two prompts.

    Attributes:
        left: the open model.
        right: what is beside it.
        of_lenses: both are the same model in memory.
        one_kind: why there is no other kind of lens for both; None where there is.
        prompt: the second prompt, where the same model with the same lens reads two.
    """

    left: Side
    right: Side
    of_lenses: bool = False
    one_kind: str | None = None
    prompt: str | None = None

    @property
    def vocabulary(self) -> int:
        """Ids below it are tokens of both."""
        return min(self.left.vocabulary, self.right.vocabulary)


@dataclass(frozen=True, slots=True)
class Slots:
    """What the two slots hold.

    Attributes:
        brief: a word for each, where numbers stand side by side.
        spoken: the same in a sentence, behind "the".
        titles: what each is in full, then shorter and shorter, as many for the one as for the other.
        one_output: both end in the same last row: they are lenses of one model, on one prompt.
    """

    brief: Mapping[str, str] = field(default_factory=lambda: {"logit": "logit", "tuned": "tuned"})
    spoken: Mapping[str, str] = field(default_factory=lambda: {"logit": "logit lens", "tuned": "tuned lens"})
    titles: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"logit": ("logit lens",), "tuned": ("tuned lens",)}
    )
    one_output: bool = True

    @classmethod
    def of(cls, comparison: Comparison | None) -> Slots:
        """The two lenses of a model, or what is compared."""
        if comparison is None:
            return cls()
        sides = comparison.left, comparison.right
        if comparison.prompt is not None:
            titles = _prompt_titles(comparison.left, comparison.prompt)
        else:
            names = _told_apart(*sides)
            titles = [_titles(side, name, comparison) for side, name in zip(sides, names, strict=True)]
        return cls(
            {"logit": "left", "tuned": "right"},
            {"logit": "left pane", "tuned": "right pane"},
            dict(zip(LENSES, titles, strict=True)),
            one_output=comparison.of_lenses,
        )

    def fitting(self, fits: Callable[[Mapping[str, str]], bool]) -> Mapping[str, str]:
        """The fullest titles for which there is room, or else the shortest."""
        forms = [dict(zip(LENSES, form, strict=True)) for form in zip(*self.titles.values(), strict=True)]
        return next((form for form in forms if fits(form)), forms[-1])


def beside_name(comparison: Comparison) -> str:
    """Return a name for the right side: a model's, as short as is unique, a lens, or a prompt."""
    left, right = comparison.left, comparison.right
    if comparison.prompt is not None:
        return "a second prompt"
    return printable(right.lens) if comparison.of_lenses and right.lens else _told_apart(left, right)[1]


def _told_apart(left: Side, right: Side) -> tuple[str, str]:
    """Short names of two models; where these are the same, with the owner or the folder.

    A dtype is named where both are called the same, whatever their revisions, and it is not.
    """
    names = _name(left, 1), _name(right, 1)
    is_one = _name(replace(left, revision=None), 1) == _name(replace(right, revision=None), 1)
    if names[0] == names[1] and left.model != right.model:
        names = _name(left, 2), _name(right, 2)
        names = names if names[0] != names[1] else (_name(left, 1), _name(right, 1))
    if is_one and left.dtype != right.dtype:
        return f"{names[0]} {left.dtype}", f"{names[1]} {right.dtype}"
    return names


def _name(side: Side, parts: int) -> str:
    name = "/".join(side.model.rstrip("/").split("/")[-parts:])
    return printable(f"{name}@{side.revision}" if side.revision else name)


def _titles(side: Side, name: str, comparison: Comparison) -> tuple[str, ...]:
    lens = f"{side.kind} lens"
    full = f"{lens} {printable(side.lens)}" if side.lens else lens
    if comparison.of_lenses:  # the model says nothing about which is which
        brief = printable(side.lens or side.kind)
        return f"{name} · {full}", full, brief
    return f"{name} · {full}", f"{name} · {lens}", f"{name} {side.kind}", name


def _prompt_titles(side: Side, prompt: str) -> list[tuple[str, ...]]:
    """The left pane has the prompt in the box above; the right one names its own as far as there is room."""
    lens = f"{side.kind} lens"
    text = printable(prompt)
    quoted = [f"“{clip(text, width)}”" for width in _PROMPT_WIDTHS]
    return [
        (*(f"prompt · {lens}" for _ in quoted), "prompt"),
        (*(f"{short} · {lens}" for short in quoted), quoted[-1]),
    ]
