"""A kind of lens that lenstui does not have: every state but the last is read with its sign turned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from lenstui.lens.kinds import LensKind, lens_kinds, register, unregister
from lenstui.lens.lens import Lens


@dataclass(frozen=True, eq=False)
class MirroredLens(Lens):
    """`T_i(h) = −h`."""

    kind: ClassVar[str] = "mirrored"

    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `−h`."""
        return -h


def mirrored_logits(folder: Path, text: str) -> np.ndarray:
    """Its logits by hand, `[rows, columns, vocabulary]`, float64."""
    import torch

    from lenstui.lens import load
    from lenstui.model.tokens import encode
    from tests.by_hand import naive

    model = load(str(folder))
    module = model.module.double()
    ids = torch.tensor([encode(model.tokenizer, text).ids])
    h = naive.stream(module, ids, "gpt_neox.final_layer_norm")
    with torch.no_grad():
        rows = [module.lm_head(module.gpt_neox.final_layer_norm(-x)) for x in h[:-1]]
        return torch.stack([*rows, module(ids).logits[0]]).numpy()


@contextmanager
def registered() -> Iterator[None]:
    """Have the kind in the registry, and out again."""
    before = lens_kinds()
    register(LensKind("mirrored", MirroredLens))
    try:
        yield
    finally:
        unregister("mirrored")
        assert lens_kinds() == before
