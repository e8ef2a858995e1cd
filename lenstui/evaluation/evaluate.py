"""Evaluation of lenses on a text, row by row, whatever they were fitted on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lenstui.evaluation.calibration import Calibration
from lenstui.evaluation.marginal_bias import MarginalSums, marginal_bias_refusal
from lenstui.evaluation.sums import Sums, counts, means, sums_of
from lenstui.lens.lens import Lens, lens_keys, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.cells import Cells, Tile, agreement
from lenstui.readout.tiles import read_tiles
from lenstui.support.errors import LensError
from lenstui.texts.blocks import TOO_LITTLE
from lenstui.texts.bootstrap import BlockSums, bootstrap_error


@dataclass(frozen=True, slots=True)
class Quality:
    """What one lens reaches on a text, per row, `emb` first, the model's own output last.

    A mean is over the positions whose cell in that row and final cell are both numbers; NaN where there are
    none. What is said of the next token is over those of them that have one in their block.

    Attributes:
        kl: KL(final ‖ lens), nats.
        ce: the cross-entropy of the text's next token, nats.
        top1_agreement: the share of positions whose top-1 is the final top-1.
        perplexity: the exponential of `ce`.
        bits_per_byte: the bits that the text's next tokens take, for each byte of UTF-8 of exactly these
            tokens. Special tokens such as BOS and EOS, and each block's first token, are in neither.
        entropy: the entropy of the lens's distribution, nats.
        ece: the expected calibration error of the top-1 against the next token: the mean over 15 bins of
            equal mass of |mean probability - share of hits|; exact up to 32,768 positions.
        marginal_bias: KL(mean final ‖ mean lens) of the means over all positions, nats, less the bias of a
            finite sample (jackknife over at most 32 groups of blocks), so that it may be slightly below 0;
            NaN in rows with a cell that is not a number, and for a single block; empty where it was not
            measured.
        sem: the standard error of each measure by its name, per row: by bootstrap of runs of blocks, since
            positions that are near to each other are not independent; of the marginal bias by the
            jackknife. Empty for a single block.
        tokens: the number of positions that were read.
        blocks: the number of blocks.
        left_out: the number of positions that do not count because logits are not finite, per row; empty for
            none.
        lacks: the indices of the rows that the lens does not have; its means there are NaN.
    """

    kl: tuple[float, ...]
    ce: tuple[float, ...]
    top1_agreement: tuple[float, ...]
    perplexity: tuple[float, ...] = ()
    bits_per_byte: tuple[float, ...] = ()
    entropy: tuple[float, ...] = ()
    ece: tuple[float, ...] = ()
    marginal_bias: tuple[float, ...] = ()
    sem: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tokens: int = 0
    blocks: int = 0
    left_out: tuple[int, ...] = ()
    lacks: tuple[int, ...] = ()

    @property
    def kl_sem(self) -> tuple[float, ...]:
        """The standard error of `kl`; empty for a single block."""
        return self.sem.get("kl", ())

    @property
    def mean_kl(self) -> float:
        """The mean KL over the rows that the lens has, but for the last."""
        known = [kl for row, kl in enumerate(self.kl[:-1]) if row not in self.lacks]
        return sum(known) / len(known) if known else math.nan

    def of(self, measure: str) -> tuple[float, ...]:
        """Return the values of a measure by its name, per row; empty where it was not measured."""
        values: tuple[float, ...] = getattr(self, measure)
        return values


def evaluate(
    model: Model,
    blocks: Iterable[Tensor],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    marginal_bias: bool = True,
    go_on: Callable[[int], bool] = lambda columns: True,
) -> Mapping[str, Quality]:
    """Evaluate the logit lens and another lens, or any number of lenses, in one pass of the model.

    Memory does not grow with the text. The marginal bias takes `128 · vocabulary` bytes for each row of each
    lens; where that is more than 2 GiB in all it is not measured.

    Args:
        model: from `load`.
        blocks: token ids `[cols]`, on the CPU.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses.
        marginal_bias: whether to measure that, too.
        go_on: is called with the number of columns that were read, a few at a time. If it returns False the
            evaluation ends there, with the blocks that are whole.

    Returns:
        The quality by lens, under the keys of `lens_keys`: `"logit"`, `"tuned"`, … Empty if it was ended
        before a block was whole.

    Raises:
        LensError: if there is no block.
    """
    lenses = lenses_for(model, with_logit_lens(lens))  # once, not for each block
    marginal_bias = marginal_bias and marginal_bias_refusal(model, lenses) is None
    tally = _Tally(model, lenses, MarginalSums(model, lenses) if marginal_bias else None)
    some = False
    for block in blocks:
        some = True
        if not tally.read(block, go_on):
            break
    if not some:
        raise LensError(TOO_LITTLE)
    return tally.qualities()


class _Tally:
    """What is kept of the blocks that were read."""

    def __init__(self, model: Model, lenses: Sequence[Lens], marginals: MarginalSums | None) -> None:
        self._model = model
        self._lenses = lenses
        self._keys = lens_keys(lenses)
        self._sums = BlockSums()  # of each block, [lenses, PARTS, rows]
        self._calibrations = [Calibration(model.num_blocks + 1) for _ in lenses]
        self._marginals = marginals
        self._tokens = self._blocks = 0

    def read(self, block: Tensor, go_on: Callable[[int], bool]) -> bool:
        """Read a block, and return whether to go on; if not before its end, it counts nowhere."""
        ids = block.tolist()
        sums = None if self._marginals is None else self._marginals.block
        tiles: list[Tile] = []
        going_on = True
        for tile in read_tiles(self._model, Prompt("", tuple(ids)), self._lenses, top_k=1, sums=sums):
            if not going_on:
                return False
            tiles.append(tile)
            going_on = go_on(tile.stop - tile.start)
        self._add(ids, tiles)
        return going_on

    def _add(self, ids: Sequence[int], tiles: Sequence[Tile]) -> None:
        """Add a block that was read."""
        following = np.array([*ids[1:], -1])  # -1: the next token is not in this block
        texts = self._model.texts
        sizes = [texts.byte_count(token) if token >= 0 else None for token in following.tolist()]
        next_bytes = np.array([-1 if size is None else size for size in sizes])
        of_lenses = []
        for key, calibration in zip(self._keys, self._calibrations, strict=True):
            cells = Cells.join(tile.lenses[key] for tile in tiles)
            of_lenses.append(sums_of(cells, following >= 0, next_bytes))
            calibration.add(*_confidence(cells, following))
        self._sums.add(np.stack(of_lenses))
        if self._marginals is not None:
            self._marginals.close_block(len(ids))
        self._tokens += len(ids)
        self._blocks += 1

    def qualities(self) -> dict[str, Quality]:
        """Return the quality of each lens, under its key; none if no block was read."""
        if not self._blocks:
            return {}
        sums = self._sums.stacked()
        return {key: self._quality(place, sums[:, place]) for place, key in enumerate(self._keys)}

    def _quality(self, place: int, sums: Sums) -> Quality:
        """Return the quality of a lens from the sums of its blocks, `[blocks, PARTS, rows]`."""
        total = sums.sum(axis=0)
        values = means(total)
        drawn = bootstrap_error(sums, lambda sums: np.stack([*means(sums).values()], axis=-2))
        errors = dict(zip(values, drawn, strict=True))
        values["ece"], errors["ece"] = self._calibrations[place].errors()
        if self._marginals is not None:
            values["marginal_bias"], errors["marginal_bias"] = self._marginals.biases(place)
        counted, unread = counts(total)
        left_out = tuple((self._tokens - counted - unread).tolist())
        return Quality(
            **{name: tuple(of_rows.tolist()) for name, of_rows in values.items()},
            sem={name: tuple(of_rows.tolist()) for name, of_rows in errors.items()} if len(sums) > 1 else {},
            tokens=self._tokens,
            blocks=self._blocks,
            left_out=left_out if any(left_out) else (),
            lacks=tuple(np.flatnonzero(unread).tolist()),
        )


def _confidence(
    cells: Cells, following: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return the probability of each cell's top-1, and whether it is the next token, `[rows, cols]` each.

    Args:
        cells: the cells of a block.
        following: the next tokens, -1 where there is none, `[cols]`.
    """
    counted = ~np.isnan(agreement(cells.top1)) & (following >= 0)
    confidence = np.where(counted, cells.top_probs[..., 0], np.nan).astype(np.float32)
    return confidence, np.equal(cells.top1, following)
