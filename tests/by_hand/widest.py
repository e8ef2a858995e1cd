"""How large the tensors become that are made meanwhile."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Widest(TorchDispatchMode):
    """Remembers the most elements of any tensor made, and of any that has a vocabulary in its shape."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.any = self.logits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.any = max(self.any, result.numel())
            if self.vocabulary in result.shape and func is not torch.ops.aten.t.default:
                self.logits = max(self.logits, result.numel())
        return result
