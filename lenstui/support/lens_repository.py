"""A repository of lenses on the hub, as the settings and the list that comes with lenstui describe it."""

from __future__ import annotations

from dataclasses import dataclass

TYPES = ("model", "dataset", "space")  # of repositories
KINDS = ("tuned", "jacobian")  # of lenses
MODEL, NAME = "{model}", "{name}"  # in a pattern: OWNER/NAME of the lens's model, or its name alone


@dataclass(frozen=True, slots=True)
class LensRepository:
    """A repository of lenses on the hub.

    Attributes:
        repository: `OWNER/NAME`.
        kind: the kind of its lenses, one of `KINDS`.
        files: the pattern of the paths of its lenses, in which `*` is any text without a slash, `{model}` the
            lens's model as `OWNER/NAME`, and `{name}` that model's name without its owner.
        type: one of `TYPES`.
        revisions: branches, tags or commits that have lenses.
        config: the name of a file beside each lens that says which model it is for; None for no such file.
    """

    repository: str
    kind: str
    files: str
    type: str = "model"
    revisions: tuple[str, ...] = ("main",)
    config: str | None = None
