"""The blocks that `lenstui eval` and `lenstui scan` cut a text into, and how much of it they read."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from lenstui.cli.arguments import Parser
from lenstui.support.errors import LensError

_COLUMNS = 512
_MAX_TOKENS = 16384


@dataclass(frozen=True, slots=True)
class BlockSize:
    """How long blocks are, and how many tokens they have in all.

    Attributes:
        max_tokens: the most tokens to read.
        seq_len: the number of columns of a block; None for one that suits the model.
    """

    max_tokens: int
    seq_len: int | None

    def columns(self, context: int | None) -> int:
        """Return the number of columns of a block for a model with a context.

        Raises:
            LensError: if the context is shorter than `seq_len`.
        """
        if self.seq_len is None:
            return min(_COLUMNS, self.max_tokens, context or _COLUMNS)
        if context is not None and self.seq_len > context:
            raise LensError(
                f"The model reads at most {context} tokens: --seq-len {self.seq_len} is too long."
            )
        return self.seq_len


def add_block_size(group: argparse._ArgumentGroup, number: Callable[[str], int]) -> None:
    """Add the arguments for the size of blocks.

    Args:
        group: of the command.
        number: reads a number of tokens.
    """
    group.add_argument(
        "--max-tokens",
        metavar="N",
        type=number,
        help=f"read at most N tokens, in whole blocks (default: {_MAX_TOKENS})",
    )
    group.add_argument(
        "--seq-len",
        metavar="N",
        type=number,
        help=f"tokens of a block (default: {_COLUMNS}, or the model's context if that is shorter)",
    )


def block_size(parser: Parser, given: argparse.Namespace) -> BlockSize:
    """Return the size of blocks that was given; one that is more than all tokens ends the program."""
    most = given.max_tokens or _MAX_TOKENS
    if given.seq_len is not None and given.seq_len > most:
        parser.error(f"--seq-len {given.seq_len} is more than --max-tokens {most}")
    return BlockSize(most, given.seq_len)
