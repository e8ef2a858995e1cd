"""What holds of the rooms of lenstui and import-linter cannot say: of names, and of packages from outside.

That `lenstui --help` imports nothing heavy is `test_help_imports_nothing_heavy`.
"""

from __future__ import annotations

import ast
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import lenstui

LIBRARY: Any = lenstui  # with what its types do not show

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "lenstui"
# Whose `__init__` is more than a docstring: the library, its old address, and the command `lenstui`.
DOORS = {"lenstui/__init__.py", "lenstui/lens/__init__.py", "lenstui/cli/__init__.py"}


class Import(NamedTuple):
    """One name that a module imports, wherever in it: late or for types alone, too."""

    file: str
    module: str
    name: str | None  # None: the module itself

    @property
    def is_of_textual(self) -> bool:
        """Whether it is Textual's, or of a package of widgets for it."""
        return self.module.partition(".")[0].partition("_")[0] == "textual"


def rooms() -> list[list[str]]:
    """The layers as import-linter has them, from the top."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" | ") for layer in layers]


def below_jobs() -> list[str]:
    layers = rooms()
    return [room for layer in layers[layers.index(["jobs"]) + 1 :] for room in layer]


def files(room: str = ".") -> list[Path]:
    return sorted((PACKAGE / room).rglob("*.py"))


def imports(file: Path) -> Iterator[Import]:
    """All imports of a module, those by `import_module` and a constant name among them."""
    name = file.relative_to(ROOT).as_posix()
    parents = name.removesuffix(".py").split("/")
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(name, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: -node.level] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            yield from (Import(name, module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            named = (word.value for word in node.args[:1] if isinstance(word, ast.Constant))
            yield from (Import(name, str(word), None) for word in named)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


# ── Textual ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rooms_are_those_on_disk() -> None:
    """What follows would be silent about a room that it does not look for."""
    found = {file.name for file in PACKAGE.iterdir() if (file / "__init__.py").exists()}
    assert found == {room for layer in rooms() for room in layer}
    assert {"model", "support", "readout", "fitting"} <= set(below_jobs())
    assert not {"jobs", "tui", "cli"} & set(below_jobs())


@pytest.mark.parametrize("room", below_jobs())
def test_nothing_below_the_jobs_imports_textual(room: str) -> None:
    found = [each for file in files(room) for each in imports(file)]
    assert found
    assert [each for each in found if each.is_of_textual] == []


def test_the_jobs_import_the_messages_of_textual_alone() -> None:
    found = {
        (each.module, each.name) for file in files("jobs") for each in imports(file) if each.is_of_textual
    }
    assert found == {("textual.message", "Message")}


@pytest.mark.parametrize(
    ("line", "module", "name"),
    [
        ("import textual.app", "textual.app", None),
        ("def late():\n    from textual import on", "textual", "on"),
        ("if TYPE_CHECKING:\n    from textual_plot import PlotWidget", "textual_plot", "PlotWidget"),
        ("importlib.import_module('textual.app')", "textual.app", None),
    ],
)
def test_what_counts_as_an_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, module: str, name: str | None
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    file = tmp_path / "sample.py"
    file.write_text(line)
    (found,) = imports(file)
    assert found == Import("sample.py", module, name)
    assert found.is_of_textual


# ── doors ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rooms_init_holds_a_docstring_alone() -> None:
    inits = [file for file in files() if file.name == "__init__.py"]
    assert len(inits) > 20
    for file in inits:
        name, body = file.relative_to(ROOT).as_posix(), ast.parse(file.read_text("utf-8")).body
        assert body, name
        assert ast.get_docstring(ast.Module(body, [])), name
        assert (len(body) == 1) == (name not in DOORS), name


def test_nothing_within_imports_the_root() -> None:
    """It would import itself in a ring, and hide from import-linter which room is meant."""
    found = [each for file in files() for each in imports(file)]
    assert len(found) > 1000
    of_root = [
        each
        for each in found
        if each.module == "lenstui" and (each.name is None or not is_module(f"lenstui.{each.name}"))
    ]
    assert of_root == []


# ── the library ──────────────────────────────────────────────────────────────────────────────────────────


def typed() -> dict[str, str]:
    """The names in `__init__.pyi`, and the module that each is said to be in."""
    names: dict[str, str] = {}
    for node in ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8")).body[1:]:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, "which makes it public for a type checker"
            names[alias.name] = node.module or ""
    return names


def test_the_types_of_the_library_are_those_of_its_list() -> None:
    assert typed() == {**LIBRARY._HOMES, "__version__": "lenstui.support.version"}
    assert sorted(LIBRARY.__all__) == sorted(typed())
    assert dir(LIBRARY) == sorted(LIBRARY.__all__)


@pytest.mark.parametrize("name", sorted(LIBRARY.__all__))
def test_a_name_of_the_library_is_what_its_module_has(name: str) -> None:
    assert getattr(LIBRARY, name) is getattr(importlib.import_module(typed()[name]), name)


def test_another_name_is_not_there() -> None:
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = LIBRARY.nothing


def test_the_old_door_leads_to_the_same() -> None:
    door = importlib.import_module("lenstui.lens")
    for name in sorted({*LIBRARY.__all__} - {"__version__"}):
        assert getattr(door, name) is getattr(LIBRARY, name)


@pytest.mark.parametrize("door", ["lenstui", "lenstui.lens"])
def test_no_module_takes_the_place_of_a_name_of_the_library(door: str) -> None:
    """A module becomes an attribute of its package once anything has imported it."""
    assert [name for name in LIBRARY.__all__ if is_module(f"{door}.{name}")] == []
