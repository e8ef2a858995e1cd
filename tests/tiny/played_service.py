"""A service without nnsight or a network: what it is given to run, it runs in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lenstui.lens import Model
from lenstui.model.remote import Remote
from lenstui.model.residual import residual_stream_and_logits

NAME = "NDIF (a.test)"


@dataclass(frozen=True, eq=False)
class Played(Remote):
    """The place of a model's weights that is here after all; it notes what was run."""

    whole: Model | None = None
    ran: list[str] = field(default_factory=list)

    def run(self, ids: Sequence[int], work: Callable[..., Any], *given: Any) -> dict[str, Any]:
        assert self.whole is not None
        self.ran.append(work.__name__)
        module, anatomy = self.whole.module, self.whole.anatomy
        h, logits = residual_stream_and_logits(module, anatomy, torch.tensor([list(ids)]))
        found: dict[str, Any] = work(list(h), logits, (anatomy.final_norm, module.lm_head), *given)
        return found


def elsewhere(model: Model) -> Model:
    """The same model, as if its weights were on a service."""
    remote = Played(NAME, None, (), None, "lm_head", lambda: None, device="cpu", whole=model)
    return replace(model, remote=remote)
