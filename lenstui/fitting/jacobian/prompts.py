"""The prompts of a fit: the beginnings of documents, some of them held out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lenstui.model.load import Model
from lenstui.model.tokenization import pieces, plain_ids
from lenstui.model.tokens import front_of
from lenstui.support.errors import LensError
from lenstui.texts.documents import Documents, SkippedLines, read_documents
from lenstui.texts.held_out import split_documents

HELD_OUT_PROMPTS = 8
_ONE_IN = 10  # texts in memory is held out
_CHARACTERS = 32  # of a document that are tokenised first, for each column


@dataclass(frozen=True, eq=False)
class FitPrompts:
    """Prompts to fit on, and others that convergence is measured on, all of one length, on the CPU.

    Attributes:
        train: the prompts to fit on, `[cols]` each.
        held_out: the held-out prompts, `[cols]` each.
        passed_over: the number of documents that were too short for a prompt.
    """

    train: tuple[Tensor, ...]
    held_out: tuple[Tensor, ...]
    passed_over: int = 0


def prompt_of(tokenizer: Any, text: str, length: int, front: list[int] | None = None) -> Tensor | None:
    """Return the first `length` token ids of a document, `[length]`; None where it has fewer.

    Args:
        tokenizer: a Hugging Face tokenizer.
        text: the document.
        length: the number of columns.
        front: the special tokens in front of every text, from `front_of`.
    """
    front = front_of(tokenizer) if front is None else front
    beginning = text[: _CHARACTERS * length]
    ids = plain_ids(tokenizer, beginning)
    if len(ids) < 2 * length and len(beginning) < len(text):  # near the cut they might differ
        ids = []
        for piece in pieces(text):
            ids += plain_ids(tokenizer, piece)
            if len(ids) >= length:
                break
    ids = [*front, *ids][:length]
    return torch.tensor(ids) if len(ids) == length else None


def read_prompts(
    model: Model,
    documents: Documents,
    length: int,
    count: int,
    *,
    share: float,
    seed: int,
    skipped: SkippedLines | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> FitPrompts:
    """Read prompts from documents, in their order, and no more documents than are needed.

    Args:
        model: from `load`.
        documents: the documents.
        length: the number of columns of a prompt.
        count: the most prompts to fit on.
        share: the approximate share of documents to hold out.
        seed: the seed for the choice of documents.
        skipped: a tally for JSON lines that hold no text.
        should_stop: called at every document; True stops the reading.

    Raises:
        LensError: if fewer than two documents are long enough, the model does not have one of the tokens, the
            documents cannot be read, or reading was stopped.
    """
    split = split_documents(read_documents(documents, skipped), share, seed)

    def marked() -> Iterator[tuple[str, bool]]:
        for text in read_documents(documents, skipped):
            if should_stop():
                raise LensError("Reading the text was stopped.")
            yield text, split is not None and split.holds_out(text)

    return _chosen(model, marked(), length, count)


def prompts_of(model: Model, texts: Iterable[str], length: int, count: int) -> FitPrompts:
    """Return prompts from texts in memory, every tenth of which is held out.

    Args:
        model: from `load`.
        texts: the documents.
        length: the number of columns of a prompt.
        count: the most prompts to fit on.

    Raises:
        LensError: if fewer than two documents are long enough, or the model does not have one of the tokens.
    """
    return _chosen(
        model, ((text, number % _ONE_IN == _ONE_IN - 1) for number, text in enumerate(texts)), length, count
    )


def _chosen(model: Model, marked: Iterable[tuple[str, bool]], length: int, count: int) -> FitPrompts:
    """Return prompts from documents, each with a mark whether it is held out, until there are enough."""
    front = front_of(model.tokenizer)
    train: list[Tensor] = []
    held_out: list[Tensor] = []
    short = 0
    for text, is_held_out in marked:
        side, most = (held_out, HELD_OUT_PROMPTS) if is_held_out else (train, count)
        if len(side) < most:
            prompt = prompt_of(model.tokenizer, text, length, front)
            if prompt is None:
                short += 1
            else:
                model.check_ids(prompt.tolist())
                side.append(prompt)
        if len(train) == count and len(held_out) == HELD_OUT_PROMPTS:
            break
    return _with_both_sides(train, held_out, short, length)


def _with_both_sides(train: list[Tensor], held_out: list[Tensor], short: int, length: int) -> FitPrompts:
    """Return the prompts, with one of them moved where a side has none."""
    if len(train) + len(held_out) < 2:
        raise LensError(
            f"{len(train) + len(held_out)} of {len(train) + len(held_out) + short} documents have {length} "
            "tokens, and a fit takes at least two, one of them held out: give longer documents, more of "
            "them, or shorter prompts."
        )
    if not train:
        train.append(held_out.pop())
    if not held_out:
        held_out.append(train.pop())
    return FitPrompts(tuple(train), tuple(held_out), short)
