"""What a service runs where the weights are, sent there as source: from the stream to the numbers of cells.

Plain functions of tensors and modules, as in `model/interventions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from lenstui.lens.lens import Carried
from lenstui.model.interventions import Head, Module, head_logits
from lenstui.readout.at_once import cells_at_once
from lenstui.readout.reduction import final_of, ranked, reduce_rows


class Asked(TypedDict):
    """What is to be read of a prompt.

    Attributes:
        columns: the first column, and one past the last.
        next_ids: the prompt's next tokens, `[cols]`, or one fewer where the last column is the prompt's.
        rows: what is read below the last row: the index of a row of the stream, its transport, and whether
            the final norm comes behind it.
        head: the factor on the product of the unembedding, and the softcap, if any.
        top_k: the number of likeliest tokens that a cell keeps.
        pins: token ids whose numbers a cell keeps.
        words: the ids of the tokens to keep the likeliest of, ascending; None for all.
    """

    columns: tuple[int, int]
    next_ids: Tensor
    rows: Sequence[tuple[int, Carried, bool]]
    head: tuple[float, float | None]
    top_k: int
    pins: tuple[int, ...]
    words: Tensor | None


def columns_here(
    stream: Sequence[Tensor],
    logits: Tensor,
    head: Head,
    rows: Sequence[int],
    columns: tuple[int, int],
) -> dict[str, Tensor]:
    """Return some columns of some rows of the stream, to be sent: `h`, `[rows, cols, d]`, on the CPU.

    Args:
        stream: `h_0 … h_L`, `[1, cols, d]` each, on whichever devices the blocks are.
        logits: not used.
        head: not used.
        rows: the indices of the rows.
        columns: the first column, and one past the last.
    """
    return {"h": _columns([stream[row] for row in rows], columns).cpu()}


def given(h: Tensor, moved: Tensor) -> Tensor:
    """Return `T_i(h)` that was computed elsewhere: the transport of a lens that is too large to be sent."""
    return moved


def _columns(stream: Sequence[Tensor], columns: tuple[int, int]) -> Tensor:
    """Return some columns of rows of the stream, `[rows, cols, d]`, on one device."""
    start, stop = columns
    device = stream[-1].device
    return torch.stack([h[0, start:stop].detach().to(device) for h in stream])


def read_columns(stream: Sequence[Tensor], logits: Tensor, head: Head, asked: Asked) -> dict[str, Tensor]:
    """Return the numbers of the cells of some columns by name, `[1 + rows, cols, …]`, on the CPU.

    The last row of the network comes first: all others are held against it.

    Args:
        stream: as in `columns_here`.
        logits: not used.
        head: the final norm, if any, and the unembedding.
        asked: what is to be read.
    """
    norm, matrix = head
    device = stream[-1].device
    words = asked["words"]
    words = None if words is None else words.to(device)
    next_ids = asked["next_ids"].to(device)
    runs = []
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        normed = _normed(stream, norm, asked)
        one = head_logits(normed[0][:1], matrix, *asked["head"])
        most = cells_at_once(device.type, one.dtype.itemsize, one.shape[-1])
        columns, rows = len(normed[0]), len(normed)
        width = min(columns, most)
        for start in range(0, columns, width):
            run = slice(start, min(start + width, columns))
            at_once = max(1, most // (run.stop - run.start))
            final, numbers = None, []
            for first in range(0, rows, at_once):
                group = torch.stack([x[run] for x in normed[first : first + at_once]])
                of_group = head_logits(group, matrix, *asked["head"])  # [rows, cols, vocabulary]
                if final is None:
                    final = final_of(of_group[0], next_ids[run])
                numbers += reduce_rows(of_group, final, asked["top_k"], asked["pins"], words)
            runs.append({name: torch.stack([of_row[name] for of_row in numbers]) for name in numbers[0]})
    return {name: torch.cat([of_run[name] for of_run in runs], dim=1).cpu() for name in runs[0]}


def rank_column(stream: Sequence[Tensor], logits: Tensor, head: Head, asked: Asked) -> dict[str, Tensor]:
    """Return the likeliest tokens of the cells of one column, as `ranked` does, under `PLACE NAME`.

    Place 0 is the last row of the network, and the others are those that are asked for, in their order.

    Args:
        stream: as in `columns_here`.
        logits: not used.
        head: the final norm, if any, and the unembedding.
        asked: what is to be read, of which `next_ids` and `pins` are not used.
    """
    norm, matrix = head
    device = stream[-1].device
    words = asked["words"]
    words = None if words is None else words.to(device)
    found = {}
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for place, x in enumerate(_normed(stream, norm, asked)):
            of_cell = ranked(head_logits(x, matrix, *asked["head"]).float(), asked["top_k"], words)
            for name, numbers in of_cell.items():
                found[f"{place} {name}"] = numbers
    return found


def _normed(stream: Sequence[Tensor], norm: Module | None, asked: Asked) -> list[Tensor]:
    """Return the input of the unembedding in the last row and in the rows that are asked for, `[cols, d]`."""
    h = _columns(stream, asked["columns"])
    normed = [h[-1] if norm is None else norm(h[-1])]
    for row, (transport, tensors), with_norm in asked["rows"]:
        moved = transport(h[row], *[each.to(h.device) for each in tensors])
        normed.append(norm(moved) if with_norm and norm is not None else moved)
    return normed
