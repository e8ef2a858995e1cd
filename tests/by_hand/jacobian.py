"""Jacobian lenses in every file format, with made-up matrices, and their logits by the formula."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.lens import Model
from tests.by_hand import naive


def matrices(count: int, width: int, *, seed: int = 0) -> dict[int, Tensor]:
    """`J` of rows `0 … count - 1` by the number of the block whose output it reads, near the identity."""
    generator = torch.Generator().manual_seed(seed)
    return {
        row: torch.eye(width) + 0.3 * torch.randn(width, width, generator=generator) for row in range(count)
    }


def reference(by_block: Mapping[int, Tensor], **changes: Any) -> dict[str, Any]:
    """What the reference code's file holds."""
    return {
        "J": {row: matrix.half() for row, matrix in by_block.items()},
        "n_prompts": 10,
        "source_layers": sorted(by_block),
        "d_model": len(next(iter(by_block.values()))),
        **changes,
    }


def j_plus_plus(by_block: Mapping[int, Tensor], end: int = -1) -> dict[str, Any]:
    """What a file of J++ holds; `end` is the block to whose output it leads, counted from the end."""
    return {
        "parameters": {"jacobians": {row: matrix.half() for row, matrix in by_block.items()}},
        "source_layers": sorted(by_block),
        "config": {
            "hf_model_name": "some/model",
            "lens_type": "jacobian",
            "d_model": len(next(iter(by_block.values()))),
            "num_prompts_trained_on": 24,
            "skip_first_n_positions": 16,
            "relative_end_transport_layer": end,
            "lrp_mode": "none",
            "creation_time": "2026-07-01_10-00-00",
        },
    }


def own(by_block: Mapping[int, Tensor], emb: Tensor, **changes: Any) -> dict[str, Any]:
    """What lenstui's own file holds."""
    state = {"emb": emb, **{str(row): matrix for row, matrix in by_block.items()}}
    return {
        "format": "lenstui.jacobian_lens",
        "version": 1,
        "config": {"d_model": len(emb), "num_hidden_layers": len(by_block) + 1},
        "fit": {"n_prompts": 10, "target": "last"},
        "state_dict": state,
        **changes,
    }


def written(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def logits(model: Model, text: str, by_row: Mapping[int, Tensor], final_norm: str) -> dict[int, Tensor]:
    """`head(norm(J_i h_i))`, `[cols, vocabulary]`, float64, by the index `i` of each row that has a matrix.

    Args:
        model: the model.
        text: the prompt.
        by_row: `J_i`, 0 for `emb`.
        final_norm: path of the model's final norm.
    """
    module, ids = model.module, naive.ids_of(model, text)
    h = naive.stream(module, ids, final_norm)
    norm, head = module.get_submodule(final_norm), module.get_output_embeddings()
    with torch.no_grad():
        module.double()
        try:
            return {row: head(norm(h[row] @ matrix.double().T)) for row, matrix in by_row.items()}
        finally:
            module.float()
