"""Documents to blocks of token ids, as a lens is fitted and judged on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.errors import LensError


def token_blocks(tokenizer: Any, documents: Iterable[str], length: int) -> Iterator[Tensor]:
    """Cut documents, joined by EOS, into blocks that each begin as a prompt begins.

    Args:
        tokenizer: a Hugging Face tokenizer.
        documents: texts.
        length: columns of a block, at least 2.

    Yields:
        `[length]` int64 on the CPU. What is left at the end and fills no block is not used.

    Raises:
        LensError: if the tokenizer has no token to join documents by, or the blocks are too short.
    """
    if length < 2:
        raise LensError(f"A block needs at least 2 columns to predict anything, not {length}.")
    begin = [tokenizer.bos_token_id] if _adds_bos(tokenizer) else []
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    if end is None:
        raise LensError("This tokenizer has neither an EOS nor a BOS token to join documents by.")
    pending: list[int] = []
    size = length - len(begin)
    for document in documents:
        pending += [*tokenizer(document, add_special_tokens=False, verbose=False)["input_ids"], end]
        while len(pending) >= size:
            yield torch.tensor([*begin, *pending[:size]])
            del pending[:size]


def _adds_bos(tokenizer: Any) -> bool:
    ids = tokenizer("a")["input_ids"]
    return tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]
