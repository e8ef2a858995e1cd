"""The arguments for the blocks that `lenstui eval` and `lenstui scan` cut a text into."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from lenstui.cli.arguments import Parser
from lenstui.texts.block_size import COLUMNS, MAX_TOKENS, BlockSize


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
        help=f"read at most N tokens, in whole blocks (default: {MAX_TOKENS})",
    )
    group.add_argument(
        "--seq-len",
        metavar="N",
        type=number,
        help=f"tokens of a block (default: {COLUMNS}, or the model's context if that is shorter)",
    )


def block_size(parser: Parser, given: argparse.Namespace) -> BlockSize:
    """Return the size of blocks that was given; one that is more than all tokens ends the program."""
    most = given.max_tokens or MAX_TOKENS
    if given.seq_len is not None and given.seq_len > most:
        parser.error(f"--seq-len {given.seq_len} is more than --max-tokens {most}")
    return BlockSize(most, given.seq_len)
