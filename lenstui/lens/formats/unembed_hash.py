"""The hash by which the `tuned-lens` library identifies a model's unembedding."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from lenstui.model.load import Model

_EDGE = 3  # rows and columns that NumPy prints at each edge of a large matrix
_LARGE = 1000  # entries above which NumPy prints only the edges


def unembed_hash(model: Model) -> str | None:
    """Return the library's hash of the unembedding; None where that is no matrix."""
    weight = model.unembedding
    return None if weight is None else matrix_hash(weight)


def matrix_hash(weight: Tensor) -> str:
    """Return the SHA-256 of NumPy's printout of the matrix, in float32 at precision 1.

    NumPy prints only the edges of a large matrix, so only these are copied.
    """
    weight = weight.detach()
    large = weight.numel() > _LARGE
    if large:
        weight = _edges(_edges(weight, 0), 1)
    # NumPy's defaults, as the library uses them, whatever the caller has set.
    with np.printoptions(threshold=0 if large else _LARGE, edgeitems=_EDGE, linewidth=75, suppress=False):
        text = np.array_str(weight.float().cpu().numpy(), precision=1)
    return hashlib.sha256(text.encode()).hexdigest()


def _edges(matrix: Tensor, dim: int) -> Tensor:
    """Return the rows, or columns, that NumPy prints: both edges, and one between them, printed as dots."""
    size = matrix.shape[dim]
    if size <= 2 * _EDGE:
        return matrix
    kept = torch.tensor([*range(_EDGE + 1), *range(size - _EDGE, size)], device=matrix.device)
    return matrix.index_select(dim, kept)
