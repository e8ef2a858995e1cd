"""Rows of a prompt's Jacobians through blocks that are taken apart, without autograd.

Derivatives of norms, activations and rotations are multiplications by what is computed once for a prompt. An
MLP acts on each column alone, so that its derivative there is one matrix `[d, d]`. Making it from the wide
maps costs one product of these, and applying it to all output dimensions one of `[d, d]`, where a backward
pass goes through two or three wide maps. It pays from about half of the dimensions at once on. The highest
block's cotangents are one-hot, and of the lowest only sums over the columns are wanted, so that either has a
product less.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import Tensor

from lenstui.fitting.jacobian.dissection import AttentionPart, BlockParts, MlpPart, Normed, Turn, dissected
from lenstui.fitting.jacobian.graph import Derivative, scaled
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
        self._shape = parts, inner, d

    def through(self, g: Tensor, one_hot: range | None, step: int) -> Generator[float, None, None]:
        """Add what goes through the MLP to cotangents of the stream, in place, and yield the share done.

        Args:
            g: `[dims, cols, d]`.
            one_hot: the output dimensions, where `g` is one-hot there; else None.
            step: how many dimensions at once, where the columns have no matrix of their own.
        """
        parts, inner, d = self._shape
        if len(g) * (parts + 1) * inner < (inner + len(g)) * d:
            for dims in pieces(len(g), step):
                of = g[dims] if one_hot is None else one_hot[dims]
                self.reading.add(g[dims], self.back(of))
                yield dims.stop / len(g)
            return
        for column in range(g.shape[1]):
            if one_hot is None:
                g[:, column] += g[:, column] @ self.at(column, slice(None))
            else:
                g[:, column] += self.at(column, slice(one_hot.start, one_hot.stop))
            yield (column + 1) / g.shape[1]

    def at(self, column: int, dims: slice) -> Tensor:
        """Return the derivative of what the MLP adds at a column, of some output dimensions, `[dims, d]`."""
        unit, reading = self.reading.normed.unit[column], self.reading.weight.view(self._shape)
        slopes = self._slopes[:, column, :, None]  # [parts, inner, 1]
        linear = slopes[0] * reading[0]
        for of_part, weight in zip(slopes[1:], reading[1:], strict=True):
            linear.addcmul_(of_part, weight)
        found = self._writing[dims] @ linear
        return found.addr_(found @ unit, unit, alpha=-1 / len(unit))

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

    def through(
        self, g: Tensor, one_hot: range | None, is_lowest: bool, step: int
    ) -> Generator[float, None, Tensor]:
        """Turn cotangents of a block's output into those of its input, and yield the share done.

        Args:
            g: `[dims, cols, d]`, changed in place; of the lowest block to an unfinished state.
            one_hot: the output dimensions, where `g` is one-hot there; else None.
            is_lowest: whether the sum alone is wanted.
            step: how many dimensions at once.

        Returns:
            The sum of those of its input over the columns, `[dims, d]`.
        """
        of_output = g.clone() if self._is_parallel else g  # which the attention of a parallel block takes
        yield from scaled(self.mlp.through(g, one_hot, step), 0, 0.5)
        total = g.new_empty(g.shape[0], g.shape[2])
        reading = self.attention.reading
        for dims in pieces(len(g), step):
            dz = self.attention.back(of_output[dims])
            if is_lowest:
                total[dims] = g[dims].sum(1) + reading.summed(dz)
            else:
                reading.add(g[dims], dz)
                total[dims] = g[dims].sum(1)
            yield (1 + dims.stop / len(g)) / 2
        return total


def pieces(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that make up `count`."""
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


class PartsGraph:
    """A prompt's blocks, taken apart, from which rows of its Jacobians are computed.

    Attributes:
        chunk: how many output dimensions are best computed in one call, within the memory for them.

    Raises:
        UnknownFormError: if a block has another form.
    """

    def __init__(self, model: Model, ids: Tensor, of: Derivative, chunk: int, step: int) -> None:
        """Run a prompt, and take the blocks apart.

        Args:
            model: from `load`.
            ids: the token ids, `[cols]`, on the CPU. The last one is left out.
            of: the derivative.
            chunk: how many output dimensions there is memory for, in a call.
            step: how many of them go through attention at once.
        """
        self.chunk, self._step = chunk, step
        self._blocks = dissected(model, ids, of, _Block)

    def jacobian(self, dims: range) -> Tensor:
        """Return some output dimensions of every row's Jacobian, `[rows, dims, d]`, float32, on the CPU."""
        steps = self.jacobian_steps(dims)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return cast(Tensor, end.value)

    def jacobian_steps(self, dims: range) -> Generator[float, None, Tensor]:
        """Compute what `jacobian` returns, and yield the share that is done from time to time."""
        unit = self._blocks[-1].mlp.reading.normed.unit  # [cols, d]
        g = unit.new_zeros(len(dims), *unit.shape)
        g[torch.arange(len(dims)), :, torch.tensor(dims)] = 1
        rows: list[Tensor] = []
        for number in reversed(range(len(self._blocks))):
            one_hot = dims if not rows else None
            block = self._blocks[number]
            g = g.to(block.mlp.reading.weight.device)  # the model may be spread over several
            steps = block.through(g, one_hot, number == 0, self._step)
            row = yield from scaled(steps, len(rows) / len(self._blocks), 1 / len(self._blocks))
            rows.append(row.float().cpu())
        return torch.stack(rows[::-1]) / len(unit)
