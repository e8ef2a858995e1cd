"""Jacobians of a prompt by the definition: a loop over target columns and dimensions, one gradient each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def naive_jacobians(
    module: nn.Module, ids: Tensor, blocks: str, last: str | None, *, first: int, target: int | None = None
) -> Tensor:
    """`J_i` of a single prompt, `[rows, d, d]`, float64, without any of the code under test.

    Args:
        module: the causal LM, whose parameters require gradients.
        ids: all token ids, `[cols]`; the last one is neither source nor target.
        blocks: the path of the list of blocks.
        last: the path of the final norm; None for the output of the last block.
        first: the first source and target column.
        target: the block whose input is the target; None for the final norm's input.
    """
    parts = dict(module.named_modules())
    count = len([name for name in parts if name.rpartition(".")[0] == blocks])
    rows: list[Tensor] = []
    final: list[Tensor] = []

    def keep(block: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        rows.append(args[0])
        return (args[0].clone(), *args[1:])  # some families add to their input in place

    handles = [parts[f"{blocks}.{i}"].register_forward_pre_hook(keep) for i in range(count)]

    def keep_output(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        final.append(output[0] if isinstance(output, (tuple, list)) else output)

    if last is not None:
        handles.append(parts[last].register_forward_pre_hook(lambda _, args: final.append(args[0])))
    else:
        handles.append(parts[f"{blocks}.{count - 1}"].register_forward_hook(keep_output))
    with torch.enable_grad():
        module(input_ids=ids[None], use_cache=False)
    for handle in handles:
        handle.remove()
    h = final[-1] if target is None else rows[target]
    sources = rows[: count if target is None else target]
    columns = range(first, len(ids) - 1)
    found = torch.zeros(len(sources), h.shape[-1], h.shape[-1], dtype=torch.float64)
    for dim in range(h.shape[-1]):
        for column in columns:
            gradients = torch.autograd.grad(h[0, column, dim], sources, retain_graph=True)
            for row, gradient in enumerate(gradients):
                for source in columns:
                    if source <= column:
                        found[row, dim] += gradient[0, source].double() / len(columns)
    return found
