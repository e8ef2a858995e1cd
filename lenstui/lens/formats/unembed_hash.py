"""The hash by which the `tuned-lens` library knows a model's unembedding again."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from lenstui.model.load import Model

_EDGE = 3  # rows and columns at each edge that NumPy prints of a large matrix
_LARGE = 1000  # entries from which on it prints the edges alone


def unembed_hash(model: Model) -> str | None:
    """The library's hash of the unembedding; None where that is no matrix."""
    matrix = model.module.get_output_embeddings()
    weight: Tensor | None = getattr(matrix, "weight", None)
    return None if weight is None else matrix_hash(weight)


def matrix_hash(weight: Tensor) -> str:
    """Sha256 of how NumPy prints the matrix in float32 at precision 1.

    Of a large matrix NumPy prints the edges alone, so they are all that is copied.
    """
    weight = weight.detach()
    large = weight.numel() > _LARGE
    if large:
        weight = _edges(_edges(weight, 0), 1)
    # NumPy's defaults, under which the library prints it, whatever the caller has set.
    with np.printoptions(threshold=0 if large else _LARGE, edgeitems=_EDGE, linewidth=75, suppress=False):
        text = np.array_str(weight.float().cpu().numpy(), precision=1)
    return hashlib.sha256(text.encode()).hexdigest()


def _edges(matrix: Tensor, dim: int) -> Tensor:
    """As many rows, or columns, as print the same: both edges and one between them, which prints as dots."""
    size = matrix.shape[dim]
    if size <= 2 * _EDGE:
        return matrix
    kept = torch.tensor([*range(_EDGE + 1), *range(size - _EDGE, size)], device=matrix.device)
    return matrix.index_select(dim, kept)
