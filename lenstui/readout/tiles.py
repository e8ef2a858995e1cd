"""Readouts: every number of every cell, tile by tile, never `[rows, columns, vocabulary]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lenstui.lens.lens import Lens, lens_keys, lenses_for
from lenstui.lens.logit import with_logit_lens
from lenstui.model.load import Model
from lenstui.model.rows import Row, is_whole_stream, stream_places
from lenstui.model.tokens import Prompt, encode
from lenstui.readout.at_once import cells_at_once
from lenstui.readout.cells import Cells, FloatArray, IntArray, Tile, crystallization_rows
from lenstui.readout.pins import Pin
from lenstui.readout.reduction import DIVERGENCES, final_of, nothing, reduce_rows, stack
from lenstui.readout.remote import read_remotely
from lenstui.readout.streams import Streams, rows_to_read
from lenstui.readout.word_filter import word_ids
from lenstui.readout.words import WordReading, read_words
from lenstui.support.errors import LensError
from lenstui.support.turns import Turns

Watch = Callable[[Streams, str, Row, slice, Tensor], None]
"""What is shown the logits of each row of the residual stream, `[cols, vocabulary]`, of one tile after the
other, as they are read: with the streams, the key of the lens, the row and the columns. The last row, which
is the same by every lens, comes once. The logits are not to be changed."""

_MOST_COLUMNS = 128  # of a tile
# Of the final distributions of those columns of a tile that are read in all rows before the next ones are:
# they stay in a CPU's cache meanwhile.
_RUN_BYTES = 3 << 20


@dataclass(frozen=True, slots=True)
class Readout:
    """All cells of a prompt.

    Attributes:
        prompt: the prompt.
        rows: labels of the rows that were read, top of the network last.
        lenses: cells by lens, under the keys of `lens_keys`: its kind, or `kind:name` from the second of a
            kind on.
        pins: pinned token ids, in the order of the cells' last axis.
        left_over: the `left_over` of the tiles, for all columns, `[cols]`.
        words: words of several tokens, as read in the last column.
    """

    prompt: Prompt
    rows: tuple[str, ...]
    lenses: Mapping[str, Cells]
    pins: tuple[int, ...] = field(default=())
    left_over: FloatArray | None = None
    words: tuple[WordReading, ...] = ()

    def crystallization(self, lens: str) -> IntArray | None:
        """Return the index in `rows` where each column's top-1 settles, -1 for none, `[cols]`.

        None where not all rows of the residual stream were read: the top-1 may differ in one that was not.
        """
        if not is_whole_stream(self.rows):
            return None
        return crystallization_rows(self.lenses[lens].top1, self.rows)

    def rows_of(self, lens: str) -> tuple[tuple[str, ...], Cells]:
        """Return labels and cells of the stream's rows, and of those sublayer rows that a lens reads."""
        cells = self.lenses[lens]
        has = cells.has_rows
        has[stream_places(self.rows)] = True  # a Jacobian lens may have no numbers there, which is to be seen
        return tuple(label for label, there in zip(self.rows, has, strict=True) if there), cells.take(has)

    def stream(self, lens: str) -> Cells:
        """Return the cells of the residual stream's rows alone."""
        return self.lenses[lens].take(stream_places(self.rows))

    @classmethod
    def join(
        cls, prompt: Prompt, rows: tuple[str, ...], tiles: Iterable[Tile], pins: tuple[int, ...] = ()
    ) -> Readout:
        """Return a readout of all its tiles, given in column order."""
        whole = Tile.join(tiles)
        return cls(prompt, rows, whole.lenses, pins, whole.left_over)


def read(
    model: Model,
    text: str | Turns,
    lens: Lens | Sequence[Lens] | None = None,
    *,
    top_k: int = 3,
    pins: Sequence[int] = (),
    words: Sequence[str | Pin] = (),
    rows: Sequence[int] | None = None,
    final_norm: bool = True,
    bos: bool | None = None,
    chat: bool = False,
    sublayers: bool = False,
    words_only: bool = False,
) -> Readout:
    """Read one prompt through the logit lens and another lens, or through any number of lenses.

    Args:
        model: from `load`.
        text: the prompt, which may be the turns of a chat, as `encode` takes them.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses; None for the logit
            lens alone.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose logit, log-probability and rank every cell keeps.
        words: words, or pins, whose log-probability is summed along all of their tokens in the last column,
            as `read_words` does.
        rows: indices of the rows to read (0 is `emb`); the last row is always among them. None: all.
        final_norm: False leaves out the logit lens's final norm, except in the last row.
        bos: whether to begin with the BOS token; None leaves it to the tokenizer.
        chat: whether to put the prompt into the tokenizer's chat template, as the user's message.
        sublayers: whether to read the additions of each block's attention and MLP, too, as `read_tiles` does.
        words_only: whether cells keep the likeliest words alone, as `read_tiles` does.

    Raises:
        LensError: if the prompt is empty, a lens or row does not fit the model, there is no chat template, or
            the blocks cannot be taken apart.
    """
    prompt = encode(model.tokenizer, text, bos=bos, chat=chat, context=model.context)
    tiles = read_tiles(
        model,
        prompt,
        lens,
        top_k=top_k,
        pins=pins,
        rows=rows,
        final_norm=final_norm,
        sublayers=sublayers,
        words_only=words_only,
    )
    labels = tuple(row.label for row in rows_to_read(model, rows, sublayers=sublayers))
    readout = Readout.join(prompt, labels, tiles, tuple(pins))
    if not words:
        return readout
    read = read_words(model, prompt, words, lens, rows=rows, final_norm=final_norm, sublayers=sublayers)
    return replace(readout, words=read)


def read_tiles(
    model: Model,
    prompt: Prompt,
    lens: Lens | Sequence[Lens] | None = None,
    *,
    top_k: int = 3,
    pins: Sequence[int] = (),
    rows: Sequence[int] | None = None,
    first: range | None = None,
    columns: range | None = None,
    final_norm: bool = True,
    sublayers: bool = False,
    words_only: bool = False,
    sums: Tensor | None = None,
    watch: Watch | None = None,
) -> Iterator[Tile]:
    """Read a prompt tile by tile, the columns `first` before the others.

    Closing the generator between two tiles stops the work.

    With `sublayers` there are rows between those of the residual stream. Before row `k` come `k.attn` and
    `k.mlp`, the logits that attention and MLP of block `k` add (`lenstui.model.contribution`); their numbers
    are those of the distribution that these logits alone would give. `k.mid`, the stream between the two, is
    read as any row; it exists where the MLP reads the stream after attention. A fitted lens reads none of
    these rows: its cells there are NaN and -1.

    With `words_only`, the readout filter, the likeliest tokens that a cell keeps are those with a letter or
    digit. Every other number, `Cells.top1` among them, stays that of the whole vocabulary.

    Args:
        model: from `load`.
        prompt: from `encode`.
        lens: a lens for this model, beside the logit lens; a list for exactly its lenses; None for the logit
            lens alone.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose logit, log-probability and rank every cell keeps.
        rows: indices of the rows to read; None: all.
        first: the columns that are on screen.
        columns: a run of the prompt's columns, to read no others; None: all.
        final_norm: False leaves out the logit lens's final norm, except in the last row.
        sublayers: whether to read the additions of each block's attention and MLP, too.
        words_only: whether cells keep the likeliest tokens with a letter or digit, in any script, alone.
        sums: what the distributions of each tile's columns are added to, `[distributions, vocabulary]`,
            float32 on the model's device: first the final one, then those of the `lens_rows`. NaN in one of
            which a cell is not a number.
        watch: what is shown the logits.

    Yields:
        Tiles that together cover those columns once; in column order if `first` is None.

    Raises:
        LensError: if a lens, a row, a pin or `top_k` does not fit the model, the blocks cannot be taken
            apart, or no token is a word.
    """
    lenses = lenses_for(model, with_logit_lens(lens, final_norm=final_norm))
    if top_k < 1:
        raise LensError(f"A cell keeps at least one token, not {top_k}.")
    if wrong := [pin for pin in pins if not 0 <= pin < model.vocabulary]:
        raise LensError(f"There is no token {wrong[0]}: the vocabulary has ids 0 … {model.vocabulary - 1}.")
    chosen = rows_to_read(model, rows, sublayers=sublayers)
    words = word_ids(model) if words_only else None
    wanted = range(len(prompt.ids)) if columns is None else columns
    if model.remote is not None:
        if sublayers or sums is not None or watch is not None:
            raise model.remote.refuse("To take blocks apart, or to look at all logits,")
        yield from read_remotely(
            model,
            prompt.ids,
            lenses,
            chosen,
            top_k=top_k,
            pins=tuple(pins),
            words=words,
            columns=wanted,
            first=first,
        )
        return
    ids = torch.tensor(prompt.ids, device=model.device)
    streams = Streams.of(model, prompt.ids, lenses, chosen)
    width = _tile_width(model)
    # Rows that are not read together want wide runs: each goes through the head's matrix by itself.
    run = width if watch is not None or any(row.part for row in chosen) else _run_width(model)
    for tile_start, tile_stop in _tile_bounds(wanted, width, first):
        with torch.inference_mode():
            tile = Tile.join(
                _read_run(
                    streams,
                    lenses,
                    slice(start, stop),
                    ids[start + 1 : stop + 1],  # one short in the prompt's last run
                    rows=chosen,
                    top_k=top_k,
                    pins=tuple(pins),
                    words=words,
                    sums=sums,
                    watch=watch,
                )
                for start, stop in _tile_bounds(range(tile_start, tile_stop), run, None)
            )
        yield tile  # outside the block, so that the caller's code does not run in inference mode


def _cells_at_once(model: Model) -> int:
    """Return the number of cells whose logits there are at once."""
    return cells_at_once(model.device.type, model.dtype.itemsize, model.vocabulary)


def _tile_width(model: Model) -> int:
    """Return the number of columns per tile."""
    return min(_MOST_COLUMNS, _cells_at_once(model))


def _run_width(model: Model) -> int:
    """Return the number of columns of a tile that are read in all rows before the next ones are."""
    width = _tile_width(model)
    return min(width, max(4, _RUN_BYTES // (4 * model.vocabulary))) if model.device.type == "cpu" else width


def _tile_bounds(columns: range, width: int, first: range | None) -> Iterator[tuple[int, int]]:
    """Yield the bounds of tiles: the columns on screen first, then those right of them, then left of them."""
    begin, end = columns.start, columns.stop
    visible = range(0) if first is None else range(max(begin, first.start), min(end, first.stop))
    runs = [visible, range(visible.stop, end), range(begin, visible.start)] if visible else [columns]
    for run in runs:
        tiles = -(-len(run) // width)
        for tile in range(tiles):  # of even width, since a narrow tile costs nearly as much as a wide one
            yield run.start + len(run) * tile // tiles, run.start + len(run) * (tile + 1) // tiles


def _read_run(
    streams: Streams,
    lenses: Sequence[Lens],
    columns: slice,
    next_ids: Tensor,
    *,
    rows: Sequence[Row],
    top_k: int,
    pins: tuple[int, ...],
    words: Tensor | None,
    sums: Tensor | None,
    watch: Watch | None,
) -> Tile:
    """Read all chosen rows of one run of columns, through one lens after the other."""
    head, last, keys = streams.model.head, Row(streams.model.num_blocks), lens_keys(lenses)
    # The last row, which is the same by every lens, comes first: all others are held against it.
    stream_rows = [(keys[0], lenses[0], last)]
    stream_rows += [
        (key, lens, row)
        for key, lens in zip(keys, lenses, strict=True)
        for _, row in lens_rows([lens], rows, last)
    ]
    most = max(1, _cells_at_once(streams.model) // (columns.stop - columns.start))
    groups = -(-len(stream_rows) // most)
    at_once = -(
        -len(stream_rows) // groups
    )  # evenly, since a narrow product takes nearly as long as a wide one
    final, left_over = None, None
    read: list[dict[str, Tensor]] = []
    for start in range(0, len(stream_rows), at_once):
        group = stream_rows[start : start + at_once]
        normed = torch.cat([streams.normed(lens, row, columns) for _, lens, row in group])
        logits = head.own_logits(normed).view(
            len(group), len(normed) // len(group), -1
        )  # [rows, cols, vocabulary]
        if final is None:
            final = final_of(logits[0], next_ids)
            left_over = streams.left_over(columns, logits[0])
        if watch is not None:
            for (key, _, row), of_row in zip(group, logits, strict=True):
                watch(streams, key, row, columns, of_row.float())
        of_group = None if sums is None else sums[start : start + len(group)]
        read += reduce_rows(logits, final, top_k, pins, words, sums=of_group)
        del logits  # before the next are made
    assert final is not None
    last_cells, *others = read
    # The divergence of a distribution from itself is exactly 0; the computed one is rounding.
    for name in DIVERGENCES:
        last_cells[name] = last_cells[name].masked_fill(final["neg_entropy"].isfinite(), 0.0)
    each = iter(others)

    def read_row(lens: Lens, row: Row) -> Mapping[str, Tensor]:
        if row == last:
            return last_cells
        if not lens.reads(row):
            return nothing(last_cells)
        if row.part is None:
            return next(each)
        return reduce_rows(streams.logits(lens, row, columns)[None], final, top_k, pins, words)[0]

    cells = {
        key: stack([read_row(lens, row) for row in rows]) for key, lens in zip(keys, lenses, strict=True)
    }
    return Tile(columns.start, columns.stop, cells, None if left_over is None else left_over.cpu().numpy())


def lens_rows(lenses: Sequence[Lens], rows: Iterable[Row], last: Row) -> Iterator[tuple[Lens, Row]]:
    """Yield each lens with each row of the residual stream below the last one that it reads."""
    plain = [row for row in rows if row.part is None and row != last]
    return ((lens, row) for lens in lenses for row in plain if lens.reads(row))
