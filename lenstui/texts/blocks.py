"""Documents cut into blocks of token ids, to fit and evaluate lenses on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from lenstui.model.tokenization import LONGEST_TEXT, break_near, pieces, plain_ids
from lenstui.model.tokens import front_of
from lenstui.support.errors import LensError
from lenstui.texts.documents import Documents, SkippedLines, read_documents
from lenstui.texts.held_out import Split, split_documents

TOO_LITTLE = "There is too little text for a single block: give more, or shorter blocks."


def token_blocks(tokenizer: Any, documents: Iterable[str], length: int) -> Iterator[Tensor]:
    """Cut documents, joined by EOS, into blocks that each begin as a prompt begins.

    Args:
        tokenizer: a Hugging Face tokenizer.
        documents: the texts.
        length: the number of columns of a block, at least 2.

    Yields:
        `[length]` int64 on the CPU. A rest at the end that fills no block is not used.

    Raises:
        LensError: if the tokenizer has no token to join documents by, or the blocks are too short.
    """
    for ids, _ in numbered_blocks(tokenizer, documents, length):
        yield ids


def numbered_blocks(
    tokenizer: Any, documents: Iterable[str], length: int
) -> Iterator[tuple[Tensor, list[int]]]:
    """Cut documents into blocks as `token_blocks` does, and say which document each token is of.

    Yields:
        Token ids `[length]`, and the number of the document of each column, from 0, `[length]`. The EOS
        behind a document is of that document; what begins a block is of the document that goes on there.
    """
    if length < 2:
        raise LensError(f"A block needs at least 2 columns to predict anything, not {length}.")
    begin = front_of(tokenizer)
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.bos_token_id
    if end is None:
        raise LensError("This tokenizer has neither an EOS nor a BOS token to join documents by.")
    pending: list[int] = []
    of_documents: list[int] = []  # of each pending token
    size = length - len(begin)
    for number, document in enumerate(documents):
        for ids in chain((plain_ids(tokenizer, piece) for piece in pieces(document)), [[end]]):
            pending += ids
            of_documents += [number] * len(ids)
            whole = len(pending) - len(pending) % size
            for start in range(0, whole, size):
                of_block = of_documents[start : start + size]
                block = torch.tensor([*begin, *pending[start : start + size]])
                yield block, [of_block[0]] * len(begin) + of_block
            del pending[:whole], of_documents[:whole]


@dataclass(frozen=True, slots=True)
class DocumentBlocks:
    """The blocks of one side of a split. Each iteration reads the files anew.

    Attributes:
        tokenizer: a Hugging Face tokenizer.
        documents: the documents of both sides.
        length: the number of columns of a block.
        split: the rule for held-out documents.
        held_out: whether these are the blocks of held-out documents.
        skipped: a tally for JSON lines that hold no text.
    """

    tokenizer: Any
    documents: Documents
    length: int
    split: Split
    held_out: bool
    skipped: SkippedLines | None = None

    def __iter__(self) -> Iterator[Tensor]:
        texts = read_documents(self.documents, self.skipped)
        mine = (text for text in texts if self.split.holds_out(text) == self.held_out)
        return token_blocks(self.tokenizer, mine, self.length)


@dataclass(frozen=True, slots=True)
class TextBlocks:
    """The blocks of one text. Each iteration tokenizes as much of it as is wanted.

    Attributes:
        tokenizer: a Hugging Face tokenizer.
        text: the text.
        length: the number of columns of a block.
    """

    tokenizer: Any
    text: str
    length: int

    def __iter__(self) -> Iterator[Tensor]:
        return token_blocks(self.tokenizer, [self.text], self.length)


def split_blocks(
    tokenizer: Any,
    documents: Documents,
    length: int,
    *,
    share: float = 0.1,
    seed: int = 0,
    skipped: SkippedLines | None = None,
) -> tuple[Iterable[Tensor], Iterable[Tensor]]:
    """Return blocks to fit on, and blocks to evaluate on from other documents.

    Whole documents are held out, chosen by their text. A single document gives its last blocks,
    and one that is tokenized in pieces its end.

    Args:
        tokenizer: a Hugging Face tokenizer.
        documents: the documents.
        length: the number of columns of a block, at least 2.
        share: the approximate share of documents to hold out.
        seed: the seed for the choice of documents.
        skipped: a tally for JSON lines that hold no text.

    Returns:
        The blocks to fit on and the held-out ones. Both can be iterated any number of times.

    Raises:
        LensError: if either would be empty, or as `read_documents` and `token_blocks` raise it.
    """
    split = split_documents(read_documents(documents, skipped), share, seed)
    fitted_on: Iterable[Tensor]
    held_out: Iterable[Tensor]
    if split is not None:
        fitted_on, held_out = (
            DocumentBlocks(tokenizer, documents, length, split, side, skipped) for side in (False, True)
        )
    elif len(text := next(read_documents(documents, skipped))) > LONGEST_TEXT:
        edge = break_near(text, round(len(text) * (1 - share)))
        fitted_on, held_out = (TextBlocks(tokenizer, part, length) for part in (text[:edge], text[edge:]))
    else:
        blocks = list(token_blocks(tokenizer, read_documents(documents, skipped), length))
        if len(blocks) < 2:
            raise LensError(
                f"The text fills {len(blocks)} blocks of {length} columns, and one has to be held out: "
                "give more text, or shorter blocks."
            )
        last = max(1, min(len(blocks) - 1, round(share * len(blocks))))
        return blocks[:-last], blocks[-last:]
    for blocks_of, what in ((fitted_on, "to fit on"), (held_out, "held out")):
        if next(iter(blocks_of), None) is None:
            raise LensError(
                f"The documents {what} fill no block of {length} columns: give more text, or shorter blocks."
            )
    return fitted_on, held_out
