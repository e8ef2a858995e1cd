"""Contributions of attention heads, of what they read, and of neurons, along one direction of the stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lenstui.causal.components import BlockComponents
from lenstui.model.wiring import TOLERANCES
from lenstui.readout.cells import FloatArray

# What contributions may be off by, as a share of the largest, by the coarser dtype of weights and stream.
LIMITS = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 5e-2}


def limit_of(dtype: torch.dtype) -> float:
    """Return what contributions may be off by, as a share of the largest."""
    return LIMITS.get(dtype, LIMITS[torch.bfloat16])


def dot(vectors: Tensor, direction: Tensor) -> FloatArray:
    """Return `vectors · direction`, `[...]`, float64, for vectors `[..., d]`."""
    product: FloatArray = (vectors.double().cpu() @ direction.double().cpu()).numpy()
    return product


def heads_of(blocks: Sequence[BlockComponents], u: Tensor) -> tuple[FloatArray, FloatArray]:
    """Return the contributions of heads `[blocks, heads]`, and of attention beside them `[blocks]`."""
    most = max((len(block.heads.vectors) for block in blocks if block.heads is not None), default=0)
    heads = np.full((len(blocks), most), np.nan, dtype=np.float32)
    bias = np.full(len(blocks), np.nan, dtype=np.float32)
    for number, block in enumerate(blocks):
        if block.heads is not None:
            heads[number, : len(block.heads.vectors)] = dot(block.heads.vectors, u)
            bias[number] = dot(block.heads.bias, u)
    return heads, bias


def sources_of(
    blocks: Sequence[BlockComponents], u: Tensor, heads: FloatArray, cols: int
) -> tuple[FloatArray, FloatArray, tuple[str | None, ...]]:
    """Return contributions by source and attention weights, `[blocks, heads, cols]`; why there are none."""
    shares = np.full((*heads.shape, cols), np.nan, dtype=np.float32)
    weights = np.full_like(shares, np.nan)
    reasons: list[str | None] = []
    for number, block in enumerate(blocks):
        reasons.append(block.no_sources)
        if block.heads is None or block.sources is None:
            continue
        count, (groups, _, width) = len(block.heads.vectors), block.sources.values.shape
        g = block.heads.projection.pulled_back(u, block.heads.input).reshape(groups, count // groups, width)
        along = (g @ block.sources.values.transpose(1, 2)).reshape(count, cols)
        share = (along * block.sources.weights).cpu().numpy()
        off = np.abs(share.sum(-1) - heads[number, :count]).max()
        if not off <= _rounding(block.heads.vectors, u, block.heads.input.dtype):
            reasons[-1] = "its projection has no exact derivative, by which sources would be told apart"
            continue
        shares[number, :count] = share
        weights[number, :count] = block.sources.weights.cpu().numpy()
    return shares, weights, tuple(reasons)


def neurons_of(block: BlockComponents, u: Tensor) -> tuple[FloatArray | None, str | None]:
    """Return the contributions of the neurons of a block, `[neurons]`, or None and the reason."""
    if block.mlp is None:
        return None, block.no_neurons
    projection, x = block.mlp
    with torch.inference_mode():
        added, _ = projection.added(x, x)
        room = _rounding(added, u, x.dtype)
    shares: FloatArray = (projection.pulled_back(u, x) * x[0].float()).cpu().numpy()
    if not abs(float(shares.sum(dtype=np.float64)) - float(dot(added, u)[0])) <= room:
        return None, "its last linear map has no exact derivative, by which neurons would be told apart"
    return shares, None


def _rounding(vectors: Tensor, u: Tensor, dtype: torch.dtype) -> float:
    """Return what products of vectors with a direction may be off by, from the sizes of their terms."""
    return TOLERANCES.get(dtype, TOLERANCES[torch.bfloat16]) * float(dot(vectors.abs(), u.abs()).max())
