"""The command line in the manual: every option is in it, and every line that it quotes can be typed."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lenstui import cli
from tests.manual.pages import MANUAL, PAGES, Row, codes, command_lines, prose_codes, rows, section_text

PAGE = MANUAL / "command-line.md"
COMMANDS = ("", *sorted(cli._COMMANDS))
OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")


class Asked(BaseException):
    """Ends a command that has made its parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def name(command: str) -> str:
    return f"lenstui {command}".strip()


def parse(words: Sequence[str], *, alone: bool = False) -> argparse.ArgumentParser:
    """Run a command until its words are parsed, and return its parser; `alone`: without parsing."""
    real = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, args: Sequence[str]) -> None:
        if not alone:
            real(parser, args)
        raise Asked(parser)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Asked) as asked:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        if alone:
            patch.setattr(argparse.ArgumentParser, "parse_known_args", parse_args)
        cli._run(words)
    return asked.value.parser


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = parse([command] if command else [], alone=True)
    assert parser.prog == name(command)
    return parser


def actions(command: str) -> Iterator[argparse.Action]:
    return (action for action in parser_of(command)._actions if action.dest != "help")


def names_of(action: argparse.Action) -> set[str]:
    """The names of an option; what stands for a positional argument."""
    return set(action.option_strings) or {str(action.metavar)}


def option_rows(command: str) -> Iterator[Row]:
    """The rows of the options of a command: of its section, and of those that say that they are for it."""
    for row in rows(PAGE):
        if row.columns[0] == "option":
            about = section_text(PAGE, row.section).strip().partition("\n\n")[0]
            of_all = not row.section.startswith("`")
            if row.section == f"`{name(command)}`" or (of_all and name(command) in codes(about)):
                yield row


def names_in(row: Row) -> set[str]:
    first = codes(row.cells[0])
    return {found for code in first for found in OPTION.findall(code)} or set(first)


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_every_option_is_in_the_manual_and_no_other(command: str) -> None:
    stated = [each for row in option_rows(command) for each in names_in(row)]
    there = {each for action in actions(command) for each in names_of(action)}
    assert sorted(stated) == sorted(there), sorted(set(stated) ^ there) or sorted(stated)


@pytest.mark.parametrize("command", COMMANDS, ids=name)
def test_every_choice_of_an_option_is_in_its_row(command: str) -> None:
    for action in actions(command):
        (row,) = (row for row in option_rows(command) if names_of(action) & names_in(row))
        if "(values.md)" not in row.cells[1]:
            assert set(action.choices or ()) <= set(codes(row.cells[1])), action.option_strings


def test_every_command_is_in_the_table_of_commands() -> None:
    listed = [code for row in rows(PAGE) if row.columns[0] == "command" for code in codes(row.cells[0])]
    assert sorted(listed) == sorted(map(name, COMMANDS))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_that_is_named_exists(page: Path) -> None:
    known = {
        option
        for command in COMMANDS
        for each in parser_of(command)._actions
        for option in each.option_strings
    }
    for code in prose_codes(page):
        if found := re.match(r"--[a-z-]+|-[a-z](?![a-z])", code):
            assert found[0] in known, code


QUOTED = [words for page in PAGES for words in command_lines(page)]


def test_many_command_lines_are_quoted() -> None:
    assert len(QUOTED) > 30
    assert {words[0] for words in QUOTED if words} >= set(cli._COMMANDS) - {"paths"}


@pytest.mark.parametrize("words", QUOTED, ids=" ".join)
def test_every_command_line_can_be_typed(words: list[str]) -> None:
    parse(words, alone=len(words) < 2)  # the name of a command alone may stand in a sentence
