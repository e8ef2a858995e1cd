"""A readout of a model whose weights are elsewhere: one job reads a run of columns, and sends numbers alone.

A lens that is small goes there with the job. A large one stays here: the states of its rows come here, are
transported, and go back with the job that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.lens import Carried, Lens, lens_keys
from lenstui.model.load import Model
from lenstui.model.remote import Remote
from lenstui.model.rows import Row
from lenstui.readout.cells import Cells, Ranking, Tile
from lenstui.readout.interventions import Asked, columns_here, given, rank_column, read_columns
from lenstui.readout.reduction import DIVERGENCES, nothing, stack
from lenstui.support.errors import LensError

LARGEST_LENS = 32 << 20  # bytes that are sent of all lenses together; of those beyond it states are sent
_STATES = 16 << 20  # bytes of states that come or go with one job
_COLUMNS = 512  # that one job reads, so that a long prompt shows something before all of it is read


def read_remotely(
    model: Model,
    ids: Sequence[int],
    lenses: Sequence[Lens],
    rows: Sequence[Row],
    *,
    top_k: int,
    pins: tuple[int, ...],
    words: Tensor | None,
    columns: range,
    first: range | None = None,
) -> Iterator[Tile]:
    """Read columns of a prompt where the weights are, those of `first` before the others.

    Args:
        model: a model whose weights are elsewhere.
        ids: the token ids of the prompt.
        lenses: the lenses.
        rows: the rows of the residual stream, the last among them.
        top_k: the number of likeliest tokens that each cell keeps.
        pins: token ids whose numbers each cell keeps.
        words: the ids of the tokens to keep the likeliest of, ascending; None for all.
        columns: the columns to read.
        first: the columns that are on screen.

    Yields:
        Tiles that together cover those columns once; in column order if `first` is None.

    Raises:
        LensError: if the service cannot be used.
    """
    remote = model.remote
    assert remote is not None
    model.check_ids(ids)
    last = Row(model.num_blocks)
    read = [(lens, row) for lens in lenses for row in rows if row != last and lens.reads(row)]
    sent, kept = _dealt_out(lenses, read)
    states = model.d_model * model.dtype.itemsize * len({row.h for lens, row in read if lens in kept})
    moved = model.d_model * model.dtype.itemsize * sum(lens in kept for lens, _ in read)
    width = min(_COLUMNS, max(1, _STATES // max(1, states, moved)))
    for start, stop in _runs(columns, width, first):
        here = _transported(remote, ids, kept, read, (start, stop))
        asked: Asked = {
            "columns": (start, stop),
            "next_ids": torch.tensor(list(ids[start + 1 : stop + 1]), dtype=torch.long),
            "rows": _carried(read, here, sent),
            "head": remote.head,
            "top_k": top_k,
            "pins": pins,
            "words": words,
        }
        found = remote.run(ids, read_columns, asked)
        if not _is_whole(found, 1 + len(read), stop - start):
            raise _strange(remote)
        yield _tile(found, (start, stop), lenses, rows, read)


def rank_remotely(
    model: Model,
    ids: Sequence[int],
    lenses: Sequence[Lens],
    row: Row,
    column: int,
    *,
    count: int,
    words: Tensor | None,
) -> dict[str, Mapping[str, Tensor]]:
    """Return the likeliest tokens of a cell by lens, as `ranked` does, under the keys of `lens_keys`.

    Args:
        model: a model whose weights are elsewhere.
        ids: the token ids of the prompt.
        lenses: the lenses.
        row: the row of the cell, of the residual stream.
        column: the index of its column.
        count: the number of tokens.
        words: the ids of the tokens to rank, ascending; None for all.

    Raises:
        LensError: if the service cannot be used, or the row is what a part of a block adds.
    """
    remote = model.remote
    assert remote is not None
    if row.part is not None:
        raise remote.refuse("What a part of a block adds")
    is_last = row.h == model.num_blocks
    read = [] if is_last else [(lens, row) for lens in lenses if lens.reads(row)]
    sent, kept = _dealt_out(lenses, read)
    columns = column, column + 1
    here = _transported(remote, ids, kept, read, columns)
    asked: Asked = {
        "columns": columns,
        "next_ids": torch.tensor([], dtype=torch.long),
        "rows": _carried(read, here, sent),
        "head": remote.head,
        "top_k": count,
        "pins": (),
        "words": words,
    }
    found = remote.run(ids, rank_column, asked)
    names = [each.name for each in fields(Ranking)]
    if set(found) != {f"{place} {name}" for place in range(1 + len(read)) for name in names}:
        raise _strange(remote)
    places = {lens: place for place, (lens, _) in enumerate(read, 1)}
    return {
        key: {name: found[f"{places.get(lens, 0)} {name}"] for name in names}
        for key, lens in zip(lens_keys(lenses), lenses, strict=True)
        if is_last or lens in places
    }


def _carried(
    read: Sequence[tuple[Lens, Row]],
    here: Mapping[int, Carried],
    sent: Mapping[tuple[Lens, Row], Carried],
) -> list[tuple[int, Carried, bool]]:
    """Return what is read below the last row, as `Asked.rows` has it."""
    return [
        (row.h, here[place] if place in here else sent[lens, row], lens.final_norm)
        for place, (lens, row) in enumerate(read)
    ]


def _dealt_out(
    lenses: Sequence[Lens], read: Sequence[tuple[Lens, Row]]
) -> tuple[dict[tuple[Lens, Row], Carried], set[Lens]]:
    """Return the transports that are sent, and the lenses that stay here."""
    left, sent, kept = LARGEST_LENS, dict[tuple[Lens, Row], Carried](), set[Lens]()
    for lens in lenses:
        carried = {(of, row): of.carried(row.h) for of, row in read if of is lens}
        size = sum(each.nbytes for one in carried.values() if one is not None for each in one[1])
        if size > left or any(one is None for one in carried.values()):
            kept.add(lens)
            continue
        left -= size
        # A clone, since with a view the whole tensor would be sent.
        sent |= {
            key: (one[0], tuple(each.detach().cpu().clone() for each in one[1]))
            for key, one in carried.items()
            if one is not None
        }
    return sent, kept


def _transported(
    remote: Remote,
    ids: Sequence[int],
    kept: set[Lens],
    read: Sequence[tuple[Lens, Row]],
    columns: tuple[int, int],
) -> Mapping[int, Carried]:
    """Return `T_i(h_i)` of a run of columns, computed here, by the place in `read`."""
    own = sorted({row.h for lens, row in read if lens in kept})
    if not own:
        return {}
    h = remote.run(ids, columns_here, own, columns).get("h")
    if not isinstance(h, Tensor) or len(h) != len(own) or h.shape[1] != columns[1] - columns[0]:
        raise _strange(remote)
    by_row = dict(zip(own, h, strict=True))
    with torch.inference_mode():
        moved = {
            place: lens.transport(by_row[row.h], row.h)
            for place, (lens, row) in enumerate(read)
            if lens in kept
        }
    return {place: (given, (each.clone(),)) for place, each in moved.items()}


def _is_whole(found: Mapping[str, Any], rows: int, columns: int) -> bool:
    """Return whether numbers of all cells came, under the names that cells have."""
    return set(found) == {each.name for each in fields(Cells)} and all(
        isinstance(each, Tensor) and each.shape[:2] == (rows, columns) for each in found.values()
    )


def _tile(
    found: Mapping[str, Any],
    columns: tuple[int, int],
    lenses: Sequence[Lens],
    rows: Sequence[Row],
    read: Sequence[tuple[Lens, Row]],
) -> Tile:
    """Return the tile of the numbers that came, `[1 + rows, cols, …]` by name."""
    every = [{name: of_rows[place] for name, of_rows in found.items()} for place in range(1 + len(read))]
    last_cells, others = every[0], dict(zip(read, every[1:], strict=True))
    # The divergence of a distribution from itself is exactly 0; the computed one is rounding.
    for name in DIVERGENCES:
        last_cells[name] = last_cells[name].where(last_cells[name].isnan(), 0.0)
    unread, last = nothing(last_cells), rows[-1]
    cells = {
        key: stack([last_cells if row == last else others.get((lens, row), unread) for row in rows])
        for key, lens in zip(lens_keys(lenses), lenses, strict=True)
    }
    return Tile(*columns, cells)


def _runs(columns: range, width: int, first: range | None) -> Iterator[tuple[int, int]]:
    """Yield the bounds of runs of columns: those on screen, then those right of them, then left of them."""
    begin, end = columns.start, columns.stop
    middle = (begin, end) if first is None else (max(begin, first.start), min(end, first.stop))
    if middle[0] >= middle[1] or end - begin <= width:  # one job is done sooner than two
        middle = (begin, end)
    for start, stop in (middle, (middle[1], end), (begin, middle[0])):
        bounds = [*range(start, stop, width), stop]
        yield from pairwise(bounds)


def _strange(remote: Remote) -> LensError:
    return LensError(f"{remote.service} answers what it was not asked: try again later.")
