"""Logits and values of both lenses of a model's folder, the wasteful way."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def naive_logits(folder: Path, text: str) -> dict[str, np.ndarray]:
    """`[rows, columns, vocabulary]` of each lens, float64."""
    import torch

    from lenstui.lens import load, open_lens
    from lenstui.model.residual import residual_stream
    from lenstui.model.tokens import encode

    model, lens = load(str(folder)), open_lens(folder / "lens.pt")
    ids = torch.tensor([encode(model.tokenizer, text).ids])
    h = residual_stream(model.module, model.anatomy, ids)[:, 0]
    with torch.no_grad():
        logit = torch.stack([model.head(x) for x in h])
        moved = [x + x @ a.T + b for x, a, b in zip(h, lens.weight, lens.bias, strict=False)]
        tuned = torch.stack([model.head(x) for x in (*moved, h[-1])])
    return {"logit": logit.double().numpy(), "tuned": tuned.double().numpy()}


def naive_values(logits: np.ndarray) -> dict[str, np.ndarray]:
    """Some values by key, `[rows, columns]`."""
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    final = p[-1]
    of_top1 = np.take_along_axis(logits, np.broadcast_to(final.argmax(-1), p.shape[:2])[..., None], -1)
    return {
        "prob": p.max(-1),
        "entropy": -(p * np.log(p)).sum(-1),
        "kl": (final * np.log(final / p)).sum(-1),
        "rank": (logits > of_top1).sum(-1).astype(float),
    }
