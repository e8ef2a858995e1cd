"""The vectors that the rows of a prompt are read from, and their logits through a lens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.lens.lens import Lens
from lenstui.model.contribution import Contribution, find_contribution, sound_columns
from lenstui.model.load import Model
from lenstui.model.rows import Row, choose_rows, with_parts
from lenstui.model.sublayers import Sublayers, parts_of, read_sublayers
from lenstui.support.errors import LensError


def rows_to_read(
    model: Model, rows: Sequence[int] | None = None, *, sublayers: bool = False
) -> tuple[Row, ...]:
    """Return the rows of a readout, in its order.

    Args:
        model: from `load`.
        rows: indices of the residual stream's rows, 0 for `emb`; the last is always among them. None: all.
        sublayers: whether to put the sublayer rows of its block before each row.

    Raises:
        LensError: if there is no such row, or the blocks cannot be taken apart.
    """
    return with_parts(choose_rows(model.num_blocks, rows), parts_of(model) if sublayers else ())


@dataclass(frozen=True, eq=False)
class Streams:
    """The residual stream of one prompt, with the additions of its blocks' parts where these are read.

    Attributes:
        model: the model that was run.
        h: `h_0 … h_L`, `[L + 1, cols, d]`.
        parts: what the parts of each block add, where a lens reads them.
        contributions: what makes logits of them, through the final norm (True) and past it (False), as far
            as lenses read them so.
    """

    model: Model
    h: Tensor
    parts: Sublayers | None
    contributions: Mapping[bool, Contribution]

    @classmethod
    def of(cls, model: Model, ids: Sequence[int], lenses: Sequence[Lens], rows: Sequence[Row]) -> Streams:
        """Run a prompt, and take the blocks apart if a lens reads what their parts add.

        Args:
            model: from `load`.
            ids: token ids, one per column.
            lenses: that will read it.
            rows: that they will be asked for.

        Raises:
            LensError: if the model does not have one of the tokens, the blocks cannot be taken apart, or
                their parts' additions cannot be given in logits.
        """
        parts_read = [row for row in rows if row.part is not None]
        readers = [lens for lens in lenses if any(map(lens.reads, parts_read))]
        if not readers:
            return cls(model, model.stream(torch.tensor([list(ids)]))[:, 0], None, {})
        parts = read_sublayers(model, ids)
        sound = sound_columns(parts.stream[-1])
        if not len(sound):
            raise LensError("No column of this prompt has finite numbers: there is nothing to take apart.")
        contributions = {
            final_norm: find_contribution(model.head, sound, final_norm=final_norm)
            for final_norm in {lens.final_norm for lens in readers}
        }
        return cls(model, parts.stream, parts, contributions)

    def normed(self, lens: Lens, row: Row, columns: slice) -> Tensor:
        """Return the input of the head's matrix in a row of the residual stream, `[cols, d]`."""
        return lens.normed(self.model, self.h[row.h, columns], row.h)

    def logits(self, lens: Lens, row: Row, columns: slice) -> Tensor:
        """Return the logits of a row by a lens that reads it, `[cols, vocabulary]`, float32.

        To be called in inference mode.
        """
        if row.part is None:
            return self.model.head.logits(self.normed(lens, row, columns))
        assert self.parts is not None
        h = self.parts.of(row, columns)
        if row.is_contribution:
            return self.contributions[lens.final_norm](h, self.h[-1, columns])
        # The stream between attention and MLP is before the last row, even in the last block.
        return lens.logits(self.model, h, row.h - 1)

    def column(self, lens: Lens, rows: Sequence[Row], column: int) -> Tensor:
        """Return the logits of one column in rows of the residual stream, `[rows, vocabulary]`, float32.

        To be called in inference mode.
        """
        normed = [self.normed(lens, row, slice(column, column + 1)) for row in rows]
        return self.model.head.logits(torch.cat(normed))

    def left_over(self, columns: slice, final_logits: Tensor) -> Tensor | None:
        """What the parts of every block, the embedding and the biases do not account for, nats, `[cols]`.

        The largest difference, over the vocabulary, between the final logits that they add up to and the
        model's own; None where the blocks are not taken apart, or every lens passes over the final norm.

        Args:
            columns: the columns to compare.
            final_logits: the model's own, `[cols, vocabulary]`.

        Returns:
            The largest difference, over the vocabulary, between the final logits that the parts add up to and
                the model's own, `[cols]`; None where the blocks are not taken apart, or the final norm is
                left out.
        """
        if self.parts is None or (contribution := self.contributions.get(True)) is None:
            return None
        whole = contribution.whole(self.parts.summed(columns), self.h[-1, columns])
        # A forbidden token has -inf on both sides; a column that overflowed has no number.
        off = torch.where(whole == final_logits, 0.0, (whole - final_logits).abs()).amax(-1)
        return off.where(off.isfinite(), torch.nan)
