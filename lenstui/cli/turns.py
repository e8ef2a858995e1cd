"""The turns of a chat on the command line: a file, standard input, or JSON itself."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.stdin import standard_input
from lenstui.support.errors import LensError, unreadable
from lenstui.support.small_file import read_small
from lenstui.support.typed_path import expanded

if TYPE_CHECKING:
    from lenstui.support.turns import Conversation

_METAVAR = "FILE|JSON"
_HELP = (
    'the turns of a chat, put into the tokenizer\'s chat template: JSON such as [{"role": "user", "content": '
    '"Hi"}] itself, a file of it, or - for standard input; a last turn of the assistant is gone on with'
)


def add_turns(parser: argparse.ArgumentParser, *, pairs: bool = False) -> None:
    """Add the arguments for a prompt of turns.

    Args:
        parser: of the command.
        pairs: whether a second chat may be given.
    """
    turns = parser.add_argument_group("prompt of turns")
    if pairs:
        turns.add_argument(
            "--turns",
            metavar=_METAVAR,
            nargs="+",
            help=f"{_HELP}. A second one is the corrupted prompt",
        )
    else:
        turns.add_argument("--turns", metavar=_METAVAR, help=_HELP)
    turns.add_argument(
        "--thinking",
        action=argparse.BooleanOptionalAction,
        help="the thinking switch of the chat template, where it has one (default: as the template has it)",
    )
    turns.add_argument(
        "--closed",
        action="store_true",
        help="end the last turn, and begin none behind it (default: the assistant's turn is begun)",
    )


def conversation(parser: argparse.ArgumentParser, given: argparse.Namespace, turns: str) -> Conversation:
    """Return the conversation that an argument names, ended as the others say.

    Raises:
        LensError: if it cannot be read, or holds no turns.
    """
    from lenstui.support.turns import conversation_of_json  # few prompts are turns

    if not turns:
        parser.error("--turns names no file")
    if turns == "-":
        read = conversation_of_json(standard_input(), "standard input")
    elif turns.lstrip().startswith("["):
        read = conversation_of_json(turns, "--turns")
    else:
        read = conversation_of_json(_text_of(expanded(turns)), turns)
    return replace(read, thinking=given.thinking, closed=given.closed)


def check_alone(parser: argparse.ArgumentParser, given: argparse.Namespace, *, prompt: str | None) -> None:
    """Refuse arguments that do not go with turns, or that need them.

    Args:
        parser: reports a wrong call.
        given: the parsed arguments.
        prompt: the text that is given as a prompt, if any.
    """
    if given.turns is None:
        if given.closed:
            parser.error("--closed needs --turns")
        if given.thinking is not None and not getattr(given, "prompts", None):
            parser.error("--thinking needs --turns, or --prompts with the turns of chats")
        return
    if prompt is not None:
        parser.error("a PROMPT and --turns are given: leave one out")
    if given.bos is not None:
        parser.error("with --turns, BOS is as the chat template has it: leave --bos and --no-bos out")
    if getattr(given, "chat", False):
        parser.error("--chat is of a text, and --turns are in the chat template anyway: leave it out")
    if getattr(given, "prompts", None) is not None:
        parser.error("--turns and --prompts are given: leave one out")


def _text_of(path: Path) -> str:
    try:
        return read_small(path, regular=False).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise LensError(f"There is no file {path}.") from error
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise LensError(f"{path} is not UTF-8 text (byte {error.start}).") from error
