"""Where on the hub a lens came from: what its place in the Hugging Face cache says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenstui.model.hub import hub_cache

ORIGIN = "origin"  # its key in what a lens's card says of its fit
_SNAPSHOTS = "snapshots"
_LEAST_PARTS = 4  # TYPEs--OWNER--NAME, snapshots, COMMIT, and the path in the repository


@dataclass(frozen=True, slots=True)
class Origin:
    """The place on the hub that a lens was downloaded from.

    Attributes:
        repository: `OWNER/NAME`.
        type: `model`, `dataset` or `space`.
        commit: the commit.
        path: the path in the repository of the lens's file, or of its folder.
    """

    repository: str
    type: str
    commit: str
    path: str

    @classmethod
    def of(cls, file: Path) -> Origin | None:
        """Return the origin of a file or folder in the Hugging Face cache; None for any other."""
        try:
            parts = file.absolute().relative_to(hub_cache().absolute()).parts
        except (OSError, ValueError):
            return None
        if len(parts) < _LEAST_PARTS or parts[1] != _SNAPSHOTS:
            return None
        kind, _, name = parts[0].partition("--")
        return cls(name.replace("--", "/", 1), kind.removesuffix("s"), parts[2], "/".join(parts[3:]))

    @classmethod
    def in_fit(cls, fit: Mapping[str, Any]) -> Origin | None:
        """Return the origin that a lens's card has; None for a lens that did not come from the hub."""
        table = fit.get(ORIGIN)
        names = cls.__dataclass_fields__
        if not isinstance(table, Mapping) or not all(isinstance(table.get(name), str) for name in names):
            return None
        return cls(**{name: table[name] for name in names})


def with_origin(fit: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return what a lens's card says of its fit, with the lens's origin if its file is in the cache."""
    origin = Origin.of(file)
    return fit if origin is None else {**fit, ORIGIN: asdict(origin)}
