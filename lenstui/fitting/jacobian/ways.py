"""The fastest way to compute a model's Jacobians, chosen at the start of a fit by its results."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor

from lenstui.fitting.jacobian.by_parts import PartsGraph
from lenstui.fitting.jacobian.dissection import UnknownFormError
from lenstui.fitting.jacobian.graph import Derivative, Graph, Rules, Way, build_graph
from lenstui.fitting.jacobian.mean_field import mean_field
from lenstui.model.load import Model
from lenstui.support.errors import FOREIGN_ERRORS, LensError, first_clause, is_out_of_memory

_PARTS_MEMORY = 4 << 30  # most bytes that the copies of the weights of blocks taken apart may take
MEMORY = 256 << 20  # most bytes that one backward pass may take on a CPU beside the graph
COTANGENTS = 1 << 30  # most bytes of cotangents of the stream, where blocks are taken apart
_MEMORY_ON_ACCELERATOR = 2 << 30
_AT_ONCE = 8  # output dimensions on a CPU, where more are no faster
_WORK = 13e9  # multiplications and additions of one backward pass on a CPU: about 0.2 s
_AT_ONCE_ON_ACCELERATOR = 128
_TENSORS = 8  # of a block's largest activation that a backward pass holds at a time

# The largest difference of a row's Jacobian that counts as rounding, as a share of its norm.
_TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-8}
_HALF_PRECISION = 5e-2


def proven_way(model: Model, ids: Tensor, of: Derivative, rules: Rules = nullcontext) -> Way:
    """Return the fastest way whose Jacobian agrees with the plain one.

    The plain way runs all columns, with one output dimension at a time.

    Args:
        model: from `load`.
        ids: the token ids of a prompt, `[cols]`, on the CPU.
        of: the derivative to take.
        rules: as for `build_graph`.

    Raises:
        LensError: if the model cannot be differentiated, with the reason.
    """
    plain = Way(prefix=False, batched=False, chunk=1)
    wanted = _sample(model, ids, of, plain, rules)
    if wanted.isnan().any() or wanted.isinf().any():
        raise LensError(
            f"The model's derivatives are not finite in {model.dtype_name}: no lens can be fitted."
        )
    chunk = dims_at_once(model, len(ids))
    ways = [
        Way(prefix and of.first > 0, batched, chunk)
        for prefix, batched in ((True, True), (False, True), (True, False), (False, False))
    ]
    if rules is nullcontext and _can_take_apart(model):
        ways.insert(0, Way(prefix=False, batched=True, chunk=chunk, parts=True))
    for way in ways:
        try:
            found = _sample(model, ids, of, way, rules)
        except FOREIGN_ERRORS as error:  # the model has no such cache, or an operation that cannot be batched
            if is_out_of_memory(error):
                raise
            continue
        if _agrees(model, found, wanted):
            return way
    return plain


def graph_of(
    model: Model, ids: Tensor, of: Derivative, way: Way, rules: Rules = nullcontext
) -> Graph | PartsGraph:
    """Run a prompt, and keep what the rows of its Jacobians are computed from.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, on the CPU.
        of: the derivative to take.
        way: the way to compute it.
        rules: as for `build_graph`; none where blocks are taken apart.

    Raises:
        LensError: if the hidden states are not finite.
        RuntimeError, TypeError, ValueError, AttributeError: if the model cannot be run in this way.
    """
    if way.parts:
        try:
            return PartsGraph(model, ids, of, _dims_in_memory(model, len(ids)), way.chunk)
        except UnknownFormError:  # on this prompt alone: rounding, or numbers that are not finite
            way = replace(way, parts=False)
    return build_graph(model, ids, of, way, rules)


def prove_parts(model: Model, ids: Tensor, of: Derivative) -> None:
    """Prove on a prompt that a model's blocks can be taken apart, which its mean field takes.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, on the CPU.
        of: the derivative to take.

    Raises:
        LensError: if they cannot, with the reason.
    """
    wanted = _sample(model, ids, of, Way(prefix=False, batched=False, chunk=1), nullcontext)
    try:
        found = _sample(model, ids, of, Way(prefix=False, batched=True, chunk=2, parts=True), nullcontext)
    except FOREIGN_ERRORS as error:
        if is_out_of_memory(error):
            raise
        raise _without_field(model, first_clause(error)) from error
    if not _agrees(model, found, wanted):
        raise _without_field(model, "its blocks do not give its derivatives")


def field_of(model: Model, ids: Tensor, of: Derivative) -> Tensor:
    """Return the mean-field Jacobian of a prompt, `[rows, d, d]`, float32, on the CPU.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, on the CPU.
        of: the derivative to take.

    Raises:
        LensError: if a block cannot be taken apart, or its numbers are not finite.
    """
    try:
        field = mean_field(model, ids, of)
    except UnknownFormError as error:
        raise _without_field(model, str(error)) from error
    if not bool(field.isfinite().all()):
        raise LensError(not_finite(model))
    return field


def _without_field(model: Model, reason: str) -> LensError:
    return LensError(
        f"There is no control variate for {type(model.module).__name__}: {reason}. Leave --estimator out."
    )


def _agrees(model: Model, found: Tensor, wanted: Tensor) -> bool:
    """Return whether all rows of two Jacobians are the same but for rounding."""
    differences = (found - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
    return bool((differences <= _TOLERANCES.get(model.dtype, _HALF_PRECISION)).all())


def _can_take_apart(model: Model) -> bool:
    """Return whether the blocks may be taken apart, which takes float32 copies of their weights."""
    weights = sum(weight.numel() for block in model.anatomy.blocks for weight in block.parameters())
    return model.dtype == torch.float32 and 4 * weights <= _PARTS_MEMORY


def not_finite(model: Model) -> str:
    """Return the message for derivatives that are infinite or NaN."""
    return (
        f"The model's derivatives are not finite on this text in {model.dtype_name}: no lens can be fitted. "
        "Try --dtype float32."
    )


def dims_at_once(model: Model, cols: int) -> int:
    """Return how many output dimensions one backward pass may have within the limits of memory and time.

    Args:
        model: from `load`.
        cols: the number of columns of a prompt.
    """
    widths = (max(weight.shape) for block in model.anatomy.blocks for weight in block.parameters())
    config = model.module.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None) or 1
    largest = cols * max(*widths, model.d_model, heads * cols) * model.dtype.itemsize
    if model.device.type != "cpu":
        most = min(_AT_ONCE_ON_ACCELERATOR, _MEMORY_ON_ACCELERATOR // (_TENSORS * largest))
    else:
        weights = sum(weight.numel() for block in model.anatomy.blocks for weight in block.parameters())
        most = min(_AT_ONCE, MEMORY // (_TENSORS * largest), int(_WORK / (2 * weights * cols)))
    return max(1, min(most, model.d_model))


def _dims_in_memory(model: Model, cols: int) -> int:
    """Return into how many output dimensions all of them are divided, evenly, to fit into memory."""
    of_one = 2 * cols * model.d_model * 4  # twice, since parallel blocks take a copy
    passes = math.ceil(model.d_model / max(1, COTANGENTS // of_one))
    return math.ceil(model.d_model / passes)


def _sample(model: Model, ids: Tensor, of: Derivative, way: Way, rules: Rules) -> Tensor:
    """Return two output dimensions of every row's Jacobian, `[rows, 2, d]`."""
    middle = model.d_model // 2
    dims = range(middle - 1, middle + 1)
    try:
        graph = PartsGraph(model, ids, of, 2, 2) if way.parts else build_graph(model, ids, of, way, rules)
        if way.chunk > 1:
            return graph.jacobian(dims)
        return torch.cat([graph.jacobian(range(dim, dim + 1)) for dim in dims], 1)
    except RuntimeError as error:
        if is_out_of_memory(error) or way.chunk > 1 or way.batched:
            raise
        raise LensError(
            f"{type(model.module).__name__} cannot be differentiated: {first_clause(error)}. "
            "Fit a tuned lens instead."
        ) from error
