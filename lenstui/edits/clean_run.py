"""The clean run that edits are made for: what they take from it, and whether it has what they name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lenstui.causal.maps import find_maps
from lenstui.edits.directions import token_direction
from lenstui.edits.edit import Columns, Component, Rows
from lenstui.edits.hooks import values_of
from lenstui.lens.lens import Lens
from lenstui.lens.names import no_row
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.summands import find_summands
from lenstui.model.tokens import Prompt
from lenstui.readout.pins import find_pins
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError


@dataclass(frozen=True, eq=False)
class CleanRun:
    """What edits are made for: the clean model, the prompt, how prompts are tokenized, and the lens."""

    model: Model
    prompt: Prompt
    reading: Reading
    lens: Lens

    @property
    def count(self) -> int:
        """The number of the prompt's columns."""
        return len(self.prompt.ids)

    @cached_property
    def stream(self) -> Tensor:
        """The residual stream of the clean run, `[L + 1, cols, d]`."""
        return self.stream_of(self.prompt)

    def stream_of(self, prompt: Prompt) -> Tensor:
        """Return the residual stream of the clean run of a prompt, `[L + 1, cols, d]`."""
        return self.model.stream(torch.tensor([list(prompt.ids)]))[:, 0]

    def values(self, prompt: Prompt, component: Component) -> Tensor:
        """Return what a component is in the clean run of a prompt, `[cols, width]`."""
        return values_of(self.model, torch.tensor([list(prompt.ids)]), [component])[component]

    def columns(self, columns: Columns | None) -> list[int] | None:
        """Return the columns of an edit; None for everywhere."""
        return None if columns is None else columns.of(self.count)

    def rows(self, rows: Rows) -> range:
        """Return the indices of rows in the residual stream, 0 for `emb`.

        Raises:
            LensError: if the model does not have one of them.
        """
        for block in (rows.first, rows.last):
            check_component(self.model, Component("stream", block))
        return range(rows.first + 1, rows.last + 2)

    def direction(self, word: str, row: int) -> Tensor:
        """Return the direction of a word in a row, through the lens, `[d]`.

        The word is the token with a space before it, if there is one.

        Raises:
            LensError: if no token is the word, or the lens does not read the row.
        """
        if row < self.model.num_blocks and not self.lens.reads(Row(row)):
            raise LensError(no_row(self.lens.kind, Row(row).label))
        model, text = self.model, self.prompt.text
        pin, *_ = find_pins(model.tokenizer, model.texts, [word], prompt=text, vocabulary=model.vocabulary)
        if not pin.whole:
            raise LensError(f"no token is the word {word!r}")
        return token_direction(self.model, self.lens, row, pin.id, self.stream[-1])


def check_component(model: Model, component: Component) -> None:
    """Refuse a component that a model does not have.

    Raises:
        LensError: if it has no such block or part, or its blocks cannot be taken apart.
    """
    blocks = model.num_blocks
    if component.part == "stream":
        if component.block >= blocks:
            raise LensError(f"there is no row {component.block}: this model has rows emb, 0 … {blocks - 1}")
        return
    if component.block >= blocks:
        raise LensError(f"there is no block {component.block}: this model has blocks 0 … {blocks - 1}")
    block = find_summands(model)[component.block]
    if component.part in {"attn", "head"} and block.attention is None:
        raise LensError(f"block {component.block} has no attention")
    if component.part in {"mlp", "neuron"} and block.mlp is None:
        raise LensError(f"block {component.block} has no MLP")
    maps, index = find_maps(model).blocks[component.block], component.index or 0
    if component.part == "head":
        _check_index(index, maps.heads, "attention head", component.block, maps.no_heads)
    if component.part == "neuron":
        width = 0 if maps.mlp is None else maps.mlp.width
        _check_index(index, width, "neuron", component.block, maps.no_neurons)


def _check_index(index: int, count: int, name: str, block: int, reason: str | None) -> None:
    if not count:
        raise LensError(f"block {block} has no {name}s: {reason}")
    if index >= count:
        raise LensError(f"there is no {name} {index}: block {block} has {name}s 0 … {count - 1}")
