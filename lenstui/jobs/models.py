"""The jobs that list models to open. They open none, and import neither torch nor the hub's library."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from lenstui.jobs.messages import Post
from lenstui.jobs.model_messages import ListedModel, ModelsListed, PathsListed, RevisionsListed
from lenstui.jobs.thread import Stop
from lenstui.model.adapter_files import base_of, is_adapter
from lenstui.model.cache import cached_models, cached_revisions, family, partial_models
from lenstui.model.gguf import is_gguf
from lenstui.model.hub import find_local
from lenstui.model.memory import free_memory, needed_memory, peak_memory
from lenstui.model.size import model_size
from lenstui.support import paths
from lenstui.support.typed_path import expanded

ADAPTER = "adapter"
BUNDLED = "bundled"
FOLDER = "folder …"  # a folder that is no model
PARTLY = "partly"  # half downloaded, in the cache
_MOST_PATHS = 200


def list_models(post: Post, recent: Sequence[str], device: str, dtype: str, stop: Stop) -> None:
    """Post the models in the cache, whole ones first; those elsewhere that were open before; the bundled one.

    Args:
        post: takes the message.
        recent: names of models that were open before, the last one first.
        device: the device that a model would be loaded to, `auto` for the first that there is.
        dtype: the dtype of the weights once loaded, as the user named it.
        stop: returns whether nobody waits for the list any more.
    """
    device = _whose_memory(device)
    listed = []
    for model in cached_models():
        if stop():
            return
        if is_adapter(model.place):
            listed.append(
                replace(_adapter(model.name, model.place, device, dtype), revisions=model.revisions)
            )
            continue
        size, take = model.size.files, needed_memory(model.size, dtype, device)
        listed.append(ListedModel(model.name, "cache", model.family, size, take, model.used, model.revisions))
    known = {model.name for model in listed}
    listed += [ListedModel(name, PARTLY) for name in partial_models(known)]
    for name in recent:
        place = expanded(name)
        if name not in known and (where := _kind(place)) not in {None, FOLDER}:
            listed.append(_in_place(name, str(where), place, device, dtype))
    listed.append(replace(_in_place("", BUNDLED, paths.bundled_model(), device, dtype), used=0.0))
    post(
        ModelsListed(
            tuple(_behind_their_bases(listed)), free_memory(device), peak_memory(device), device, dtype
        )
    )


def _behind_their_bases(models: Sequence[ListedModel]) -> Iterator[ListedModel]:
    """Yield models, each followed by the adapters for it; adapters for others come where they stood."""
    names = {model.name for model in models}
    for model in models:
        if not model.base or model.base not in names:
            yield model
        if not model.base:
            yield from (adapter for adapter in models if adapter.base and adapter.base == model.name)


def list_paths(post: Post, typed: str, device: str, dtype: str, stop: Stop) -> None:
    """Post the folders and GGUF files that a path may go on to, models first.

    Args:
        post: takes the message.
        typed: the beginning of a path, `~` for the home folder.
        device: the device that a model would be loaded to, `auto` for the first that there is.
        dtype: the dtype of the weights once loaded, as the user named it.
        stop: returns whether nobody waits for the list any more.
    """
    base, slash, begun = typed.rpartition("/")
    prefix, trouble = base + slash, f"There is no folder and no GGUF file {typed}."
    try:
        entries = sorted(
            entry
            for entry in Path(prefix or ".").expanduser().iterdir()
            if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
        )
        if not begun:
            trouble = f"There is no model in {typed}, and no folder."
    except PermissionError:
        entries, trouble = [], f"{prefix} may not be read."
    except (OSError, RuntimeError, ValueError):  # not a folder; ~ of nobody; a zero byte
        entries = []
    found = ((entry, kind) for entry in entries if not stop() and (kind := _kind(entry)) is not None)
    listed = [
        ListedModel(f"{prefix}{entry.name}/", kind)
        if kind == FOLDER
        else _in_place(f"{prefix}{entry.name}", kind, entry, _whose_memory(device), dtype)
        for entry, kind in islice(found, _MOST_PATHS)
    ]
    listed.sort(key=lambda model: model.where == FOLDER)
    if slash and not begun and _kind(here := expanded(base)) == "folder":
        listed.insert(0, _in_place(base, "folder", here, _whose_memory(device), dtype))
    if not stop():
        post(PathsListed(typed, tuple(listed), "" if listed else trouble))


def list_revisions(post: Post, name: str, step: int) -> None:
    """Post the revisions of a model that are in the cache."""
    post(RevisionsListed(name, cached_revisions(name), step))


def _whose_memory(device: str) -> str:
    """Return the device whose memory a model takes."""
    return "cpu" if device in {"auto", "mps"} else device


def _in_place(name: str, where: str, place: Path, device: str, dtype: str) -> ListedModel:
    """Return the list entry of a model in a folder or a file, with the memory that it takes."""
    if where == ADAPTER:
        return _adapter(name, place, device, dtype)
    size = model_size(place)
    try:
        used = place.stat().st_mtime
    except OSError:  # gone meanwhile
        used = 0.0
    return ListedModel(name, where, family(place), size.files, needed_memory(size, dtype, device), used)


def _adapter(name: str, place: Path, device: str, dtype: str) -> ListedModel:
    """Return the list entry of an adapter, with the memory that it takes with its base, if that is here."""
    base, size = base_of(place) or "", model_size(place)
    here = find_local(base) if base else None
    of_base = None if here is None else needed_memory(model_size(here), dtype, device)
    needed = None if of_base is None else of_base + size.files
    used = place.stat().st_mtime if place.exists() else 0.0
    return ListedModel(
        name, ADAPTER, family(here) if here else "", size.files, needed, used, base=base or "its base"
    )


def _kind(place: Path) -> str | None:
    """Return what a place is: `folder` of a model, `GGUF`, `ADAPTER`, `FOLDER` for others; None for none."""
    try:
        if is_adapter(place):
            return ADAPTER
        if place.is_dir():
            return "folder" if (place / "config.json").is_file() else FOLDER
        return "GGUF" if is_gguf(place) and place.is_file() else None
    except OSError:  # a folder that may not be looked into
        return None
