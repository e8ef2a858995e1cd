"""What wrote the residual stream in one column: embedding, attention and MLP of each block, attention heads.

Everything is checked by value on the prompt at hand: that heads add up to what their block's attention adds,
and that the values which they read, weighted by their attention, are what their projection reads. What does
not hold is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import Tensor, nn

from lenstui.causal.attention_memory import check_memory, no_memory
from lenstui.causal.eager import WAYS, WHOLE_CACHE, ValueCache, running
from lenstui.causal.maps import BlockMaps, Maps, find_maps
from lenstui.causal.projection import Projection
from lenstui.causal.query import query_weights
from lenstui.model.calls import Call, OnCall, hook_calls
from lenstui.model.contribution import sound_columns
from lenstui.model.load import Model
from lenstui.model.sublayers import Sublayers, read_sublayers
from lenstui.model.wiring import TOLERANCES
from lenstui.support.errors import FOREIGN_ERRORS, LensError

# The longest prompt, in columns, on which a model's eager attention gave the logits of its own.
_proven: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
# Models whose attention was not what a pass of the column alone showed.
_no_query: WeakSet[nn.Module] = WeakSet()


@dataclass(frozen=True, slots=True, eq=False)
class Heads:
    """The attention heads of a block, in one column.

    Attributes:
        projection: attention's output projection.
        input: its input, `[1, width]`, in its own dtype; a slice for each head.
        vectors: what each head adds to the stream, `[heads, d]`, float32.
        bias: what attention adds beside its heads, the biases of projection and norm, `[d]`, float32.
    """

    projection: Projection
    input: Tensor
    vectors: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What the attention heads of a block read, in one column.

    Attributes:
        weights: attention weights, `[heads, cols]`, float32.
        values: the values of the columns, `[groups, cols, width]`, float32; several heads share a group.
    """

    weights: Tensor
    values: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class BlockComponents:
    """The attention heads and neurons of one block, in one column.

    Attributes:
        heads: the attention heads, or None.
        sources: what they read, or None.
        mlp: the MLP's last linear map and its input, the neurons, `[1, width]`; or None.
        no_heads: why there are no heads, as a sentence without its full stop; None where there are.
        no_sources: why there are no sources, likewise.
        no_neurons: why there are no neurons, likewise.
    """

    heads: Heads | None
    sources: Sources | None
    mlp: tuple[Projection, Tensor] | None
    no_heads: str | None
    no_sources: str | None
    no_neurons: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """All that wrote the residual stream of a prompt in one column, on the device of the head.

    In float32, what attention and MLP add is what their modules put out. In half precision it is the
    difference of the stream before and after, which adds up exactly; `off` is what the modules' outputs
    differ from it by.

    Attributes:
        model: the model that was run.
        ids: token ids, one per column.
        column: the column.
        stream: `h_0 … h_L` in the column, `[L + 1, d]`, in the model's dtype.
        attention: what attention adds in each block, `[L, d]`, float32; zeros where there is none.
        mlp: what the MLP adds, likewise.
        off: how far each block's attention and MLP, as put out, differ from these, `[L, 2, d]`, float32.
        blocks: the attention heads and neurons of each block.
        has_attention: for each block, whether it has attention, or a mixer in its place.
        has_mlp: for each block, whether it has an MLP.
        sound: some columns of `h_L` with finite numbers, `[cols, d]`, to prove that norm and head are linear.
    """

    model: Model
    ids: tuple[int, ...]
    column: int
    stream: Tensor
    attention: Tensor
    mlp: Tensor
    off: Tensor
    blocks: tuple[BlockComponents, ...]
    has_attention: tuple[bool, ...]
    has_mlp: tuple[bool, ...]
    sound: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """The coarser of the dtypes of weights and stream, which decides how exact anything here is."""
        return max((self.model.dtype, self.stream.dtype), key=lambda dtype: torch.finfo(dtype).eps)


def read_components(model: Model, ids: Sequence[int], column: int, *, sources: bool = True) -> Components:
    """Run a prompt once, and take one column apart.

    What attention heads read is seen in a further pass of this column alone. Where that does not show it, the
    whole prompt is run with eager attention; and the first time that a prompt of this length is, with the
    model's own too, to compare the logits of both.

    Args:
        model: from `load`.
        ids: token ids, one per column.
        column: the index of the column.
        sources: whether to see what attention heads read, which takes a further pass.

    Raises:
        LensError: if there is no such column, the blocks cannot be taken apart, or memory is short.
    """
    if not 0 <= column < len(ids):
        raise LensError(f"There is no column {column}: this prompt has columns 0 … {len(ids) - 1}.")
    maps = find_maps(model)
    if not sources:
        maps = _without_sources(maps, "they were not asked for")
    is_cut = any(edit.startswith("cut") for edit in model.edits)  # which the column alone does not show
    if maps.way == WAYS[0] and not is_cut and model.module not in _no_query:
        if (found := _by_query(model, ids, column, maps)) is not None:
            return found
        _no_query.add(model.module)
    check_memory(model, maps, len(ids))
    reading = _Reading(model, tuple(ids), column, maps)
    parts, cache = reading.run()
    if maps.way.eager and not is_faithful(model, ids, parts.final):
        reason = "with eager attention, which alone shows it, the model says something else"
        reading = _Reading(model, tuple(ids), column, _without_sources(maps, reason))
        parts, cache = reading.run()
    with torch.inference_mode():
        return reading.components(parts, cache)


def _by_query(model: Model, ids: Sequence[int], column: int, maps: Maps) -> Components | None:
    """Run a prompt with the model's own attention, and the column alone with eager attention.

    Returns:
        None where what that shows is not what attention heads read in the prompt.
    """
    reading = _Reading(model, tuple(ids), column, replace(maps, way=WHOLE_CACHE))
    parts, cache = reading.run()
    assert cache is not None
    try:
        cache.cut_off(len(ids) - column)
        weights = query_weights(model, ids[column], parts.stream[:, 0], maps, cache)
    except FOREIGN_ERRORS:  # a cache that cannot be cut off
        return None
    reading.weights.update(weights)
    with torch.inference_mode():
        found = reading.components(parts, cache)
    has_sources = [known.no_sources is None for known in maps.blocks]
    shown = [block.no_sources is None for block in found.blocks]
    # A block whose attention is edited behind its weights shows no sources in any pass.
    return found if shown == has_sources or (model.edits and any(shown)) else None


def _without_sources(maps: Maps, reason: str) -> Maps:
    """Return the maps of a pass with the model's own attention, which gives no weights."""
    blocks = tuple(
        block if block.no_sources is not None else replace(block, weights=None, no_sources=reason)
        for block in maps.blocks
    )
    return Maps(blocks, WAYS[-1])


@dataclass(frozen=True, eq=False)
class _Reading:
    """A pass over a prompt, and what hooks keep of one column: inputs of projections, attention weights."""

    model: Model
    ids: tuple[int, ...]
    column: int
    maps: Maps
    heads: dict[int, Tensor] = field(default_factory=dict)
    neurons: dict[int, Tensor] = field(default_factory=dict)
    weights: dict[int, Tensor] = field(default_factory=dict)

    def run(self) -> tuple[Sublayers, ValueCache | None]:
        """Run the prompt, and return what the blocks' parts add and the values that attention read."""
        hooks = [self._hooks(number, known) for number, known in enumerate(self.maps.blocks)]
        handles = hook_calls(self.model.anatomy.blocks, hooks)
        try:
            with no_memory(len(self.ids)), running(self.model.module, self.maps.way) as (options, cache):
                return read_sublayers(self.model, self.ids, options, column=self.column), cache
        finally:
            for handle in handles:
                handle.remove()

    def _hooks(self, number: int, maps: BlockMaps) -> dict[Call, OnCall]:
        hooks: dict[Call, OnCall] = {}
        if maps.attention is not None:
            hooks[maps.attention.key] = self._keeping_input(self.heads, number)
        if maps.mlp is not None:
            hooks[maps.mlp.key] = self._keeping_input(self.neurons, number)
        if maps.weights is not None and self.maps.way.eager:
            hooks[maps.weights.call] = self._keeping_weights(number, maps.weights.place)
        return hooks

    def _keeping_input(self, kept: dict[int, Tensor], number: int) -> OnCall:
        def keep(args: tuple[Any, ...], output: Any) -> None:
            x = args[0].reshape(-1, args[0].shape[-1])  # [cols, width]
            kept[number] = x[self.column : self.column + 1].clone()

        return keep

    def _keeping_weights(self, number: int, place: int) -> OnCall:
        def keep(args: tuple[Any, ...], output: Any) -> None:
            self.weights[number] = output[place][0, :, self.column].float().clone()

        return keep

    def components(self, parts: Sublayers, cache: ValueCache | None) -> Components:
        """Take the column apart."""
        stream = parts.stream[:, 0].clone()
        put_out = torch.stack([parts.attention[:, 0], parts.mlp[:, 0]], 1)  # [L, 2, d]
        if not bool(stream.isfinite().all()):
            raise LensError(
                f"Column {self.column} has numbers that are not finite in {self.model.dtype_name}: nothing "
                "can be said of it."
            )
        added = put_out.float()
        if stream.dtype != torch.float32:
            mid = (stream[:-1] + put_out[:, 0]).float()  # rounded as the stream is
            added = torch.stack([mid - stream[:-1].float(), stream[1:].float() - mid], 1)
        return Components(
            model=self.model,
            ids=self.ids,
            column=self.column,
            stream=stream,
            attention=added[:, 0],
            mlp=added[:, 1],
            off=added - put_out.float(),
            blocks=tuple(
                self._block(number, known, put_out[number, 0].float(), cache)
                for number, known in enumerate(self.maps.blocks)
            ),
            has_attention=tuple(block.attention is not None for block in parts.sums),
            has_mlp=tuple(block.mlp is not None for block in parts.sums),
            sound=sound_columns(parts.final),
        )

    def _block(
        self, number: int, known: BlockMaps, attention: Tensor, cache: ValueCache | None
    ) -> BlockComponents:
        neurons, x = self.neurons.get(number), self.heads.get(number)
        without = BlockComponents(
            heads=None,
            sources=None,
            mlp=None if known.mlp is None or neurons is None else (known.mlp, neurons),
            no_heads=known.no_heads,
            no_sources=known.no_sources,
            no_neurons=known.no_neurons,
        )
        if known.attention is None or x is None:
            return without
        slices = x.new_zeros(known.heads, *x.shape[1:])
        for head, part in enumerate(torch.arange(x.shape[1], device=x.device).chunk(known.heads)):
            slices[head, part] = x[0, part]
        vectors, bias = known.attention.added(slices, x)
        heads = Heads(known.attention, x, vectors.to(self.model.device), bias.to(self.model.device))
        if not _near(heads.vectors.sum(0) + heads.bias, attention, x.dtype):
            reason = "its attention heads do not add up to what attention adds"
            return replace(without, no_heads=reason, no_sources=reason)
        weights, values = self.weights.get(number), None if cache is None else cache.values(number)
        if known.no_sources is not None or weights is None or values is None:
            reason = known.no_sources or "the values that its attention reads cannot be had from a cache"
            return replace(without, heads=heads, no_sources=reason)
        # Later columns, which this one cannot read, may hold anything, or are not there.
        sources = Sources(
            _up_to(weights[..., None], self.column, len(self.ids))[..., 0],
            _up_to(values, self.column, len(self.ids)),
        )
        if (read := _read(sources)) is None or not _near(read, x[0].float(), x.dtype):
            reason = "what its attention heads read is not the values in the cache, weighted by attention"
            return replace(without, heads=heads, no_sources=reason)
        return replace(without, heads=heads, sources=sources)


def is_faithful(model: Model, ids: Sequence[int], h_last: Tensor) -> bool:
    """Return whether eager attention gives the logits of the model's own attention, but for rounding.

    The final norm is compared in every column, the logits in the last. What differs would differ in a longer
    prompt, beyond a window for instance, so the longest prompt so far is proof for all that are shorter.
    """
    if _proven.get(model.module, 0) >= len(ids):
        return True
    own = model.stream(torch.tensor([list(ids)]))[-1, 0]
    head = model.head
    with torch.inference_mode():
        pairs = [(head.norm(h_last), head.norm(own)), (head(h_last[-1:]), head(own[-1:]))]
        if not all(_is_same(ours, theirs, h_last.dtype) for ours, theirs in pairs):
            return False
    _proven[model.module] = len(ids)
    return True


def _is_same(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Return whether numbers that are finite differ by rounding alone."""
    known = theirs.isfinite()
    off = torch.where(known, (ours - theirs).float(), 0.0).abs().max()
    size = torch.where(known, theirs.float(), 0.0).abs().max().clamp(min=1.0)
    return float(off) <= TOLERANCES.get(dtype, TOLERANCES[torch.bfloat16]) * float(size)


def _up_to(x: Tensor, column: int, cols: int) -> Tensor:
    """Return numbers `[n, …, width]` by column as `[n, cols, width]`, float32, with zeros behind a column."""
    padded = x.new_zeros(len(x), cols, x.shape[-1], dtype=torch.float32)
    padded[:, : column + 1] = x[:, : column + 1]
    return padded


def _read(sources: Sources) -> Tensor | None:
    """Return what the heads read, `Σ_s A[s] v_s`, `[width]`; None where weights and values do not fit."""
    heads, cols = sources.weights.shape
    groups, value_cols, width = sources.values.shape
    if heads % groups or cols != value_cols:
        return None
    weights = sources.weights.reshape(groups, heads // groups, cols)
    return (weights @ sources.values).reshape(heads * width)


def _near(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Return whether two vectors of one length differ by rounding alone."""
    if ours.shape != theirs.shape:
        return False
    tolerance = TOLERANCES.get(dtype, TOLERANCES[torch.bfloat16])
    return (
        float((ours - theirs).abs().max()) <= tolerance * float(theirs.abs().max()) + torch.finfo(dtype).tiny
    )
