"""Names of models: `OWNER/NAME` on the hub, `OWNER/NAME@REVISION`, or a path. No file is opened here."""

from __future__ import annotations

from pathlib import Path

from lenstui.model.gguf import SUFFIX
from lenstui.support.errors import LensError
from lenstui.support.typed_path import is_there

DEFAULT_MODEL = "EleutherAI/pythia-14m"
BUNDLED_MODEL = "bundled model"


def looks_like_a_path(name: str) -> bool:
    """Return whether a name can only be a path, not a name on the hub."""
    return name.startswith(("/", ".", "~")) or name.endswith("/") or name.count("/") > 1


def check_hub_name(name: str) -> None:
    """Refuse a model on this machine where only one on the hub will do.

    Raises:
        LensError: if the name is a path, a file or a folder.
    """
    if looks_like_a_path(name) or name.lower().endswith(SUFFIX) or is_there(Path(name)):
        raise LensError(f"--remote is for a model that NDIF has, named OWNER/NAME as on the hub, not {name}.")


def split_revision(text: str) -> tuple[str, str | None]:
    """Return name and revision of `OWNER/NAME@REVISION`; in a path `@` has no special meaning.

    Args:
        text: the name as typed.

    Returns:
        The name, and the branch, tag or commit; None where none is named.
    """
    name, at, revision = text.partition("@")
    if not at or not name or looks_like_a_path(name) or text.lower().endswith(SUFFIX) or is_there(Path(text)):
        return text, None
    return name, revision or None
