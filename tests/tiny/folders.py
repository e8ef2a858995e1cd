"""Tiny models with random weights as folders, as a user has them on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONTEXT = 96  # columns that the model of the fixture `neox_folder` reads


def neox_in(
    folder: Path,
    tokenizer: Any,
    *,
    seed: int = 0,
    blocks: int = 3,
    width: int = 32,
    heads: int = 4,
    vocabulary: int = 258,
    context: int = 64,
) -> Path:
    """Write a random GPT-NeoX into a folder, by default with a vocabulary as large as the byte tokenizer's.

    Args:
        folder: which may not be there yet.
        tokenizer: is saved beside the weights.
        seed: of the weights; what is drawn from torch afterwards follows from it, too.
        blocks: how many.
        width: of the stream; within the MLP it is twice that.
        heads: of attention.
        vocabulary: entries; those beyond the tokenizer's are padding.
        context: how many columns it reads.

    Returns:
        The folder.
    """
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(seed)
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=2 * width,
        max_position_embeddings=context,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def llama_in(folder: Path, tokenizer: Any) -> Path:
    """Write a random Llama into a folder: two blocks, 16 wide, one token per byte, 64 columns."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=258,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
