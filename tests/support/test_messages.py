"""Messages: one line of bounded length, in which paths give way, and our own sentences never do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lenstui
from lenstui.support.errors import LONGEST_MESSAGE, LensError, message_line

FOLDERS = "/".join(["", "home", "somebody", *(f"a-folder-in-a-folder-{number}" for number in range(12))])
LENS = f"{FOLDERS}/the-name-of-the-lens.pt"
Parts = tuple[str | None, ...]  # of a message: our own words, None for each that it quotes


def parts_of(node: ast.expr) -> Parts | None:
    """The parts of a string in source code; None of anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return (node.value,)
    if isinstance(node, ast.JoinedStr):
        return tuple(str(v.value) if isinstance(v, ast.Constant) else None for v in node.values)
    return None


def messages() -> Iterator[tuple[str, Parts]]:
    """Every message of a `LensError` in the source, and where it is."""
    for file in Path(lenstui.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call) or not getattr(node.func, "id", "").endswith("Error"):
                continue
            if node.args and (parts := parts_of(node.args[0])) is not None:
                yield f"{file.name}:{node.lineno}", parts


def is_whole(parts: Parts, *quoted: str) -> bool:
    """Whether a message has all of our own words, whatever it quotes; what joins two names is none."""
    names = iter(quoted)
    line = message_line("".join(next(names) if part is None else part for part in parts))
    return len(line) <= LONGEST_MESSAGE and all(
        part in line for part in parts if part is not None and " " in part
    )


def test_our_own_sentences_are_never_cut() -> None:
    found = dict(messages())
    assert len(found) > 300
    longest = max(sum(len(part or "") for part in parts) for parts in found.values())
    assert longest > 150
    for where, parts in found.items():
        count = parts.count(None)
        for at in range(count):
            quoted = ["12345"] * count
            quoted[at] = LENS
            assert is_whole(parts, *quoted), where
            if at and sum(len(part or "") for part in parts) < 200:
                assert is_whole(parts, LENS, *["12345"] * (at - 1), LENS, *["12345"] * (count - at - 1)), (
                    where
                )


def test_a_path_keeps_its_beginning_and_the_name_of_the_file() -> None:
    said = str(LensError(f"{LENS} cannot be written: Read-only file system."))
    assert len(said) == LONGEST_MESSAGE
    assert said.startswith("/home/somebody/a-folder")
    assert said.endswith("/the-name-of-the-lens.pt cannot be written: Read-only file system.")
    two = message_line(f"{LENS} is for another model than {LENS}: choose one that is for {FOLDERS}.")
    assert two.count("the-name-of-the-lens.pt") == 2
    assert "is for another model than /home/" in two
    assert two.endswith("a-folder-in-a-folder-11.")


def test_what_a_library_says_at_length_leaves_a_path_whole() -> None:
    path = f"/tmp/{'a-folder/' * 9}lens.pt"
    said = message_line(f"{path} is damaged: {'this is what PyTorch says ' * 20}: fetch it anew.")
    assert said.startswith(f"{path} is damaged: this is what")
    assert said.endswith("PyTorch says : fetch it anew.")


@pytest.mark.parametrize(
    "text", ["x" * 10_000_000, "x y " * 2_500_000, "\x1b" * 10_000_000, f"{LENS} " * 100], ids=len
)
def test_what_is_endless_is_a_line(text: str) -> None:
    line = message_line(f"It begins {text}: this is what to do.")
    assert line.startswith("It begins ")
    assert line.endswith(": this is what to do.")
    assert len(line) <= LONGEST_MESSAGE
    assert line.isprintable()


@given(st.text(max_size=700))
def test_any_message_is_a_line(text: str) -> None:
    line = message_line(text)
    assert len(line) <= LONGEST_MESSAGE
    assert line.isprintable()
    assert message_line(line) == line
