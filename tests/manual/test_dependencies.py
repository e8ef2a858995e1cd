"""The page of dependencies: all that an installation brings, each with the licence that it declares."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from itertools import chain

import pytest

from tests.manual.pages import MANUAL, rows
from tests.programs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
OF_CUDA = ("nvidia-", "cuda-", "triton")  # what PyTorch brings where it is built for it
LISTED = {row.cells[0].strip("`"): row.cells for row in rows(MANUAL / "dependencies.md")}


def named(requirement: str) -> str:
    """The name in a requirement, as package indices write it."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def licence(name: str) -> str:
    """The licence that a package declares."""
    about = distribution(name).metadata
    classes = [
        each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or [] if each[:7] == "License"
    ]
    declared = [
        *(about.get_all("License-Expression") or []),
        ", ".join(classes),
        *(about.get_all("License") or []),
    ]
    return next(filter(None, declared))


def brought(requirements: list[str]) -> set[str]:
    """All that some requirements bring, themselves among it, as it is installed here."""
    found: set[str] = set()
    left = [named(each) for each in requirements]
    while left:
        name = left.pop()
        try:
            needed = distribution(name).requires or []
        except PackageNotFoundError:  # for another system
            continue
        if name not in found:
            found.add(name)
            left += [named(each) for each in needed if "extra ==" not in each]
    return found


def test_all_that_is_installed_is_listed() -> None:
    extras = {name: each for name, each in PROJECT["optional-dependencies"].items() if name != "test"}
    direct = set(map(named, chain(PROJECT["dependencies"], *extras.values())))
    needed = brought(PROJECT["dependencies"]) | direct
    missing = {name for name in needed - set(LISTED) if not name.startswith(OF_CUDA)}
    assert missing == set(), {name: licence(name) for name in missing}


@pytest.mark.parametrize("name", LISTED)
def test_each_has_the_licence_that_it_declares(name: str) -> None:
    try:
        assert LISTED[name][1] == licence(name)
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
