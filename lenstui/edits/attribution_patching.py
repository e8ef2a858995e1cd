"""Attribution patching: what each patch of a causal trace would do, to first order, from one backward pass.

The metric changes by `(x_clean − x_corrupted) · ∂m/∂x`, with the derivative in the corrupted run, where a
component x is patched (Nanda 2023, https://www.neelnanda.io/mechanistic-interpretability/attribution-patching).
It is exact where the metric is linear in x, and says where to look otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.edits.edit import Component
from lenstui.edits.hooks import Change, changing
from lenstui.model.load import Model
from lenstui.model.residual import logits_options
from lenstui.support.errors import LensError, first_clause, is_out_of_memory


@dataclass(frozen=True, slots=True, eq=False)
class Slope:
    """A component in one run, and how a metric changes with it.

    Attributes:
        value: the component, `[cols, width]`, float32.
        gradient: the derivative of the metric by it, likewise.
    """

    value: Tensor
    gradient: Tensor

    def effect(self, clean: Tensor, pairs: Mapping[int, int]) -> float:
        """Return how much the metric changes, to first order, when columns are patched.

        Args:
            clean: the component in the clean run, `[cols, width]`.
            pairs: the columns that are patched, each with the clean column that comes in.
        """
        columns, sources = list(pairs), list(pairs.values())
        return float(((clean[sources].float() - self.value[columns]) * self.gradient[columns]).sum())


def find_slopes(
    model: Model,
    ids: Tensor,
    changes: Sequence[tuple[Component, Change]],
    components: Sequence[Component],
    metric: Callable[[Tensor], Tensor],
) -> Mapping[Component, Slope]:
    """Run a prompt forward and back, and return the slope of a metric by each component.

    Args:
        model: from `load`.
        ids: `[1, cols]`, on the CPU.
        changes: what is done to components of the run.
        components: of this model.
        metric: of logits in the last column `[1, vocabulary]`, `[1]`.

    Raises:
        LensError: if the model cannot be differentiated.
    """
    values: dict[Component, Tensor] = {}  # [1, cols, width]
    last: list[Tensor] = []

    def watching(component: Component) -> Change:
        def watch(value: Tensor) -> Tensor:
            values[component] = value if value.requires_grad else value.detach().requires_grad_()
            return values[component]

        return watch

    def keep_last(value: Tensor) -> Tensor:
        last[:] = [value[:, -1]]
        return value

    watched = [*changes, *((each, watching(each)) for each in components)]
    watched.append((Component("stream", model.num_blocks - 1), keep_last))
    options = {"use_cache": False, **logits_options(model.module)}
    try:
        with torch.enable_grad(), changing(model, watched, ids.shape[1]):
            model.module(input_ids=ids.to(model.device), **options)
            of = metric(model.head.logits(model.head.norm(last[0])))
        gradients = torch.autograd.grad(of.sum(), list(values.values()))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise LensError(
            f"{type(model.module).__name__} cannot be differentiated: {first_clause(error)}. "
            "Leave the approximation out."
        ) from error
    return {
        component: Slope(value[0].detach().float(), gradient[0].float())
        for (component, value), gradient in zip(values.items(), gradients, strict=True)
    }
