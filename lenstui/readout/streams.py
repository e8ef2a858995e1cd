"""What the rows of a prompt are made of, and what a lens makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.lens.lens import Lens
from lenstui.model.contribution import Contribution, find_contribution
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.sublayers import Sublayers, read_sublayers
from lenstui.support.errors import LensError

_PROOF_COLUMNS = 8  # on which final norm and head are shown to be linear


@dataclass(frozen=True, eq=False)
class Streams:
    """One prompt, run through a model.

    Attributes:
        model: which one.
        h: `h_0 … h_L`, `[L + 1, cols, d]`.
        parts: what the parts of each block add, where that is wanted.
        contribution: what makes logits of them.
        final_norm: whether it does so through the final norm.
    """

    model: Model
    h: Tensor
    parts: Sublayers | None
    contribution: Contribution | None
    final_norm: bool

    @classmethod
    def of(
        cls, model: Model, ids: Sequence[int], *, final_norm: bool = True, sublayers: bool = False
    ) -> Streams:
        """Run a prompt.

        Args:
            model: from `load`.
            ids: token ids, one per column.
            final_norm: False has contributions pass over the final norm.
            sublayers: take the blocks apart.

        Raises:
            LensError: for a token that the model does not have, or if the blocks cannot be taken apart, or
                their parts not be given in logits.
        """
        if not sublayers:
            h = model.stream(torch.tensor([list(ids)]))[:, 0]
            return cls(model, h, None, None, final_norm)
        parts = read_sublayers(model, ids)
        last = parts.stream[-1]
        sound = last[last.isfinite().all(-1)][:_PROOF_COLUMNS]  # [cols, d]
        if not len(sound):
            raise LensError("No column of this prompt has finite numbers: there is nothing to take apart.")
        contribution = find_contribution(model.head, sound, final_norm=final_norm)
        return cls(model, parts.stream, parts, contribution, final_norm)

    def normed(self, lens: Lens, row: Row, columns: slice) -> Tensor:
        """Return what the head's matrix is applied to in a row of the residual stream, `[cols, d]`."""
        return lens.normed(self.model, self.h[row.h, columns], row.h)

    def logits(self, lens: Lens, row: Row, columns: slice) -> Tensor:
        """Return the logits of a row by a lens that reads it, `[cols, vocabulary]`, float32.

        In inference mode.
        """
        if row.part is None:
            return self.model.head.logits(self.normed(lens, row, columns))
        assert self.parts is not None and self.contribution is not None
        h = self.parts.of(row, columns)
        if row.is_contribution:
            return self.contribution(h, self.h[-1, columns])
        # The stream between attention and MLP is before the last row, even in the last block.
        return lens.logits(self.model, h, row.h - 1)

    def left_over(self, columns: slice, final_logits: Tensor) -> Tensor | None:
        """What the parts of every block, the embedding and the biases do not account for, nats, `[cols]`.

        The largest difference, over the vocabulary, between the final logits that they add up to and the
        model's own; None where the blocks are not taken apart, or the final norm is passed over.

        Args:
            columns: which.
            final_logits: the model's own, `[cols, vocabulary]`.
        """
        if self.parts is None or self.contribution is None or not self.final_norm:
            return None
        whole = self.contribution.whole(self.parts.summed(columns), self.h[-1, columns])
        # A forbidden token has -inf on both sides; a column that overflowed has no number.
        off = torch.where(whole == final_logits, 0.0, (whole - final_logits).abs()).amax(-1)
        return off.where(off.isfinite(), torch.nan)
