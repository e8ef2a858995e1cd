"""The size of the blocks that a text is cut into to be measured, and how much of it is read."""

from __future__ import annotations

from dataclasses import dataclass

from lenstui.support.errors import LensError

COLUMNS = 512
MAX_TOKENS = 16384


@dataclass(frozen=True, slots=True)
class BlockSize:
    """How long blocks are, and how many tokens they have in all.

    Attributes:
        max_tokens: the most tokens to read.
        seq_len: the number of columns of a block; None for one that suits the model.
    """

    max_tokens: int = MAX_TOKENS
    seq_len: int | None = None

    def columns(self, context: int | None) -> int:
        """Return the number of columns of a block for a model with a context.

        Raises:
            LensError: if the context is shorter than `seq_len`.
        """
        if self.seq_len is None:
            return min(COLUMNS, self.max_tokens, context or COLUMNS)
        if context is not None and self.seq_len > context:
            raise LensError(
                f"The model reads at most {context} tokens: --seq-len {self.seq_len} is too long."
            )
        return self.seq_len
