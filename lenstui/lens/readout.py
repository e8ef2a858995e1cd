"""Readouts: every number of every cell, tile by tile, never `[rows, columns, vocabulary]`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lenstui.lens.cells import Cells, IntArray, Tile, crystallization_rows, row_labels
from lenstui.lens.errors import LensError
from lenstui.lens.model import Model
from lenstui.lens.residual import residual_stream
from lenstui.lens.rows import choose_rows
from lenstui.lens.tokens import Prompt, encode
from lenstui.lens.tuned_lens import TunedLens

LENSES = ("logit", "tuned")

# One row of a tile's logits, float32: enough columns for an efficient product, and little memory.
_TILE_BYTES = {"cpu": 32 << 20}
_TILE_BYTES_ACCELERATOR = 256 << 20
# They are reduced in slices that stay in a CPU's cache, which is three times as fast.
_SLICE_BYTES = {"cpu": 3 << 20}
_LOWEST = torch.finfo(torch.float32).min
_TOP_BLOCK = 64  # logits per block in the first stage of the top-k search


@dataclass(frozen=True, slots=True)
class Readout:
    """All cells of a prompt.

    Attributes:
        prompt: what was read.
        rows: labels of the rows that were read, top of the network last.
        lenses: cells by lens name.
        pins: pinned token ids, in the order of the cells' last axis.
    """

    prompt: Prompt
    rows: tuple[str, ...]
    lenses: Mapping[str, Cells]
    pins: tuple[int, ...] = field(default=())

    def crystallization(self, lens: str) -> IntArray:
        """Per column, the index in `rows` of the row where the top-1 settles, `[cols]`."""
        return crystallization_rows(self.lenses[lens].top_ids[:, :, 0])

    @classmethod
    def join(
        cls, prompt: Prompt, rows: tuple[str, ...], tiles: Iterable[Tile], pins: tuple[int, ...] = ()
    ) -> Readout:
        """A readout from all its tiles, in column order."""
        parts = list(tiles)
        lenses = {name: Cells.join(tile.lenses[name] for tile in parts) for name in parts[0].lenses}
        return cls(prompt, rows, lenses, pins)


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

    Raises:
        LensError: for an empty prompt, a lens or row that does not fit the model, or a chat template that is
            not there.
    """
    prompt = encode(model.tokenizer, text, bos=bos, chat=chat, context=model.context)
    chosen = choose_rows(model.num_blocks, rows)
    tiles = read_tiles(model, prompt, lens, top_k=top_k, pins=pins, rows=chosen, final_norm=final_norm)
    labels = row_labels(model.num_blocks)
    return Readout.join(prompt, tuple(labels[row] for row in chosen), tiles, tuple(pins))


def read_tiles(
    model: Model,
    prompt: Prompt,
    lens: TunedLens | None = None,
    *,
    top_k: int = 3,
    pins: Sequence[int] = (),
    rows: Sequence[int] | None = None,
    first: range | None = None,
    lenses: Collection[str] = LENSES,
    final_norm: bool = True,
) -> Iterator[Tile]:
    """Read a prompt tile by tile, the columns `first` before the others.

    Closing the generator between two tiles stops the work.

    Args:
        model: from `load`.
        prompt: from `encode`.
        lens: a tuned lens for this model.
        top_k: how many of the likeliest tokens each cell keeps.
        pins: token ids whose logit, log-probability and rank every cell keeps.
        rows: indices of the rows to read; None: all.
        first: the columns that are on screen.
        lenses: which lenses to read; the tuned one only where there is one.
        final_norm: False has the logit lens pass over the final norm, but for the last row.

    Yields:
        Tiles that together cover every column once; in column order if `first` is None.
    """
    if lens is not None:
        lens.check_fits(model.num_blocks, model.d_model)
        lens = lens.to(model.device)
    if top_k < 1:
        raise LensError(f"A cell keeps at least one token, not {top_k}.")
    if wrong := [pin for pin in pins if not 0 <= pin < model.vocabulary]:
        raise LensError(f"There is no token {wrong[0]}: the vocabulary has ids 0 … {model.vocabulary - 1}.")
    chosen = choose_rows(model.num_blocks, rows)
    ids = torch.tensor(prompt.ids, device=model.device)
    h = residual_stream(model.module, model.anatomy, ids[None])[:, 0]  # [L + 1, cols, d]
    columns = len(prompt.ids)
    width = _tile_width(model)
    for start, stop in _tile_bounds(columns, width, first):
        next_ids = ids[start + 1 : stop + 1]  # one short in the prompt's last tile
        with torch.inference_mode():
            tile = _read_tile(
                model,
                lens,
                h[:, start:stop],
                next_ids,
                start=start,
                rows=chosen,
                top_k=top_k,
                pins=tuple(pins),
                lenses=lenses,
                final_norm=final_norm,
            )
        yield tile  # out here, so that what the caller does next is not in inference mode


def _tile_width(model: Model) -> int:
    """Columns per tile."""
    size = _TILE_BYTES.get(model.device.type, _TILE_BYTES_ACCELERATOR)
    return max(8, min(128, size // (4 * model.vocabulary)))


def _slice_width(logits: Tensor) -> int:
    """Columns per slice of a tile."""
    size = _SLICE_BYTES.get(logits.device.type, _TILE_BYTES_ACCELERATOR)
    return max(1, size // (4 * logits.shape[-1]))


def _tile_bounds(columns: int, width: int, first: range | None) -> Iterator[tuple[int, int]]:
    """Cut the columns into tiles: those on screen, then to the right of them, then to the left."""
    visible = range(0) if first is None else range(max(0, first.start), min(columns, first.stop))
    runs = [visible, range(visible.stop, columns), range(visible.start)] if visible else [range(columns)]
    for run in runs:
        tiles = -(-len(run) // width)
        for tile in range(tiles):  # of even width: a narrow one would cost nearly as much as a wide one
            yield run.start + len(run) * tile // tiles, run.start + len(run) * (tile + 1) // tiles


def _read_tile(
    model: Model,
    lens: TunedLens | None,
    h: Tensor,
    next_ids: Tensor,
    *,
    start: int,
    rows: Sequence[int],
    top_k: int,
    pins: tuple[int, ...],
    lenses: Collection[str],
    final_norm: bool,
) -> Tile:
    """All chosen rows of one run of columns; `h` is `[L + 1, cols, d]`."""
    head, last = model.head, model.num_blocks
    final_logits = head(h[last])  # [cols, vocabulary]
    final = _Final.of(final_logits, next_ids)
    last_cells = _reduce(final_logits, final, top_k, pins)
    last_cells["kl"].zero_()  # of a distribution from itself; what was summed is rounding

    read: dict[str, Cells] = {}
    if "logit" in lenses:
        logits = head if final_norm else head.logits
        logit_rows = [
            last_cells if row == last else _reduce(logits(h[row]), final, top_k, pins) for row in rows
        ]
        read["logit"] = _stack(logit_rows)
    if "tuned" in lenses and lens is not None:
        tuned_rows = [
            last_cells if row == last else _reduce(head(lens.translate(h[row], row)), final, top_k, pins)
            for row in rows
        ]
        read["tuned"] = _stack(tuned_rows)
    return Tile(start, start + h.shape[1], read)


@dataclass(frozen=True, eq=False)
class _Final:
    """What every row of a tile is held against.

    Attributes:
        probs: the final distribution, `[cols, vocabulary]`.
        neg_entropy: its `Σ p log p`, `[cols]`.
        top1: its likeliest token, `[cols]`.
        next_ids: the token that really comes next, `[cols]`, or one less in the prompt's last tile.
    """

    probs: Tensor
    neg_entropy: Tensor
    top1: Tensor
    next_ids: Tensor

    @classmethod
    def of(cls, logits: Tensor, next_ids: Tensor) -> _Final:
        top1 = logits.argmax(-1)  # the lowest id among equals
        probs = torch.empty_like(logits)
        neg_entropy = logits.new_empty(len(logits))
        for part in _slices(logits):
            log_probs = logits[part].log_softmax(-1)
            torch.exp(log_probs, out=probs[part])
            # The float32 sum is off 1 by 1e-5, which a KL of 40 nats would feel in its fourth digit.
            total = probs[part].sum(-1, keepdim=True)
            probs[part] /= total
            log_probs -= total.log()
            # 0 · -inf is 0 here: a head may mask tokens out.
            neg_entropy[part] = _dot(probs[part], log_probs.clamp_(min=_LOWEST))
        return cls(probs, neg_entropy, top1, next_ids)

    def __getitem__(self, part: slice) -> _Final:
        return _Final(self.probs[part], self.neg_entropy[part], self.top1[part], self.next_ids[part])


def _slices(logits: Tensor) -> Iterator[slice]:
    width = _slice_width(logits)
    for start in range(0, len(logits), width):
        yield slice(start, start + width)


def _reduce(logits: Tensor, final: _Final, top_k: int, pins: tuple[int, ...]) -> dict[str, Tensor]:
    """The numbers of one row of a tile. Overwrites `logits` `[cols, vocabulary]`."""
    parts = [_reduce_slice(logits[part], final[part], top_k, pins) for part in _slices(logits)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _reduce_slice(logits: Tensor, final: _Final, top_k: int, pins: tuple[int, ...]) -> dict[str, Tensor]:
    top_logits, top_ids = top_tokens(logits, top_k)
    following = len(final.next_ids)  # the columns that have a next token
    numbers = {
        "top_ids": top_ids,
        "top_logits": top_logits,
        "final_rank": _ranks(logits, final.top1),
        "next_rank": _pad(_ranks(logits[:following], final.next_ids), len(logits), -1),
    }
    pin_ids = torch.tensor(pins, dtype=torch.long, device=logits.device)
    pin_logits = logits[:, pin_ids]  # [cols, pins]
    pin_ranks = [_ranks(logits, pin.expand(len(logits))) for pin in pin_ids]
    next_logits = logits[:following].gather(1, final.next_ids[:, None])[:, 0]

    # With the largest logit taken off, every sum below is of moderate numbers: float32 keeps 1e-5 nats.
    peak = top_logits[:, :1].clone()  # [cols, 1]
    shifted = logits.sub_(peak).clamp_(min=_LOWEST)
    weights = shifted.exp()
    total = weights.sum(-1)
    log_total = total.log()
    log_normalizer = log_total + peak[:, 0]
    entropy = log_total - _dot(weights, shifted) / total
    kl = final.neg_entropy - _dot(final.probs, shifted) + log_total
    return numbers | {
        "top_probs": (top_logits - log_normalizer[:, None]).exp(),
        "entropy": entropy.clamp_(min=0),
        "kl": kl.clamp_(min=0),
        "next_logprob": _pad(next_logits - log_normalizer[:following], len(logits), float("nan")),
        "pin_logits": pin_logits,
        "pin_logprobs": pin_logits - log_normalizer[:, None],
        "pin_ranks": torch.stack(pin_ranks, dim=-1) if pin_ranks else pin_ids.new_zeros(len(logits), 0),
    }


def top_tokens(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` largest of `logits` `[cols, vocabulary]` and their ids, among equals the lowest id first.

    Two stages: the `k` blocks with the largest maxima, then the `k` best tokens among theirs: several times
    as fast on a CPU as one search. Columns with a tie among them are looked at again.

    Returns:
        Logits and ids, `[cols, k]`; fewer where the vocabulary is smaller.
    """
    columns, vocabulary = logits.shape
    k = min(k, vocabulary)
    wanted = min(k + 1, vocabulary)  # one more tells whether the k-th place is shared
    blocks = vocabulary // _TOP_BLOCK
    if blocks > 4 * wanted:
        whole = blocks * _TOP_BLOCK
        best_blocks = logits[:, :whole].view(columns, blocks, _TOP_BLOCK).amax(-1).topk(wanted).indices
        inside = torch.arange(_TOP_BLOCK, device=logits.device)
        ids = (best_blocks[:, :, None] * _TOP_BLOCK + inside).flatten(1)
        rest = torch.arange(whole, vocabulary, device=logits.device).expand(columns, -1)
        ids = torch.cat([ids, rest], dim=1)
        values, places = logits.gather(1, ids).topk(wanted)
        ids = ids.gather(1, places)
    else:
        values, ids = logits.topk(wanted)
    tied = (values[:, 1:] == values[:, :-1]).any(-1)
    for column in tied.nonzero()[:, 0].tolist():  # in bfloat16 one position in twenty
        candidates = (logits[column] >= values[column, -1]).nonzero()[:, 0]  # in order of id
        order = logits[column, candidates].sort(descending=True, stable=True).indices[:wanted]
        ids[column] = candidates[order]
    return values[:, :k], ids[:, :k]


def _ranks(logits: Tensor, tokens: Tensor) -> Tensor:
    """How many logits of each column are strictly greater than its token's, `[cols]`."""
    own = logits.gather(1, tokens[:, None])
    return (logits > own).sum(-1, dtype=torch.int32)  # half the work of int64


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Row-wise dot product `[cols]` of two `[cols, vocabulary]`."""
    product: Tensor = torch.linalg.vecdot(a, b)
    return product


def _pad(values: Tensor, length: int, filler: float) -> Tensor:
    """`values` with `filler` behind them, `length` in all."""
    return torch.nn.functional.pad(values, (0, length - len(values)), value=filler)


def _stack(rows: Sequence[Mapping[str, Tensor]]) -> Cells:
    """One row's numbers each, `[cols, …]`, to arrays `[rows, cols, …]`."""
    arrays: dict[str, np.ndarray] = {}
    for name in rows[0]:
        stacked = torch.stack([row[name] for row in rows])
        dtype = torch.float32 if stacked.is_floating_point() else torch.int32
        arrays[name] = stacked.to(dtype).cpu().numpy()
    return Cells(**arrays)
