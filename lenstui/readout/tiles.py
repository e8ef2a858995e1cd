"""Readouts: every number of every cell, tile by tile, never `[rows, columns, vocabulary]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import numpy as np
import torch
from torch import Tensor

from lenstui.lens.tuned import TunedLens
from lenstui.model.head import Head
from lenstui.model.load import Model
from lenstui.model.rows import Row, choose_rows, is_whole_stream, stream_places, with_parts
from lenstui.model.sublayers import parts_of
from lenstui.model.tokens import Prompt, encode
from lenstui.readout.cells import Cells, FloatArray, IntArray, Tile, crystallization_rows
from lenstui.readout.reduction import DIVERGENCES, Final, nothing, reduce_row, stack
from lenstui.readout.streams import Streams
from lenstui.support.errors import LensError

LENSES = ("logit", "tuned")

# One row of a tile's logits, float32: enough columns for an efficient product, and little memory.
_TILE_BYTES = {"cpu": 32 << 20}
_TILE_BYTES_ACCELERATOR = 256 << 20


@dataclass(frozen=True, slots=True)
class Readout:
    """All cells of a prompt.

    Attributes:
        prompt: what was read.
        rows: labels of the rows that were read, top of the network last.
        lenses: cells by lens name.
        pins: pinned token ids, in the order of the cells' last axis.
        left_over: as a tile's, of all columns.
    """

    prompt: Prompt
    rows: tuple[str, ...]
    lenses: Mapping[str, Cells]
    pins: tuple[int, ...] = field(default=())
    left_over: FloatArray | None = None

    def crystallization(self, lens: str) -> IntArray | None:
        """Per column, the index in `rows` of the row where the top-1 settles, -1 for none, `[cols]`.

        None where not all rows of the residual stream were read: it may settle in one that was not.
        """
        if not is_whole_stream(self.rows):
            return None
        return crystallization_rows(self.lenses[lens].top_ids[:, :, 0], self.rows)

    def rows_of(self, lens: str) -> tuple[tuple[str, ...], Cells]:
        """Labels and cells of the rows that a lens has numbers of: the tuned lens reads no sublayer."""
        cells = self.lenses[lens]
        has = cells.has_rows
        return tuple(label for label, there in zip(self.rows, has, strict=True) if there), cells.take(has)

    def stream(self, lens: str) -> Cells:
        """Cells of the residual stream's rows alone."""
        return self.lenses[lens].take(stream_places(self.rows))

    @classmethod
    def join(
        cls, prompt: Prompt, rows: tuple[str, ...], tiles: Iterable[Tile], pins: tuple[int, ...] = ()
    ) -> Readout:
        """A readout from all its tiles, in column order."""
        parts = list(tiles)
        lenses = {name: Cells.join(tile.lenses[name] for tile in parts) for name in parts[0].lenses}
        left_over = [tile.left_over for tile in parts if tile.left_over is not None]
        return cls(prompt, rows, lenses, pins, np.concatenate(left_over) if left_over else None)


def read(
    model: Model,
    text: str,
    lens: TunedLens | None = None,
    *,
    top_k: int = 3,
    pins: Sequence[int] = (),
    rows: Sequence[int] | None = None,
    final_norm: bool = True,
    bos: bool | None = None,
    chat: bool = False,
    sublayers: bool = False,
) -> Readout:
    """Read one prompt through the logit lens and, where there is one, the tuned lens.

    Args:
        model: from `load`.
        text: the prompt.
        lens: a tuned lens for this model.
        top_k: how many of the likeliest tokens each cell keeps.
        pins: token ids whose logit, log-probability and rank every cell keeps.
        rows: indices of the rows to read (0 is `emb`); the last row is always among them. None: all.
        final_norm: False has the logit lens pass over the final norm, but for the last row.
        bos: begin with the BOS token or not; None leaves it to the tokenizer.
        chat: put the prompt into the tokenizer's chat template, as what the user says.
        sublayers: read what attention and MLP of each block add, too, as `read_tiles` says.

    Raises:
        LensError: for an empty prompt, a lens or row that does not fit the model, a chat template that is not
            there, or blocks that cannot be taken apart.
    """
    prompt = encode(model.tokenizer, text, bos=bos, chat=chat, context=model.context)
    tiles = read_tiles(
        model, prompt, lens, top_k=top_k, pins=pins, rows=rows, final_norm=final_norm, sublayers=sublayers
    )
    labels = tuple(row.label for row in rows_to_read(model, rows, sublayers=sublayers))
    return Readout.join(prompt, labels, tiles, tuple(pins))


def rows_to_read(
    model: Model, rows: Sequence[int] | None = None, *, sublayers: bool = False
) -> tuple[Row, ...]:
    """The rows of a readout, in its order.

    Args:
        model: from `load`.
        rows: indices of the residual stream's rows, 0 for `emb`; the last is always among them. None: all.
        sublayers: with the parts of the block before each.

    Raises:
        LensError: for a row that there is not, or blocks that cannot be taken apart.
    """
    return with_parts(choose_rows(model.num_blocks, rows), parts_of(model) if sublayers else ())


def read_tiles(
    model: Model,
    prompt: Prompt,
    lens: TunedLens | None = None,
    *,
    top_k: int = 3,
    pins: Sequence[int] = (),
    rows: Sequence[int] | None = None,
    first: range | None = None,
    columns: range | None = None,
    lenses: Collection[str] = LENSES,
    final_norm: bool = True,
    sublayers: bool = False,
) -> Iterator[Tile]:
    """Read a prompt tile by tile, the columns `first` before the others.

    Closing the generator between two tiles stops the work.

    With `sublayers` there are rows between those of the residual stream: before row `k` come `k.attn` and
    `k.mlp`, what attention and MLP of block `k` add to the logits (`lenstui.model.contribution`), their
    numbers those of the distribution that these logits alone would give; and `k.mid`, the stream between the
    two, read as any row, where the MLP reads what attention added. A tuned lens has no translator for any of
    them: its cells there are NaN and -1.

    Args:
        model: from `load`.
        prompt: from `encode`.
        lens: a tuned lens for this model.
        top_k: how many of the likeliest tokens each cell keeps.
        pins: token ids whose logit, log-probability and rank every cell keeps.
        rows: indices of the rows to read; None: all.
        first: the columns that are on screen.
        columns: a run of the prompt's columns, to read no others; None: all.
        lenses: which lenses to read; the tuned one only where there is one.
        final_norm: False has the logit lens pass over the final norm, but for the last row.
        sublayers: read what attention and MLP of each block add, too.

    Yields:
        Tiles that together cover those columns once; in column order if `first` is None.
    """
    if lens is not None:
        lens.check_fits(model.num_blocks, model.d_model)
        lens = lens.to(model.device)
    if top_k < 1:
        raise LensError(f"A cell keeps at least one token, not {top_k}.")
    if wrong := [pin for pin in pins if not 0 <= pin < model.vocabulary]:
        raise LensError(f"There is no token {wrong[0]}: the vocabulary has ids 0 … {model.vocabulary - 1}.")
    chosen = rows_to_read(model, rows, sublayers=sublayers)
    ids = torch.tensor(prompt.ids, device=model.device)
    apart = sublayers and "logit" in lenses  # for the tuned lens there is nothing in it
    streams = Streams.of(model, prompt.ids, final_norm=final_norm, sublayers=apart)
    wanted = range(len(prompt.ids)) if columns is None else columns
    for start, stop in _tile_bounds(wanted, _tile_width(model), first):
        next_ids = ids[start + 1 : stop + 1]  # one short in the prompt's last tile
        with torch.inference_mode():
            tile = _read_tile(
                model,
                lens,
                streams,
                slice(start, stop),
                next_ids,
                rows=chosen,
                top_k=top_k,
                pins=tuple(pins),
                lenses=lenses,
            )
        yield tile  # out here, so that what the caller does next is not in inference mode


def _tile_width(model: Model) -> int:
    """Columns per tile."""
    size = _TILE_BYTES.get(model.device.type, _TILE_BYTES_ACCELERATOR)
    return max(8, min(128, size // (4 * model.vocabulary)))


def _tile_bounds(columns: range, width: int, first: range | None) -> Iterator[tuple[int, int]]:
    """Cut the columns into tiles: those on screen, then to the right of them, then to the left."""
    begin, end = columns.start, columns.stop
    visible = range(0) if first is None else range(max(begin, first.start), min(end, first.stop))
    runs = [visible, range(visible.stop, end), range(begin, visible.start)] if visible else [columns]
    for run in runs:
        tiles = -(-len(run) // width)
        for tile in range(tiles):  # of even width: a narrow one would cost nearly as much as a wide one
            yield run.start + len(run) * tile // tiles, run.start + len(run) * (tile + 1) // tiles


def _read_tile(
    model: Model,
    lens: TunedLens | None,
    streams: Streams,
    columns: slice,
    next_ids: Tensor,
    *,
    rows: Sequence[Row],
    top_k: int,
    pins: tuple[int, ...],
    lenses: Collection[str],
) -> Tile:
    """All chosen rows of one run of columns."""
    head, h, last = model.head, streams.h[:, columns], Row(model.num_blocks)
    plain = [row.h for row in rows if row.part is None and row != last]
    lens = lens if "tuned" in lenses else None
    logit_norm = head.norm if streams.final_norm else lambda x: x
    logit_rows = (logit_norm(h[i]) for i in plain if "logit" in lenses)
    tuned_rows = (head.norm(lens.translate(h[i], i)) for i in plain if lens is not None)
    # In this order they are taken below.
    logits = _logits_of_each(head, chain([head.norm(h[-1])], logit_rows, tuned_rows), _tile_width(model))

    final_logits = next(logits)  # [cols, vocabulary]
    left_over = streams.left_over(columns, final_logits)  # before the logits are written over
    final = Final.of(final_logits, next_ids)
    last_cells = reduce_row(final_logits, final, top_k, pins)
    # Of a distribution from itself; what was summed is rounding.
    for name in DIVERGENCES:
        last_cells[name] = last_cells[name].masked_fill(final.is_number, 0.0)

    def logit_row(row: Row) -> Mapping[str, Tensor]:
        own = next(logits) if row.part is None else streams.logits(row, columns)
        return reduce_row(own, final, top_k, pins)

    def tuned_row(row: Row) -> Mapping[str, Tensor]:
        return nothing(last_cells) if row.part is not None else reduce_row(next(logits), final, top_k, pins)

    read: dict[str, Cells] = {}
    if "logit" in lenses:
        read["logit"] = stack([last_cells if row == last else logit_row(row) for row in rows])
    if lens is not None:
        read["tuned"] = stack([last_cells if row == last else tuned_row(row) for row in rows])
    return Tile(columns.start, columns.stop, read, None if left_over is None else left_over.cpu().numpy())


def _logits_of_each(head: Head, rows: Iterable[Tensor], width: int) -> Iterator[Tensor]:
    """Logits `[cols, vocabulary]` of each normed row `[cols, d]`, overwriting which harms no other.

    Narrow rows go through the head together, up to the width of a tile: it is the way through its matrix that
    takes the time, not one more column.
    """
    rest = iter(rows)
    for first in rest:
        together = [first, *islice(rest, max(0, width // len(first) - 1))]
        yield from head.logits(torch.cat(together)).chunk(len(together))
