"""For which model a lens on the hub is: by its path, by the config beside it, by its size; never by a slug.

The folders of such repositories have slugs, short names of the authors' own (`qwen2.5-7b-it` for
Qwen2.5-7B-Instruct), which decide nothing: they only order what is left undecided.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any

from lenstui.lens.kinds import TUNED
from lenstui.model.gguf import SUFFIX
from lenstui.model.name import looks_like_a_path

# Keys of configs that name a model, or have a table under them that does.
_KEYS = (
    *("base_model_name_or_path", "hf_model_name", "hf_model_id", "hf_model", "model_name_or_path"),
    *("model_id", "model_name", "base_model", "model"),
)
_INNER_KEYS = (*_KEYS, "hf_name", "name_or_path", "repo_id", "name", "id")
_NUMBER_SIZES = (2, 4)  # bytes of the numbers in a lens file
_SPARE, _SPARE_EACH = 1 << 16, 1 << 12  # bytes of a lens file beside its numbers: at most this, and by matrix
_SAME_WORDS = {"it": "instruct", "chat": "instruct", "pt": "base"}


class Suits(Enum):
    """Whether a lens is for the model that lenses are looked for."""

    YES = "yes"
    PERHAPS = "perhaps"  # nothing says so, and nothing speaks against it
    NO = "no"


@dataclass(frozen=True, slots=True)
class WantedModel:
    """The model that lenses are looked for.

    Attributes:
        name: `OWNER/NAME`, a folder or a GGUF file.
        blocks: its number of blocks; None for unknown.
        d_model: its width; None for unknown.
    """

    name: str
    blocks: int | None = None
    d_model: int | None = None

    @property
    def hub_name(self) -> str:
        """Its name as the hub has it; of a folder or file without the owner, which nobody knows."""
        if not looks_like_a_path(self.name) and not self.name.lower().endswith(SUFFIX):
            return self.name
        name = PurePath(self.name.rstrip("/")).name
        return name[: -len(SUFFIX)] if name.lower().endswith(SUFFIX) else name


def same_model(stated: str, wanted: WantedModel) -> Suits:
    """Return whether a stated name is that of the wanted model.

    Where either has no owner, the names alone are compared; models of two owners that have one name may be
    the same, or one may be made from the other.
    """
    one, other = stated.lower().strip("/"), wanted.hub_name.lower()
    if one == other:
        return Suits.YES
    if one.rpartition("/")[2] != other.rpartition("/")[2]:
        return Suits.NO
    return Suits.PERHAPS if "/" in one and "/" in other else Suits.YES


def suits_by_size(size: int, kind: str, wanted: WantedModel) -> bool:
    """Return whether a lens file may be for a model, as far as the number of its bytes can tell.

    It holds one `[d, d]` matrix for each row that the lens has, and hardly anything else.

    Args:
        size: bytes of the file.
        kind: the kind of lens; a tuned lens has all rows but the last, and a bias for each.
        wanted: the model.
    """
    if wanted.blocks is None or wanted.d_model is None:
        return True
    entries = wanted.d_model**2 + (wanted.d_model if kind == TUNED else 0)
    for number_size in _NUMBER_SIZES:
        rows, left = divmod(size, entries * number_size)
        is_possible = rows == wanted.blocks if kind == TUNED else 1 <= rows <= wanted.blocks
        if is_possible and left <= _SPARE + _SPARE_EACH * rows:
            return True
    return False


def model_in_config(text: str, path: str) -> str | None:
    """Return the model that the config beside a lens names; None where it names none.

    A name that is no more than a folder of the lens's own path is a slug, and passed over; one with an owner
    comes first.

    Args:
        text: the config, JSON or YAML.
        path: the path of the config, whose ending tells which.
    """
    try:
        table = json.loads(text) if path.endswith(".json") else _yaml(text)
    except (ValueError, RecursionError):
        return None
    names = [name for name in _names(table) if name not in path.split("/")[:-1]]
    return next((name for name in names if name.count("/") == 1), next(iter(names), None))


def _names(table: Any) -> Iterator[str]:
    """Yield the names of models in a config, in the order in which their keys are trusted."""
    for key in _KEYS:
        value = table.get(key) if isinstance(table, Mapping) else None
        inner = [value.get(name) for name in _INNER_KEYS] if isinstance(value, Mapping) else [value]
        yield from (name.strip() for name in inner if isinstance(name, str) and name.strip())


def _yaml(text: str) -> Any:
    """Return what a YAML text says, plain values only.

    Raises:
        ValueError: if it is none.
    """
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError("no YAML") from error


def likeness(path: str, wanted: WantedModel) -> float:
    """Return the share of the words of a model's name that the folders of a path have, 0 to 1.

    It orders lenses of which nothing says for which model they are.
    """
    ours = _words(wanted.hub_name.rpartition("/")[2])
    theirs = _words(path.rpartition("/")[0])
    return len(ours & theirs) / len(ours | theirs) if ours else 0.0


def _words(text: str) -> set[str]:
    found = re.findall(r"[a-z]+|\d+(?:\.\d+)*", text.lower())
    return {_SAME_WORDS.get(word, word) for word in found}
