"""The contributions of components to a token's logit in one cell: why the cell says what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lenstui.model.rows import ATTENTION, MLP
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import LensError

BIAS = "bias"


@dataclass(frozen=True, slots=True)
class Component:
    """A named contribution to a logit.

    Attributes:
        name: `emb`, `3.attn`, `3.mlp`, `bias`; `3.5` for an attention head, `3.mlp.812` for a neuron.
        contribution: its share of the logit.
    """

    name: str
    contribution: float


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """How the logit came about, from row `emb` to that of the cell.

    Attributes:
        rows: the rows' labels.
        logits: the lens's own logit in each row, `[rows]`; NaN in a row that the lens does not read.
        sums: what `bias` and all components up to that row contribute in the row of the cell, `[rows]`.
    """

    rows: tuple[str, ...]
    logits: FloatArray
    sums: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Contributions:
    """The contributions of all components to one logit in one cell.

    Embedding, attention and MLP of each block below the row, and `bias`, add up to `logit`, but for `error`.
    The attention heads of a block and its `attention_bias` add up to its attention, the sources of a head to
    the head. Arrays have one entry for each block below the row, and NaN where there is nothing.

    Attributes:
        ids: the prompt's token ids, one per column.
        row: the label of the row.
        column: the index of the column.
        lens: the kind of lens.
        token: the token's id.
        minus: the id of the token whose logit is taken off; None for the mean over the vocabulary.
        logit: the lens's logit of the token, before any softcap, less the other token's or the mean.
        embedding: what the embedding contributes.
        attention: what attention contributes in each block, `[blocks]`.
        mlp: what the MLP contributes, `[blocks]`.
        bias: what the biases of transport, final norm and head contribute, computed, never the remainder.
        heads: what each attention head contributes, `[blocks, heads]`.
        attention_bias: what attention contributes beside its heads, `[blocks]`.
        sources: what each head contributes by having read each column, `[blocks, heads, cols]`.
        weights: how much of its attention each head gave to each column, `[blocks, heads, cols]`.
        neurons: what each neuron of the MLP contributes, `[neurons]` or None by block; empty without.
        no_heads: for each block, why there are no heads, as a sentence without its full stop; or None.
        no_sources: for each block, why it is not known what the heads read, likewise.
        no_neurons: for each block, why there are no neurons, likewise.
        rounding: the most that a component, as its module put it out, differs by from the step of the stream
            that counts as it, as a logit; 0 in float32, where what is put out counts.
        rounding_limit: what `rounding` is usually below in this dtype, a share of the largest contribution.
            Beyond it the steps of the stream still add up, but say little of what the modules computed.
        error: how far the sum is from `logit`.
        growth: how the logit came about, if asked for.
    """

    ids: tuple[int, ...]
    row: str
    column: int
    lens: str
    token: int
    minus: int | None
    logit: float
    embedding: float
    attention: FloatArray
    mlp: FloatArray
    bias: float
    heads: FloatArray
    attention_bias: FloatArray
    sources: FloatArray
    weights: FloatArray
    neurons: tuple[FloatArray | None, ...]
    no_heads: tuple[str | None, ...]
    no_sources: tuple[str | None, ...]
    no_neurons: tuple[str | None, ...]
    rounding: float
    rounding_limit: float
    error: float
    growth: Growth | None = None

    @property
    def components(self) -> tuple[Component, ...]:
        """Embedding, attention and MLP of each block, `bias`: what adds up to the logit, in that order."""
        return tuple(self._components())

    def _components(self) -> Iterator[Component]:
        yield Component("emb", self.embedding)
        for block, pair in enumerate(zip(self.attention, self.mlp, strict=True)):
            for part, value in zip((ATTENTION, MLP), pair, strict=True):
                if not np.isnan(value):
                    yield Component(f"{block}.{part}", float(value))
        yield Component(BIAS, self.bias)

    @property
    def named_heads(self) -> tuple[Component, ...]:
        """Every attention head, in the order of blocks."""
        return tuple(
            Component(f"{block}.{head}", float(value))
            for (block, head), value in np.ndenumerate(self.heads)
            if not np.isnan(value)
        )

    @property
    def named_neurons(self) -> tuple[Component, ...]:
        """Every neuron, in the order of blocks."""
        return tuple(
            Component(f"{block}.{MLP}.{neuron}", float(value))
            for block, values in enumerate(self.neurons)
            if values is not None
            for neuron, value in enumerate(values)
        )

    def head(self, name: str) -> tuple[int, int]:
        """Return block and head of an attention head's name, such as `4.7`.

        Raises:
            LensError: if there is no such head; the message says why.
        """
        block, head = head_named(name)
        if block >= len(self.attention):
            raise LensError(no_block(block, len(self.attention), self.row))
        if (reason := self.no_heads[block]) is not None:
            raise LensError(no_heads(block, reason))
        count = int((~np.isnan(self.heads[block])).sum())
        if head >= count:
            raise LensError(no_head(block, head, count))
        return block, head


def no_block(block: int, count: int, row: str | None = None) -> str:
    """Return that there is no such block, of some number of blocks, below a row or at all."""
    if row is not None and not count:
        return f"Row {row} has no block below it, and so no attention head."
    below, blocks = "" if row is None else f" below row {row}", f"0 … {count - 1}"
    return f"There is no block {block}{below}: there are blocks {blocks}."


def no_head(block: int, head: int, count: int) -> str:
    """Return that there is no such attention head, of some number of heads."""
    return f"There is no attention head {block}.{head}: block {block} has heads 0 … {count - 1}."


def no_heads(block: int, reason: str) -> str:
    """Return that a block has no attention heads, and why."""
    return f"Block {block} has no attention heads to show: {reason}."


def head_named(name: str) -> tuple[int, int]:
    """Return block and head of an attention head's name, such as `4.7`.

    Raises:
        LensError: for any other text.
    """
    block, dot, head = name.strip().partition(".")
    if not dot or not all(part.isascii() and part.isdigit() and len(part) < 7 for part in (block, head)):
        raise LensError(
            f"{name!r} is no attention head: give block and head with a dot between, such as 4.7."
        )
    return int(block), int(head)
