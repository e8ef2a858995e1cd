"""The mean-field Jacobian of a prompt: what its Jacobian would be, were the columns of each block alike.

`F_i = (I + M_{L-1}) (I + A_{L-1}) … (I + M_i) (I + A_i)`, in parallel blocks `I + A_k + M_k` instead. `A_k`
and `M_k` are the Jacobians of attention and MLP alone, the mean over the source columns of the sum over the
target columns, as in the exact `J_i`. They are exact, and in closed form from the forward pass: with
`N_p = s_p (I − x_p x_pᵀ / d)` the derivative of the norm at column p (x the unit vector, s the scale), every
linear map can be taken out of the sum over the columns but for the rank-one part of `N_p`, which is a product
of two matrices with columns. What `F_i` lacks is how the derivatives of different blocks at a column go
together.

Its use is as a control variate. For every prompt, `F` costs a small part of `J`, and the two rise and fall
together. With N prompts, and J known of n of them,

    J̃ = mean over N of F + mean over n of (J − F)

has the expectation of J whatever F is, since F is a function of one prompt and both terms have the same; its
variance is `var(J − F) / n + var(F) / N + 2 cov(J − F, F) / N`. (Gurnee et al. 2026 for J; control variates:
e.g. Owen, Monte Carlo theory, methods and examples, 2013, chapter 8.9. The coefficient of F is one: the best
one was measured as 0.96 to 1.00.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from lenstui.fitting.jacobian.dissection import AttentionPart, BlockParts, MlpPart, dissected
from lenstui.fitting.jacobian.graph import Derivative
from lenstui.model.load import Model


def mean_field(model: Model, ids: Tensor, of: Derivative) -> Tensor:
    """Return the mean-field Jacobian of every row, `[rows, d, d]`, float32, on the CPU.

    Args:
        model: from `load`.
        ids: the token ids of a prompt, `[cols]`, on the CPU.
        of: the derivative to take.

    Raises:
        UnknownFormError: if a block cannot be taken apart.
    """
    blocks = dissected(model, ids, of, block_factors)
    product: Tensor | None = None
    found = []
    for factors in reversed(blocks):
        for factor in reversed(factors):
            product = factor if product is None else product @ factor.to(product.device)
        assert product is not None
        found.append(product.cpu())
    return torch.stack(found[::-1])


def block_factors(block: BlockParts) -> tuple[Tensor, ...]:
    """Return what a block multiplies the product by: `I + A` and `I + M`, or `I + A + M`, `[d, d]` each."""
    attention, mlp = attention_jacobian(block.attention), mlp_jacobian(block.mlp)
    identity = torch.eye(len(mlp)).to(mlp)
    if block.is_parallel:
        return (identity + attention + mlp,)
    return identity + attention, identity + mlp


def mlp_jacobian(part: MlpPart) -> Tensor:
    """Return the mean Jacobian of an MLP over the columns, `[d, d]`."""
    unit, scale = part.normed.unit, part.normed.scale
    cols, d = unit.shape
    scaled = part.slopes * scale[:, None]  # [parts, cols, inner]
    linear = (scaled.mean(1)[:, :, None] * part.reading).sum(0)  # [inner, d]
    along = (scaled * (unit @ part.reading.mT)).sum(0)  # [cols, inner]
    return part.writing @ (linear - along.T @ unit / (cols * d))


def attention_jacobian(part: AttentionPart) -> Tensor:
    """Return the Jacobian of attention, `[d, d]`: mean over the source, sum over the target columns."""
    unit = part.normed.unit
    z = unit @ part.reading.T  # [cols, width]
    heads = [_of_head(part, head, z) for head in range(len(part.queries))]
    return part.writing @ torch.cat(heads) / len(unit)


def _of_head(part: AttentionPart, head: int, z: Tensor) -> Tensor:
    """Return the Jacobian of a head's output, the sum over source and target columns, `[head_dim, d]`.

    With `o_p = Σ_k P_pk v_k`, a query moves it by `Σ_k P_pk (v_k − o_p) k_kᵀ`, a key by
    `P_pk (v_k − o_p) q_pᵀ`, and a value by `P_pk`.

    Args:
        part: the attention of a block.
        head: the number of the head.
        z: what is read, less its bias, `[cols, width]`.
    """
    unit, scale = part.normed.unit, part.normed.scale[:, None]
    pattern, output, queries = part.pattern[head], part.output[head], part.queries[head] * part.factor
    keys, values = part.keys[head] * part.factor, part.values[head]
    cols = len(queries)
    sources = slice(len(keys) - cols, None)
    to_sources = pattern[:, sources].T  # [sources, cols]
    groups = [head * len(places) // len(part.queries) for places in part.places]
    places = [each[group] for each, group in zip(part.places, groups, strict=True)]
    turns = [each.of_group(group) for each, group in zip(part.turns, groups, strict=True)]
    read = [turn.forward(z[:, each]) for turn, each in zip(turns, places, strict=True)]

    # By queries: for each column `[head_dim, head_dim]`, and its product with what is read there.
    mean_key = pattern @ keys
    by_query = pattern @ _outer(values, keys) - _outer(output, mean_key)
    along = (pattern * (read[0] @ keys.T)) @ values - output * (mean_key * read[0]).sum(-1, keepdim=True)
    # By keys.
    of_sources, mean_query = values[sources], to_sources @ queries
    by_key = _outer(of_sources, mean_query) - to_sources @ _outer(output, queries)
    along += of_sources * (mean_query * read[1]).sum(-1, keepdim=True)
    along -= (to_sources * (read[1] @ queries.T)) @ output
    # By values.
    seen = to_sources.sum(1, keepdim=True)
    along += seen * read[2]

    by_value = seen[..., None] * torch.eye(values.shape[-1]).to(seen)
    linear = torch.zeros_like(along.T @ unit)
    for by_column, turn, each in zip((by_query, by_key, by_value), turns, places, strict=True):
        weighted = (by_column.flatten(1) * scale).view(cols, values.shape[-1], -1)
        linear += turn.summed(weighted) @ part.reading[each]
    return linear - (along * scale).T @ unit / unit.shape[1]


def _outer(one: Tensor, other: Tensor) -> Tensor:
    """Return the products of two vectors a column, `[cols, n · m]`."""
    return (one[:, :, None] * other[:, None]).flatten(1)
