"""A second model, or another lens, against the first: the rows of both, compared while the first is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.lens.lens import Lens
from lenstui.lens.logit import LogitLens
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.readout.cells import Cells
from lenstui.readout.reduction import DIVERGENCES, final_of, nothing, reduce_rows, stack
from lenstui.readout.streams import Streams, rows_to_read


@dataclass(frozen=True, slots=True)
class SecondCells:
    """The cells of a second side for all columns of a prompt, compared with those of the first side.

    The first side's distribution of the same row stands for the final one: `kl` is KL(first ‖ second), `js`
    the divergence of the two, `final_rank` the second's rank of the first's top-1. All else is the second's.

    Attributes:
        final: the cells of the last row alone, `[1, cols]`; None where the model is that of the first side.
        pairs: the cells of all rows by the key of the first side's lens that they are compared with.
    """

    final: Cells | None
    pairs: Mapping[str, Cells]


class Against:
    """A second side, read beside the first: it is called with the first side's logits as a `watch` of tiles.

    Where the vocabularies are not of the same size, as one is padded, both distributions are those over the
    tokens that both have.
    """

    def __init__(self, model: Model, lenses: Mapping[str, Lens]) -> None:
        """Begin without a prompt.

        Args:
            model: the second side's model, which may be that of the first.
            lenses: its lenses by the key of the first side's lens that each is compared with; none where
                the last rows alone are compared, as the models are not of the same depth.
        """
        self.model = model
        self.lenses = {key: lens.to(model.device) for key, lens in lenses.items()}
        self._last = Row(model.num_blocks)
        self._ids: Sequence[int] = ()
        self._streams: Streams | None = None
        self._read: dict[tuple[str | None, int], list[Mapping[str, Tensor]]] = {}

    def begin(self, first: Model, ids: Sequence[int], streams: Streams | None = None) -> None:
        """Begin with a prompt, which runs the second model once, unless it is the first.

        Args:
            first: the first side's model.
            ids: the token ids of the prompt.
            streams: those of the second model, if it has read this prompt already; it is not run then.

        Raises:
            LensError: if the second model does not have one of the tokens.
        """
        self._ids = ids
        self._read.clear()
        self._streams = streams
        if first is not self.model and streams is None:
            self._streams = Streams.of(self.model, ids, tuple(self.lenses.values()), rows_to_read(self.model))

    def __call__(self, streams: Streams, key: str, row: Row, columns: slice, logits: Tensor) -> None:
        """Compare a row of a run of columns.

        Args:
            streams: of the first side.
            key: the key of the first side's lens.
            row: the row, of which the last one comes once.
            columns: the columns, from left to right from call to call.
            logits: the first side's, `[cols, vocabulary]`; they are not changed.
        """
        is_last = row.h == streams.model.num_blocks
        if is_last and self._streams is None:
            theirs = logits.clone()  # to the last bit, which another product might not be
        else:
            lens = LogitLens() if is_last else self.lenses.get(key)
            if lens is None or not lens.reads(row):
                return
            theirs = (self._streams or streams).logits(lens, self._last if is_last else row, columns)
        following = torch.tensor(self._ids[columns.start + 1 : columns.stop + 1], device=theirs.device)
        place = (None, self._last.h) if is_last else (key, row.h)
        self._read.setdefault(place, []).append(_compared(logits, theirs, following.long()))

    def cells(self) -> SecondCells:
        """Return the cells of all columns that were compared since the beginning."""
        read = {place: _joined(parts) for place, parts in self._read.items()}
        last = read[None, self._last.h]
        none = nothing(last)
        return SecondCells(
            None if self._streams is None else stack([last]),
            {
                key: stack([*(read.get((key, h), none) for h in range(self._last.h)), last])
                for key in self.lenses
            },
        )


def _compared(first: Tensor, second: Tensor, next_ids: Tensor) -> dict[str, Tensor]:
    """Return the numbers of the second side's logits `[cols, vocabulary]`, against those of the first."""
    shared = min(first.shape[-1], second.shape[-1])
    first, second = first[:, :shared].to(second.device), second[:, :shared]
    are_same = (first == second).all(-1)
    (numbers,) = reduce_rows(second[None], final_of(first, next_ids), 1, ())
    for name in DIVERGENCES:  # of what is the same they are 0, and the computed ones are rounding
        numbers[name] = numbers[name].masked_fill(are_same, 0.0)
    return numbers


def _joined(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the numbers of neighbouring runs of columns as one."""
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
