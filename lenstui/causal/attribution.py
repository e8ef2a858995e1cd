"""Attribution: from a prompt and a cell to the contributions of components to a token's logit.

These are direct effects: what a component wrote into the stream, read through the lens. What it did to later
blocks counts as theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lenstui.causal.components import Components, read_components
from lenstui.causal.contributions import Contributions, Growth
from lenstui.causal.direction import Direction, HeadRow, Target, find_direction, uncapped_logits
from lenstui.causal.shares import dot, heads_of, limit_of, neurons_of, sources_of
from lenstui.lens.lens import Lens, lenses_for
from lenstui.lens.logit import LogitLens
from lenstui.lens.names import no_row
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.tokens import encode
from lenstui.readout.cells import FloatArray
from lenstui.readout.pins import find_pins
from lenstui.support.errors import LensError
from lenstui.support.turns import Turns


def contributions(
    model: Model,
    text: str | Turns,
    lens: Lens | None = None,
    *,
    row: int | None = None,
    column: int | None = None,
    token: int | str | None = None,
    minus: int | str | None = None,
    sources: bool = True,
    neurons: bool = False,
    all_rows: bool = False,
    bos: bool | None = None,
    chat: bool = False,
) -> Contributions:
    """Run a prompt, and return what every component contributes to a token's logit in one cell.

    Args:
        model: from `load`.
        text: the prompt, which may be the turns of a chat, as `encode` takes them.
        lens: the lens of the cell; None for the logit lens.
        row: the index of the row, 0 for `emb`; None for the last.
        column: the index of the column; None for the last.
        token: a token id, or a word: of the tokens that it means, the likeliest in the cell. None for the
            cell's likeliest token.
        minus: a token id or a word whose logit is taken off; None for the mean over the vocabulary.
        sources: whether to see what attention heads read, which takes a further pass.
        neurons: whether to give the contributions of the MLPs' neurons, too.
        all_rows: whether to give the growth of the logit, too.
        bos: whether to begin with the BOS token; None leaves it to the tokenizer.
        chat: whether to put the prompt into the tokenizer's chat template, as the user's message.

    Raises:
        LensError: if there is no such cell or token, the lens does not read the row, the blocks cannot be
            taken apart, the contributions do not add up, or memory is short.
    """
    prompt = encode(model.tokenizer, text, bos=bos, chat=chat, context=model.context)
    at = len(prompt.ids) - 1 if column is None else column
    components = read_components(model, prompt.ids, at, sources=sources)
    return explain(
        components,
        lens or LogitLens(),
        row=model.num_blocks if row is None else row,
        token=token,
        minus=minus,
        text=prompt.text,
        neurons=neurons,
        all_rows=all_rows,
    )


def explain(
    components: Components,
    lens: Lens,
    *,
    row: int,
    token: int | str | None = None,
    minus: int | str | None = None,
    text: str = "",
    neurons: bool = False,
    all_rows: bool = False,
) -> Contributions:
    """Return what components contribute to a logit in one row of their column; no model is run.

    Args:
        components: of the column, from `read_components`.
        lens: the lens of the cell.
        row: the index of the row, 0 for `emb`.
        token: a token id, a word, or None, as for `contributions`.
        minus: likewise.
        text: the prompt, behind which words are looked for.
        neurons: whether to give the contributions of neurons.
        all_rows: whether to give the growth of the logit.

    Raises:
        LensError: if there is no such row or token, the lens does not read the row, or the contributions do
            not add up.
    """
    model = components.model
    (lens,) = lenses_for(model, [lens])
    _check_row(model, lens, row)
    with torch.inference_mode():
        h = components.stream[row]
        logits = uncapped_logits(model.head, lens.normed(model, h[None], row))[0]
    if not bool(logits.isfinite().all()):
        raise LensError("The logits of this cell are not finite: nothing can be said of them.")
    target = Target(
        int(logits.argmax()) if token is None else _token(model, token, text, logits),
        None if minus is None else _token(model, minus, text, logits),
    )
    if target.token == target.minus:
        raise LensError(f"The token {model.texts[target.token]} less itself is nothing: name another one.")
    of_head = HeadRow.of(model, target)
    direction = find_direction(components, of_head, lens, row)
    return _Account(components, lens, row, target, of_head, direction).result(
        float(target.of(logits.double(), model)), neurons=neurons, all_rows=all_rows
    )


def _check_row(model: Model, lens: Lens, row: int) -> None:
    if not 0 <= row <= model.num_blocks:
        raise LensError(f"There is no row {row - 1}: this model has rows emb, 0 … {model.num_blocks - 1}.")
    if row < model.num_blocks and not lens.reads(Row(row)):
        raise LensError(no_row(lens.kind, Row(row).label))


def _token(model: Model, asked: int | str, text: str, logits: Tensor) -> int:
    """Return a token id that was asked for, or the likeliest of the tokens that a word means."""
    if isinstance(asked, str):
        if not asked:
            raise LensError("The word is empty: name a token.")
        pins = find_pins(model.tokenizer, model.texts, [asked], prompt=text, vocabulary=model.vocabulary)
        return max((pin.id for pin in pins), key=lambda token: float(logits[token]))
    if not 0 <= asked < model.vocabulary:
        raise LensError(f"There is no token {asked}: the vocabulary has ids 0 … {model.vocabulary - 1}.")
    return asked


@dataclass(frozen=True, slots=True, eq=False)
class _Account:
    """All that the contributions of one logit in one cell are computed from."""

    components: Components
    lens: Lens
    row: int
    target: Target
    of_head: HeadRow
    direction: Direction

    def result(self, logit: float, *, neurons: bool, all_rows: bool) -> Contributions:
        given, u = self.components, self.direction.vector
        blocks = given.blocks[: self.row]
        embedding = float(dot(given.stream[0].float(), u))
        parts = [
            np.where(has[: self.row], dot(added[: self.row], u), np.nan)
            for added, has in ((given.attention, given.has_attention), (given.mlp, given.has_mlp))
        ]
        rounding = np.abs(dot(given.off[: self.row], u)).max(initial=0.0)
        total = embedding + self.direction.bias + sum(float(np.nansum(part)) for part in parts)
        largest = max(abs(embedding), abs(self.direction.bias), *(_largest(part) for part in parts))
        limit = limit_of(given.dtype) * largest
        _check(total - logit, limit, largest, given.dtype)
        heads, bias = heads_of(blocks, u)
        sources, weights, no_sources = sources_of(blocks, u, heads, len(given.ids))
        shares = [neurons_of(block, u) for block in blocks] if neurons else []
        return Contributions(
            ids=given.ids,
            row=Row(self.row).label,
            column=given.column,
            lens=self.lens.kind,
            token=self.target.token,
            minus=self.target.minus,
            logit=logit,
            embedding=embedding,
            attention=parts[0].astype(np.float32),
            mlp=parts[1].astype(np.float32),
            bias=self.direction.bias,
            heads=heads,
            attention_bias=bias,
            sources=sources,
            weights=weights,
            neurons=tuple(share for share, _ in shares),
            no_heads=tuple(block.no_heads for block in blocks),
            no_sources=no_sources,
            no_neurons=tuple(reason for _, reason in shares),
            rounding=float(rounding),
            rounding_limit=limit,
            error=abs(total - logit),
            growth=self._growth(embedding, parts) if all_rows else None,
        )

    def _growth(self, embedding: float, parts: Sequence[FloatArray]) -> Growth:
        given, model = self.components, self.components.model
        steps = np.nan_to_num(parts[0]) + np.nan_to_num(parts[1])
        sums = self.direction.bias + embedding + np.concatenate([[0.0], np.cumsum(steps)])
        logits = np.full(self.row + 1, np.nan)
        with torch.inference_mode():
            for row in range(self.row + 1):
                if row == model.num_blocks or self.lens.reads(Row(row)):
                    x = self.lens.normed(model, given.stream[row][None], row)[0].float()
                    logits[row] = float(dot(x, self.of_head.vector)) + self.of_head.constant
        labels = tuple(Row(row).label for row in range(self.row + 1))
        return Growth(labels, logits.astype(np.float32), sums.astype(np.float32))


def _largest(values: FloatArray) -> float:
    return float(np.abs(np.nan_to_num(values)).max(initial=0.0))


def _check(off: float, limit: float, largest: float, dtype: torch.dtype) -> None:
    """Refuse contributions that do not add up to the logit."""
    if not abs(off) <= limit:
        name = str(dtype).removeprefix("torch.")
        raise LensError(
            f"The contributions do not add up to the lens's logit: off by {abs(off):.2g}, more than "
            f"{limit_of(dtype):g} of the largest, {largest:.2g}, in {name}."
            + (" Try --dtype float32." if dtype != torch.float32 else "")
        )
