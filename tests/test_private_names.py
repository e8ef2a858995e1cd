"""Private names of other packages are used in the modules that are there for it, and nowhere else.

A name is private if it begins with one underscore. It is another package's if lenstui does not define it, or
if a class of that package defines it as well: overriding it counts, by accident too.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import sys
import textwrap
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
# Each says of each name why it is used and which test would notice its end.
HACKS = {
    "lenstui/model/torch_hacks.py",
    "lenstui/model/transformers_hacks.py",
    "lenstui/tui/shared/fspicker_hacks.py",
    "lenstui/tui/shared/textual_hacks.py",
}
# Documented in spite of the underscore; or the only name of a type.
PUBLIC = {"os._exit", "argparse._ArgumentGroup"}
PUBLIC_OF_TUPLES = {"_replace", "_asdict", "_fields", "_make"}
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"}

FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for file in (ROOT / "lenstui").rglob("*.py")
    if file.name != "__main__.py"  # which runs the program
)


class Use(NamedTuple):
    """Where a private name of another package stands."""

    file: str
    line: int
    name: str


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_") and not name.startswith("__")


def module_of(file: str) -> ModuleType:
    return importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


# ── who defines what ─────────────────────────────────────────────────────────────────────────────────────


def defined_in(tree: ast.AST) -> set[str]:
    """The private names that a module or a part of it defines, of whatever kind they are."""
    names = {
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    names |= {node.name for node in ast.walk(tree) if isinstance(node, DEFINITIONS)}
    return {name for name in names if is_private(name)} | given_to_self(tree)


def members(cls: ast.ClassDef) -> set[str]:
    """The private names that a class defines, those that its methods give to `self` among them."""
    names = {node.name for node in cls.body if isinstance(node, DEFINITIONS)}
    for node in cls.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if is_private(name)} | given_to_self(cls)


def given_to_self(tree: ast.AST) -> set[str]:
    """The private attributes that are set on `self` or `cls`."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_own(node.value) and is_private(node.attr)
    }


def is_own(node: ast.expr) -> bool:
    """Whether it is `self`, `cls` or `super()`."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def class_node(source: str) -> ast.ClassDef:
    return next(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))


@cache
def defined_by(cls: type) -> frozenset[str]:
    """The private names that a class itself defines, as far as its source says."""
    names = {name for name in vars(cls) if is_private(name)}
    with suppress(OSError, TypeError):  # it is written in C
        names |= members(class_node(textwrap.dedent(inspect.getsource(cls))))
    return frozenset(names)


def defined_by_bases(cls: type, *, ours: bool, package: str) -> set[str]:
    """The private names that those classes in the order of bases define that are ours, or are not."""
    return {
        name
        for base in cls.__mro__
        if (base.__module__.partition(".")[0] == package) == ours
        for name in defined_by(base)
    }


# ── who uses what ────────────────────────────────────────────────────────────────────────────────────────


class Search(ast.NodeVisitor):
    """Collects the private names of other packages in one module."""

    def __init__(self, file: str, module: ModuleType, tree: ast.Module) -> None:
        self.file = file
        self.package = module.__name__.partition(".")[0]
        self.found: list[Use] = []
        self._scope: object = module
        self._known = defined_in(tree)
        self._foreign: set[str] = set()
        self.visit(tree)

    def _note(self, node: ast.AST, name: str) -> None:
        self.found.append(Use(self.file, getattr(node, "lineno", 0), name))

    def visit_Import(self, node: ast.Import) -> None:
        self._imports(node, [alias.name for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self._imports(node, [f"{node.module}.{alias.name}" for alias in node.names])

    def _imports(self, node: ast.AST, names: list[str]) -> None:
        for name in names:
            parts = name.split(".")
            if parts[0] != self.package and any(map(is_private, parts)):
                self._note(node, name)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        cls = getattr(self._scope, node.name, None)
        if not isinstance(cls, type):  # of a function: what its bases define is not known
            self.generic_visit(node)
            return
        before = self._scope, self._known, self._foreign
        self._scope = cls
        self._known = self._known | defined_by_bases(cls, ours=True, package=self.package)
        self._foreign = defined_by_bases(cls, ours=False, package=self.package)
        for name in sorted(members(node) & self._foreign):
            self._note(node, name)
        self.generic_visit(node)
        self._scope, self._known, self._foreign = before

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        if not is_private(node.attr) or ast.unparse(node) in PUBLIC or node.attr in PUBLIC_OF_TUPLES:
            return
        if node.attr not in self._known or (is_own(node.value) and node.attr in self._foreign):
            self._note(node, node.attr)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for argument in node.args if called in BY_NAME else ():
            name = argument.value if isinstance(argument, ast.Constant) else None
            if isinstance(name, str) and is_private(name) and name not in self._known:
                self._note(node, name)


def uses(file: str, module: ModuleType, source: str) -> list[Use]:
    return Search(file, module, ast.parse(source)).found


@pytest.fixture(scope="module")
def found() -> list[Use]:
    """All of them in lenstui."""
    return [use for file in FILES for use in uses(file, module_of(file), (ROOT / file).read_text("utf-8"))]


# ── the tests ────────────────────────────────────────────────────────────────────────────────────────────


def test_they_are_in_the_modules_that_are_there_for_it(found: list[Use]) -> None:
    assert [use for use in found if use.file not in HACKS] == []


def test_the_search_finds_those_that_there_are(found: list[Use]) -> None:
    names = {(use.file, use.name) for use in found}
    for file, some in {
        "lenstui/model/torch_hacks.py": {"_linear_pointwise", "_is_avx512_bf16_supported"},
        "lenstui/tui/shared/fspicker_hacks.py": {
            "_location", "_suggest_path", "_set_error", "_should_return",
        },
        "lenstui/tui/shared/textual_hacks.py": {
            "textual._compositor.Compositor", "_compositor", "_compositor_refresh", "_dirty_regions",
            "_dirty_widgets", "_get_breakpoint_classes",
        },
    }.items():  # fmt: skip
        assert {(file, name) for name in some} <= names
    assert {use.file for use in found} == HACKS


@pytest.mark.parametrize("file", sorted(HACKS))
def test_each_that_is_used_is_explained(file: str, found: list[Use]) -> None:
    """By name, in a docstring or comment, beside why it is used and which test notices its end."""
    source = (ROOT / file).read_text("utf-8")
    assert source.count("Why: ") >= 1
    tests = "\n".join(test.read_text("utf-8") for test in (ROOT / "tests").rglob("test_*.py"))
    noticing = {word.strip("`.,:()") for word in source.split() if word.startswith("`test_")}
    noticing = {name for name in noticing if not name.endswith(".py")}
    assert noticing
    assert [name for name in sorted(noticing) if f"def {name}(" not in tests] == []


SAMPLE = """
import threading
from collections import abc
from textual.widgets import Static, _text_area
from textual._compositor import Compositor

class Own:
    def __init__(self):
        self._own = 1
    def fine(self, other):
        return self._own + other._own

class Box(Own, Static):
    def fine_too(self, pair):
        return self._own, pair._replace(x=1)
    def __init__(self):
        self._nodes = 5
    def _on_mount(self):
        super()._on_mount()
    def asks(self, other):
        other._compositor.render()
        getattr(other, "_hidden")
        return self._unheard_of
    class Inner(threading.Thread):
        def _bootstrap(self):
            pass
"""


def test_what_counts(tmp_path: Path) -> None:
    path = tmp_path / "sample_of_private_names.py"
    path.write_text(SAMPLE)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        names = {use.name for use in uses(path.name, module, SAMPLE)}
    assert names == {
        "textual.widgets._text_area", "textual._compositor.Compositor", "_nodes", "_on_mount", "_compositor",
        "_hidden", "_unheard_of", "_bootstrap",
    }  # fmt: skip
