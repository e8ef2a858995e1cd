"""The models of the Hugging Face cache, whole ones and begun ones. No network, no torch, no hub library."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lenstui.model.hub import MAIN, find_local, hub_cache, repository_folder
from lenstui.model.size import ModelSize, model_size

_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model that can be opened without a network.

    Attributes:
        name: `OWNER/NAME`.
        place: the folder of its newest revision here, `main` where that is here.
        family: transformers' name for its architecture, `gpt_neox`; empty where its config does not say.
        size: how large it is.
        used: when its weights were last written or read, seconds since 1970.
        revisions: branches and tags that are here whole, as `cached_revisions` orders them.
    """

    name: str
    place: Path
    family: str
    size: ModelSize
    used: float
    revisions: tuple[str, ...]


def cached_models() -> list[CachedModel]:
    """Every causal-LM-like model of the cache that is whole, the last used one first.

    A repository without a config.json or without all of its weights is no model, or not yet.
    """
    found = (_cached(repository) for repository in _repositories())
    return sorted((model for model in found if model is not None), key=lambda model: -model.used)


def partial_models(whole: Collection[str]) -> list[str]:
    """Names of the models of which only a part is in the cache: their download was interrupted.

    That is a configuration without all of its weights, or a file that is half written.

    Args:
        whole: names of `cached_models`.
    """
    return [name for place in _repositories() if (name := _name(place)) not in whole and _is_begun(place)]


def cached_revisions(name: str) -> tuple[str, ...]:
    """The branches and tags of a model that are in the cache whole: `step9`, `step10`, …, and last `main`.

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
    """Whether it holds a configuration, or a file that huggingface_hub is not done with."""
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
    return CachedModel(name, place, family(place), model_size(place), _used(place), revisions)


def _newest(name: str, repository: Path, revisions: tuple[str, ...]) -> Path | None:
    """The last whole one of the revisions, or of the commits that nothing names."""
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
    """Transformers' name for the architecture of a model; empty where its config does not say."""
    try:
        config = json.loads((place / "config.json").read_text(encoding="utf-8"))
        return str(config.get("model_type", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _used(place: Path) -> float:
    """Many disks keep no time of reading; then it is the time of the download."""
    times = [0.0]
    for file in place.iterdir():
        try:
            status = file.stat()
        except OSError:
            continue
        times.append(max(status.st_atime, status.st_mtime))
    return max(times)


def _natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """`step9` before `step10`."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)
