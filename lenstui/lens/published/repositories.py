"""The repositories of lenses on the hub, those that lenstui knows and the user's own, and their paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lenstui.support.lens_repository import MODEL, NAME, LensRepository
from lenstui.support.settings import read

_KNOWN = Path(__file__).with_name("repositories.toml")
_GROUPS = {"*": "[^/]*", MODEL: "(?P<model>.+)", NAME: "(?P<model>[^/]+)"}


def lens_repositories(own: Sequence[LensRepository] = ()) -> tuple[LensRepository, ...]:
    """Return the user's own repositories, and behind them those that lenstui knows.

    Args:
        own: those of the settings; one of them takes the place of a known repository of the same name.
    """
    known = read(_KNOWN.read_text("utf-8")).lens_repositories
    names = {(repository.repository, repository.type) for repository in own}
    return (*own, *(each for each in known if (each.repository, each.type) not in names))


def pattern_of(repository: LensRepository) -> re.Pattern[str]:
    """Return the expression for the whole path of a lens; its group `model`, if any, is a model's name."""
    parts = re.split(r"(\*|\{\w+\})", repository.files)
    return re.compile("".join(_GROUPS.get(part, re.escape(part)) for part in parts))


def model_in_path(repository: LensRepository, path: str) -> str | None:
    """Return the model's name in the path of a lens, with or without its owner; None where there is none."""
    found = pattern_of(repository).fullmatch(path)
    return None if found is None else found.groupdict().get("model")
