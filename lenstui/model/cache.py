"""Models in the Hugging Face cache, complete and partial; without network, torch or huggingface_hub."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lenstui.model.adapter_files import base_of, is_adapter
from lenstui.model.hub import MAIN, find_local, hub_cache, repository_folder
from lenstui.model.size import ModelSize, model_size
from lenstui.support.small_file import read_json

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model that can be opened without a network.

    Attributes:
        name: `OWNER/NAME`.
        place: the folder of `main` where the cache has it, else of the newest revision.
        family: transformers' name for its architecture, `gpt_neox`; empty where its config does not say.
        size: the size of the model.
        used: when its weights were last written or read, seconds since 1970.
        revisions: complete branches and tags in the cache, in the order of `cached_revisions`.
        base: of an adapter, the model that it was trained on; empty for a whole model.
    """

    name: str
    place: Path
    family: str
    size: ModelSize
    used: float
    revisions: tuple[str, ...]
    base: str = ""


def cached_models() -> list[CachedModel]:
    """Return every complete model and adapter in the cache, the last used first.

    A repository without a config.json or without all of its weights is left out.
    """
    found = (_cached(repository) for repository in _repositories())
    return sorted((model for model in found if model is not None), key=lambda model: -model.used)


def partial_models(whole: Collection[str]) -> list[str]:
    """Return the names of models of which only a part is in the cache, after an interrupted download.

    A part is a configuration without all of the weights, or a half-written file.

    Args:
        whole: names of `cached_models`.
    """
    return [name for place in _repositories() if (name := _name(place)) not in whole and _is_begun(place)]


def cached_revisions(name: str) -> tuple[str, ...]:
    """Return the complete branches and tags of a model in the cache: `step9`, `step10`, …, and last `main`.

    Args:
        name: `OWNER/NAME`.
    """
    refs = repository_folder(name) / "refs"
    try:
        names = [file.relative_to(refs).as_posix() for file in refs.rglob("*") if file.is_file()]
    except OSError:
        return ()
    whole = [ref for ref in names if find_local(name, ref) is not None]
    return tuple(sorted(whole, key=lambda ref: (ref == MAIN, _natural(ref))))


def _repositories() -> list[Path]:
    try:
        return sorted(hub_cache().glob("models--*"))
    except OSError:
        return []


def _name(repository: Path) -> str:
    return repository.name.removeprefix("models--").replace("--", "/", 1)


def _is_begun(repository: Path) -> bool:
    """Return whether a repository holds a configuration, or a half-written file of huggingface_hub's."""
    patterns = ("snapshots/*/config.json", "blobs/*.incomplete")
    try:
        return any(next(repository.glob(pattern), None) is not None for pattern in patterns)
    except OSError:
        return False


def _cached(repository: Path) -> CachedModel | None:
    name = _name(repository)
    revisions = cached_revisions(name)
    place = find_local(name, MAIN) if MAIN in revisions else _newest(name, repository, revisions)
    if place is None:
        return None
    base = (base_of(place) or "") if is_adapter(place) else ""
    return CachedModel(name, place, family(place), model_size(place), _used(place), revisions, base)


def _newest(name: str, repository: Path, revisions: tuple[str, ...]) -> Path | None:
    """Return the last of the complete revisions; without any, the newest of the complete commits."""
    if revisions:
        return find_local(name, revisions[-1])
    whole = [
        place for commit in _folders(repository / "snapshots") if (place := find_local(name, commit.name))
    ]
    return max(whole, key=lambda place: place.stat().st_mtime, default=None)


def _folders(folder: Path) -> Iterator[Path]:
    try:
        yield from (entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return


def family(place: Path) -> str:
    """Return transformers' name for the architecture of a model; empty where its config does not say."""
    try:
        config = read_json(place / "config.json")
        return str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _used(place: Path) -> float:
    """Return when a model was last read; when it was downloaded, on a disk that keeps no time of reading."""
    times = [0.0]
    for file in place.iterdir():
        try:
            status = file.stat()
        except OSError:
            continue
        times.append(max(status.st_atime, status.st_mtime))
    return max(times)


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key that puts `step9` before `step10`."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)
