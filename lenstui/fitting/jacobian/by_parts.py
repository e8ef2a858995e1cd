"""Rows of a prompt's Jacobians through blocks that are taken apart, without autograd.

The products are those of any backward pass, on as many output dimensions as there are at once. What is saved
is everything else: derivatives of norms, activations and rotations are multiplications by what is computed
once for a prompt; the highest block's cotangents are one-hot, and of the lowest only sums over the columns
are wanted, so that either has a product less.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lenstui.fitting.jacobian.dissection import AttentionPart, BlockParts, MlpPart, Normed, Turn, dissected
from lenstui.fitting.jacobian.graph import Derivative
from lenstui.model.load import Model


@dataclass(frozen=True, eq=False)
class _Reading:
    """The derivative of a norm and the linear maps behind it.

    Attributes:
        normed: the norm.
        weight: the linear maps, from the norm's unit vectors, `[width, d]`.
    """

    normed: Normed
    weight: Tensor

    @cached_property
    def z(self) -> Tensor:
        """What the linear maps give, `[cols, width]`."""
        return self.normed.unit @ self.weight.T

    def add(self, g: Tensor, dz: Tensor) -> None:
        """Add to cotangents of the stream, in place.

        Args:
            g: `[dims, cols, d]`.
            dz: those of what the linear maps give, times the norm's scale, `[dims, cols, width]`.
        """
        unit = self.normed.unit
        u = dz.flatten(0, 1).mm(self.weight).view_as(g)
        along = (u * unit).sum(-1).div_(unit.shape[-1])
        g.add_(u).addcmul_(unit, along[..., None], value=-1)

    def summed(self, dz: Tensor) -> Tensor:
        """Return what `add` would add, summed over the columns, `[dims, d]`."""
        unit = self.normed.unit
        along = (dz * self.z).sum(-1).div_(unit.shape[-1])
        return dz.sum(1) @ self.weight - along @ unit


class _Mlp:
    """The derivative of an MLP."""

    def __init__(self, part: MlpPart) -> None:
        parts, inner, d = part.reading.shape
        self.reading = _Reading(part.normed, part.reading.reshape(parts * inner, d))
        self._writing = part.writing
        self._slopes = part.slopes * part.normed.scale[:, None]

    def back(self, g: Tensor | range) -> Tensor:
        """Return the cotangents of what is read, for those of the stream.

        Args:
            g: `[dims, cols, d]`; or output dimensions, whose cotangents are one-hot at every column.

        Returns:
            `[dims, cols, width]`.
        """
        parts, cols, inner = self._slopes.shape
        if isinstance(g, range):
            t = self._writing[g.start : g.stop, None]
        else:
            t = g.flatten(0, 1).mm(self._writing).view(-1, cols, inner)
        dz = t.new_empty(len(g), cols, parts, inner)
        for number, slopes in enumerate(self._slopes):
            torch.mul(t, slopes, out=dz[:, :, number])
        return dz.flatten(2)


class _Attention:
    """The derivative of attention."""

    def __init__(self, part: AttentionPart) -> None:
        cols = part.queries.shape[1]
        heads, keys = part.pattern.shape[0], part.pattern.shape[-1]
        self._sources = slice(keys - cols, keys)
        self._part = part
        self._queries, self._keys = part.queries * part.factor, part.keys * part.factor
        self._values = part.values.mT.contiguous()  # [heads, head_dim, keys]
        self._pattern_back = part.pattern[:, :, self._sources].mT.contiguous()
        self._output = part.output.transpose(0, 1).contiguous()  # [cols, heads, head_dim]
        self._turns = [_Turn(turn, part.normed.scale) for turn in part.turns]
        self.reading = _Reading(
            part.normed, torch.cat([part.reading[places.flatten()] for places in part.places])
        )
        self._heads = heads

    def back(self, g: Tensor) -> Tensor:
        """Return the cotangents of what is read, `[dims, cols, width]`, for those of the stream."""
        part, heads = self._part, self._heads
        dims, cols, _ = g.shape
        keys, head_dim = part.pattern.shape[-1], part.values.shape[-1]
        given = g.flatten(0, 1).mm(part.writing).view(dims, cols, heads, head_dim)
        along = (given * self._output).sum(-1)
        slopes = given.new_empty(dims, cols, keys)
        queries, sources = (given.new_empty(heads, dims, cols, part.keys.shape[-1]) for _ in range(2))
        values = given.new_empty(heads, dims, cols, head_dim)
        for head in range(heads):
            of_head = given[:, :, head]
            torch.mm(of_head.reshape(-1, head_dim), self._values[head], out=slopes.flatten(0, 1))
            slopes.sub_(along[:, :, head, None]).mul_(part.pattern[head])
            torch.mm(slopes.flatten(0, 1), self._keys[head], out=queries[head].flatten(0, 1))
            torch.matmul(slopes[:, :, self._sources].mT, self._queries[head], out=sources[head])
            torch.matmul(self._pattern_back[head], of_head, out=values[head])
        dz = given.new_empty(dims, cols, len(self.reading.weight))
        start = 0
        for each, turn in zip((queries, sources, values), self._turns, strict=True):
            of_groups = each.view(turn.groups, -1, *each.shape[1:]).sum(1) if turn.groups != heads else each
            turn.put(of_groups, dz[:, :, start : (start := start + turn.width)])
        return dz


class _Turn:
    """The derivative of queries, keys or values by what is read, times the norm's scale."""

    def __init__(self, turn: Turn, scale: Tensor) -> None:
        self.groups, n = len(turn.straight), turn.straight.shape[-1]
        self.width = self.groups * n
        self._whole = None if turn.whole is None else turn.whole * scale[:, None, None]
        if self._whole is None:
            self._straight = (turn.straight * scale[:, None])[:, None]
            self._crossed = (turn.crossed * scale[:, None])[:, None]
            self._is_straight = not bool(turn.crossed.any())

    def put(self, cotangents: Tensor, out: Tensor) -> None:
        """Put the cotangents of what is read in their place.

        Args:
            cotangents: `[groups, dims, cols, head_dim]`.
            out: `[dims, cols, width]`.
        """
        out = out.view(*out.shape[:2], self.groups, -1).permute(2, 0, 1, 3)  # [groups, dims, cols, n]
        if self._whole is not None:
            out.copy_((cotangents.transpose(1, 2) @ self._whole).transpose(1, 2))
            return
        torch.mul(cotangents, self._straight, out=out)
        if not self._is_straight:
            half, crossed = out.shape[-1] // 2, self._crossed
            out[..., :half].addcmul_(cotangents[..., half:], crossed[..., :half])
            out[..., half:].addcmul_(cotangents[..., :half], crossed[..., half:])


class _Block:
    """The derivative of a block."""

    def __init__(self, parts: BlockParts) -> None:
        self.attention = _Attention(parts.attention)
        self.mlp = _Mlp(parts.mlp)
        self._is_parallel = parts.is_parallel

    def back(self, g: Tensor, one_hot: range | None, is_lowest: bool) -> Tensor:
        """Turn cotangents of a block's output into those of its input, and return their sum over the columns.

        Args:
            g: `[dims, cols, d]`, changed in place; of the lowest block to an unfinished state.
            one_hot: the output dimensions, where `g` is one-hot there; else None.
            is_lowest: whether the sum alone is wanted.

        Returns:
            `[dims, d]`.
        """
        read = [(self.mlp.reading, self.mlp.back(g if one_hot is None else one_hot))]
        if not self._is_parallel:
            self.mlp.reading.add(g, read.pop()[1])
        read.append((self.attention.reading, self.attention.back(g)))
        if is_lowest:
            return sum((reading.summed(dz) for reading, dz in read), start=g.sum(1))
        for reading, dz in read:
            reading.add(g, dz)
        return g.sum(1)


class PartsGraph:
    """A prompt's blocks, taken apart, from which rows of its Jacobians are computed.

    Raises:
        UnknownFormError: if a block has another form.
    """

    def __init__(self, model: Model, ids: Tensor, of: Derivative) -> None:
        self._blocks = dissected(model, ids, of, _Block)

    def jacobian(self, dims: range) -> Tensor:
        """Return some output dimensions of every row's Jacobian, `[rows, dims, d]`, float32, on the CPU."""
        weight, unit = self._blocks[0].mlp.reading.weight, self._blocks[0].mlp.reading.normed.unit
        g = weight.new_zeros(len(dims), *unit.shape)
        g[torch.arange(len(dims)), :, torch.tensor(dims)] = 1
        rows = []
        one_hot: range | None = dims
        for number in reversed(range(len(self._blocks))):
            rows.append(self._blocks[number].back(g, one_hot, number == 0))
            one_hot = None
        return torch.stack(rows[::-1]).float().cpu() / len(unit)
