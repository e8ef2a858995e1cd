"""An edit of the forward pass, as a value: what it changes, where, and how.

Each edit writes itself in the language of `lenstui.edits.language`, so that what is on screen, in a file and
on a command line is the same text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from lenstui.support.errors import LensError

ATTENTION, MLP, HEAD, NEURON, STREAM = "attn", "mlp", "head", "neuron", "stream"
Part = Literal["attn", "mlp", "head", "neuron", "stream"]


class PromptError(LensError):
    """An edit that a prompt has no place for, though another prompt may have one."""


@dataclass(frozen=True, slots=True)
class Component:
    """A part of the forward pass that can be edited: what adds to the residual stream, or the stream itself.

    Attributes:
        part: `attn` or `mlp` for all that attention or the MLP of a block adds, `head` for one attention
            head, `neuron` for one neuron of the MLP, `stream` for the residual stream.
        block: the index of the block; for the stream, the block that hands it on, -1 for `emb`.
        index: the number of the attention head or neuron; None for the others.
    """

    part: Part
    block: int
    index: int | None = None

    @property
    def text(self) -> str:
        """The component as it is typed: `4.attn`, `4.7`, `4.mlp.812`, `row 4`, `emb`."""
        match self.part:
            case "head":
                return f"{self.block}.{self.index}"
            case "neuron":
                return f"{self.block}.mlp.{self.index}"
            case "stream":
                return "emb" if self.block < 0 else f"row {self.block}"
        return f"{self.block}.{self.part}"


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a prompt, counted from 0.

    Attributes:
        runs: first and last column of each run; `None` stands for the prompt's last column.
    """

    runs: tuple[tuple[int | None, int | None], ...]

    @property
    def text(self) -> str:
        """The columns as they are typed: `3`, `3-6`, `3,5`, `last`."""
        return ",".join("-".join(dict.fromkeys(map(_column_text, run))) for run in self.runs)

    def of(self, count: int) -> list[int]:
        """Return the columns, in order, in a prompt of `count` tokens.

        Raises:
            PromptError: if the prompt does not have one of them.
        """
        ends = [[count - 1 if end is None else end for end in run] for run in self.runs]
        largest = max(end for run in ends for end in run)
        if largest >= count:
            raise PromptError(f"there is no column {largest}: the prompt has columns 0 … {count - 1}")
        return sorted({column for first, last in ends for column in range(first, last + 1)})


def _column_text(column: int | None) -> str:
    return "last" if column is None else str(column)


@dataclass(frozen=True, slots=True)
class Rows:
    """A run of rows of the residual stream, by the block that hands each on; -1 is `emb`.

    Attributes:
        first: the lowest.
        last: the highest, which may be the same.
    """

    first: int
    last: int

    @property
    def text(self) -> str:
        """The rows as they are typed: `row 4`, `rows 3-6`, `rows emb-2`."""
        labels = ["emb" if block < 0 else str(block) for block in (self.first, self.last)]
        return f"row {labels[0]}" if self.first == self.last else f"rows {'-'.join(labels)}"


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt in an edit.

    Attributes:
        text: the prompt itself.
        file: the file that it was read from; None where it was typed.
    """

    text: str
    file: str | None = None

    @property
    def written(self) -> str:
        """The prompt as it is typed in an edit: in quotation marks, or `@FILE`."""
        return quoted(self.text) if self.file is None else f"@{word(self.file)}"


@dataclass(frozen=True, slots=True)
class Ablate:
    """An edit that takes a component away: it counts for nothing, or for its mean.

    Attributes:
        component: what is taken away.
        columns: where; None for everywhere, tokens that are generated later too.
        by_mean: whether its mean over the prompt's other columns takes its place, and not zeros.
    """

    component: Component
    columns: Columns | None = None
    by_mean: bool = False

    @property
    def text(self) -> str:
        """The edit as it is typed."""
        return _joined("ablate", self.component.text, _at(self.columns), "mean" if self.by_mean else "")


@dataclass(frozen=True, slots=True)
class Patch:
    """An edit that puts in what a component is in the run of another prompt.

    Attributes:
        component: what is replaced.
        prompt: the other prompt.
        columns: where; None for all columns that the two prompts have in common.
        source: what is taken from the other run; None for the same component.
        source_columns: where it is taken from; None for the aligned columns.
    """

    component: Component
    prompt: Text
    columns: Columns | None = None
    source: Component | None = None
    source_columns: Columns | None = None

    @property
    def text(self) -> str:
        """The edit as it is typed."""
        source = "" if self.source is None else self.source.text
        here = self.component.text
        return _joined(
            "patch", here, _at(self.columns), self.prompt.written, source, _at(self.source_columns)
        )


@dataclass(frozen=True, slots=True)
class Steer:
    """An edit that adds a direction to the residual stream.

    Attributes:
        rows: the rows that it is added to.
        by: how much, in median norms of the clean run's columns from 1 on.
        word: the token whose direction it is; None for the difference of two prompts.
        prompts: two prompts, whose last columns' difference is the direction, the second minus the first.
        columns: where; None for everywhere.
    """

    rows: Rows
    by: float
    word: str | None = None
    prompts: tuple[Text, Text] | None = None
    columns: Columns | None = None

    @property
    def text(self) -> str:
        """The edit as it is typed."""
        if self.prompts is None:
            what = word(self.word or "")
        else:
            what = " -> ".join(prompt.written for prompt in self.prompts)
        return _joined("steer", what, _at(self.columns), self.rows.text, f"by {self.by:g}")


@dataclass(frozen=True, slots=True)
class Swap:
    """An edit that exchanges the coordinates of the residual stream along the directions of two tokens.

    Attributes:
        first: the one word.
        second: the other word.
        rows: the rows in which it is done.
        columns: where; None for everywhere.
    """

    first: str
    second: str
    rows: Rows
    columns: Columns | None = None

    @property
    def text(self) -> str:
        """The edit as it is typed."""
        return _joined("swap", word(self.first), word(self.second), _at(self.columns), self.rows.text)


@dataclass(frozen=True, slots=True)
class Cut:
    """An edit that keeps attention from reading some columns.

    Attributes:
        component: an attention head, or the whole attention of a block.
        readers: the columns that may not read.
        sources: the columns that may not be read.
    """

    component: Component
    readers: Columns
    sources: Columns

    @property
    def text(self) -> str:
        """The edit as it is typed."""
        return f"cut {self.component.text} {self.readers.text}<-{self.sources.text}"


Edit = Ablate | Patch | Steer | Swap | Cut


def have_directions(edits: Iterable[Edit]) -> bool:
    """Return whether any edit is along the direction of a word, which depends on the lens."""
    return any(
        isinstance(edit, Swap) or (isinstance(edit, Steer) and edit.word is not None) for edit in edits
    )


def quoted(text: str) -> str:
    """Return a text in quotation marks, as the language of edits reads it back."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{inner}"'


def word(text: str) -> str:
    """Return a text as one word of the language of edits: in quotation marks only where it needs them."""
    is_plain = bool(text) and text[0] not in '@"' and "\\" not in text and '"' not in text
    plain = is_plain and not any(c.isspace() for c in text) and text != "->" and text not in _KEYWORDS
    return text if plain else quoted(text)


_KEYWORDS = {"row", "rows", "by", "zero", "mean", "emb"}


def _at(columns: Columns | None) -> str:
    return "" if columns is None else f"@{columns.text}"


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))
