"""A model in which one character is too much for float16, or for any dtype; and what is left of a prompt."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

LOUD = "~"  # the character

# What becomes of it.
LATE = "overflows in float16 in the last row"
EARLY = "overflows in float16 at once"
NAN = "is NaN in any dtype"
KINDS = (LATE, EARLY, NAN)


def overflowing(neox: Path, folder: Path, kind: str) -> Path:
    """A copy of a GPT-NeoX that reads bytes, with another embedding of `~`; a lens `mine.pt` is beside it.

    Whatever overflows at once is in the keys of attention, and so, on a CPU, in every column; what overflows
    in the last row is there alone.
    """
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(neox, folder / "loud")
    shutil.copy(neox.parent / "mine.pt", folder / "mine.pt")
    weights = load_file(folder / "loud" / "model.safetensors")
    row = weights["gpt_neox.embed_in.weight"][loud_id(folder / "loud")]
    if kind == LATE:  # float16 ends at 65504: the last block goes beyond it
        row.copy_(60_000 * (1 - 2 * (torch.arange(len(row)) % 2)))
        weights["gpt_neox.layers.1.mlp.dense_4h_to_h.weight"] *= 3_000
    else:
        row.fill_(1e6 if kind == EARLY else torch.nan)
    save_file(weights, folder / "loud" / "model.safetensors", metadata={"format": "pt"})
    return folder / "loud"


def loud_id(folder: Path) -> int:
    """The token of the character."""
    from transformers import AutoTokenizer

    (token,) = AutoTokenizer.from_pretrained(folder)(LOUD, add_special_tokens=False)["input_ids"]
    return int(token)


def finite(folder: Path, prompt: str, dtype: str) -> np.ndarray:
    """Where the logit lens has finite logits, `[rows, cols]`, by transformers alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    module = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    ids = AutoTokenizer.from_pretrained(folder)(prompt, return_tensors="pt").input_ids
    with torch.no_grad():
        states = module(ids, output_hidden_states=True).hidden_states
        # The last of transformers' states is normed already.
        normed = [*(module.gpt_neox.final_layer_norm(h) for h in states[:-1]), states[-1]]
        logits = torch.cat([module.get_output_embeddings()(h) for h in normed])
    found: np.ndarray = logits.isfinite().all(-1).numpy()
    return found
