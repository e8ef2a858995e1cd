"""Why a cell says what it says, in words and tables: what its text, Markdown and HTML have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from lenstui.causal.contributions import Component, Contributions
from lenstui.export.tidy import TokenText
from lenstui.lens.names import lens_title
from lenstui.opening.source import Source
from lenstui.readout.cells import FloatArray
from lenstui.readout.scales import Scale, round_top
from lenstui.support.fixed_text import fixed_text

if TYPE_CHECKING:
    from lenstui.model.tokens import Prompt

DIRECT = (
    "direct effects: what each wrote into the stream, read through this lens with the final norm's scale "
    "held; what it did to later blocks counts as theirs"
)
_MOST_SOURCES = 3


@dataclass(frozen=True, slots=True)
class Why:
    """The contributions in one cell, and what is needed to write them down.

    Attributes:
        contributions: the contributions.
        prompt: the prompt.
        source: the source of the numbers.
        texts: display texts of the tokens.
        top: how many of the largest to list; forms that hold everything pass over it.
        head: the name of an attention head whose attention is shown, or None.
    """

    contributions: Contributions
    prompt: Prompt
    source: Source
    texts: TokenText
    top: int = 20
    head: str | None = None

    @property
    def cell(self) -> str:
        """The cell, the token and the lens in words: `row 5 · column 3 "·sky" → "·is" · logit lens`."""
        of = self.contributions
        said = f"row {of.row} · column {of.column} {_quoted(self.texts[of.ids[of.column]])} → "
        said += _quoted(self.texts[of.token])
        if of.minus is not None:
            said += f" minus {_quoted(self.texts[of.minus])}"
        return f"{said} · {lens_title(of.lens)}"

    @property
    def sum(self) -> str:
        """The logit in words, and how near the contributions come to it."""
        of = self.contributions
        less = "" if of.minus is not None else ", less the mean over the vocabulary"
        rounding = f" · rounding at most {of.rounding:.1e} a component" if of.rounding else ""
        if of.rounding > of.rounding_limit:
            rounding += f", more than the {of.rounding_limit:.1e} that is usual in {self.source.dtype}"
        return f"logit {fixed_text(of.logit, 3)}{less} · they add up to it but for {of.error:.1e}{rounding}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text.

    Attributes:
        title: what it shows.
        heads: the heads of its columns.
        rows: the texts of its rows.
        words: the indices of columns with words, which are aligned to the left; all others have numbers.
    """

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)


def tables_of(why: Why) -> Iterator[Table]:
    """Yield the tables of a cell: components, attention heads, and what else was asked for."""
    of = why.contributions
    components = strongest(of.components, why.top)
    yield Table(
        _counted("components", len(components), len(of.components)),
        ("component", "contribution"),
        tuple((each.name, fixed_text(each.contribution, 3)) for each in components),
    )
    if heads := strongest(of.named_heads, why.top):
        yield Table(
            _counted("attention heads", len(heads), len(of.named_heads)),
            ("head", "contribution", "most of it by reading"),
            tuple((each.name, fixed_text(each.contribution, 3), _read(why, each.name)) for each in heads),
            words=(0, 2),
        )
    if neurons := strongest(of.named_neurons, why.top):
        yield Table(
            _counted("neurons", len(neurons), len(of.named_neurons)),
            ("neuron", "contribution"),
            tuple((each.name, fixed_text(each.contribution, 3)) for each in neurons),
        )
    if why.head is not None:
        yield _attention(why, why.head)
    if of.growth is not None:
        numbers = zip(of.growth.rows, of.growth.logits, of.growth.sums, strict=True)
        yield Table(
            f"how the logit grew: by the lens in each row, and summed up at the scale of row {of.row}",
            ("row", "lens", "sum"),
            tuple((row, fixed_text(logit, 3), fixed_text(total, 3)) for row, logit, total in numbers),
        )


def reasons_of(why: Why) -> Iterator[str]:
    """Yield why some blocks have no attention heads, no sources or no neurons, a sentence for each reason."""
    of = why.contributions
    beside = zip(of.no_heads, of.no_sources, strict=True)
    kinds = (
        ("no attention heads", of.no_heads),
        ("no sources", tuple(None if no_heads else no_sources for no_heads, no_sources in beside)),
        ("no neurons", of.no_neurons),
    )
    for what, reasons in kinds:
        for reason in dict.fromkeys(filter(None, reasons)):
            blocks = [block for block, each in enumerate(reasons) if each == reason]
            yield f"{what} in block{'s' * (len(blocks) > 1)} {_runs(blocks)}: {reason}"


def strongest_sources(why: Why, name: str) -> Iterator[tuple[int, float]]:
    """Yield the columns that contribute most through an attention head, with their contributions."""
    shares: FloatArray = why.contributions.sources[why.contributions.head(name)]
    if not np.isnan(shares).any():
        for column in np.argsort(-np.abs(shares), kind="stable")[:_MOST_SOURCES]:
            yield int(column), float(shares[column])


def _read(why: Why, name: str) -> str:
    said = [
        f"{why.texts[why.contributions.ids[column]]} ({column}) {fixed_text(share, 3)}"
        for column, share in strongest_sources(why, name)
    ]
    return "  ".join(said)


def _attention(why: Why, name: str) -> Table:
    of = why.contributions
    block, head = of.head(name)
    weights, shares = of.weights[block, head], of.sources[block, head]
    rows = tuple(
        (str(column), why.texts[of.ids[column]], fixed_text(weight, 3), fixed_text(share, 3))
        for column, (weight, share) in enumerate(zip(weights, shares, strict=True))
        if column <= of.column
    )
    title = f"attention head {name}, in column {of.column}"
    return Table(title, ("column", "token", "attention", "contribution"), rows, words=(1,))


def contribution_map(of: Contributions) -> tuple[list[str], FloatArray]:
    """Return the names of columns, and contributions by block and column: heads, attention, MLP."""
    names = [*map(str, range(of.heads.shape[1])), "attn", "mlp"]
    return names, np.concatenate([of.heads, of.attention[:, None], of.mlp[:, None]], 1)


def contribution_scale(of: Contributions) -> Scale:
    """Return a scale for all contributions of a cell, which diverges about 0."""
    sizes = [abs(each.contribution) for each in (*of.components, *of.named_heads)]
    return Scale.around_zero(round_top(max(*sizes, 0.01)))


def strongest(components: Iterable[Component], count: int) -> Sequence[Component]:
    """Return the components with the largest contributions, of either sign, the largest first."""
    return sorted(components, key=lambda each: -abs(each.contribution))[:count]


def _counted(what: str, shown: int, count: int) -> str:
    if shown == count:
        return what
    return f"{what}, the {f'{shown} ' * (shown > 1)}strongest of {count}"


def _quoted(text: str) -> str:
    return f'"{text}"'


def _runs(blocks: Sequence[int]) -> str:
    """Return numbers as text: `0-2, 5`."""
    runs = []
    for _, run in groupby(enumerate(blocks), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        runs.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    return ", ".join(runs)
