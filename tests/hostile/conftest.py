"""For tests of hostile texts: a model, a lens and files full of them, and the program in a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.hostile.hostile_model import NAME, hostile_place_in
from tests.hostile.received import Visit
from tests.programs.forked import Forked
from tests.programs.pty_terminal import Terminal

SIZE = (120, 40)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the model, a lens, a table of prompts, turns and a text."""
    return hostile_place_in(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def visiting(programs: Forked, place: Path) -> Iterator[Callable[..., Visit]]:
    """Start the program on the hostile model, with its lens; `own=False` on whatever was kept."""
    programs.imports("lenstui.tui.app")
    terminals: list[Terminal] = []

    def visit(*words: str, own: bool = True, environment: Mapping[str, str] | None = None) -> Visit:
        lens = next((place / "lenstui" / "lenses").glob("l*"))
        of_model = ["--model", str(place / NAME), "--lens", str(lens)] if own else []
        width, height = SIZE
        terminal = Terminal(
            programs, [*words, *of_model], place, width=width, height=height, environment=environment
        )
        terminals.append(terminal)
        return Visit(terminal)

    yield visit
    for terminal in terminals:
        terminal.kill()
