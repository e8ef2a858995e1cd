"""Lenses on the hub: the search for them, their download, and those that are on this machine already.

Searches and downloads are child processes that can be killed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from lenstui.lens.published import download_program, search_program
from lenstui.lens.published.matching import Suits, WantedModel, likeness
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.lens.published.repositories import pattern_of
from lenstui.model.hub import hub_cache, repository_folder, why_no_network
from lenstui.model.hub_process import DownloadProgress, Message, OnProgress, ShouldStop, run
from lenstui.support.errors import LensError
from lenstui.support.lens_repository import LensRepository


def search(
    repositories: Sequence[LensRepository],
    wanted: WantedModel | None,
    on_found: Callable[[PublishedLens], None],
    on_trouble: Callable[[str], None],
    should_stop: ShouldStop | None = None,
) -> None:
    """Look for lenses on the hub.

    Args:
        repositories: where to look.
        wanted: the model that they are to be for; None for all lenses.
        on_found: called with each lens that is for the model, or may be.
        on_trouble: called with one line on each repository, or revision of it, that cannot be looked through.
        should_stop: called at least ten times a second; True ends the search.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if the hub cannot be asked.
    """
    if why := why_no_network():
        raise LensError(f"The hub was not asked for lenses: {why}.")
    request = {
        "repositories": [asdict(repository) for repository in repositories],
        "wanted": None if wanted is None else asdict(wanted),
    }

    def pass_on(message: Message) -> None:
        if "trouble" in message:
            on_trouble(message["trouble"])
        else:
            on_found(PublishedLens.of_plain(message["lens"]))

    words = [json.dumps(request), str(hub_cache())]
    run(search_program.__name__, words, "The search for lenses", pass_on, should_stop)


def in_order(lenses: Sequence[PublishedLens], wanted: WantedModel | None) -> list[PublishedLens]:
    """Return lenses in the order in which they are shown: those for the model, then those that may be."""
    if wanted is None:
        return sorted(lenses, key=lambda lens: lens.name)
    return sorted(
        lenses,
        key=lambda lens: (lens.suits is not Suits.YES, -likeness(lens.path, wanted), lens.name),
    )


def download(
    lens: PublishedLens, on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None
) -> Path:
    """Download a lens into the Hugging Face cache, from where an earlier download ended, and return its file.

    Its bytes are compared with the hub's hash; whether they are a lens, `open_lens` tells.

    Args:
        lens: the lens.
        on_progress: called with the progress, at most ten times a second, in the caller's thread.
        should_stop: called at least ten times a second; True ends the download, and keeps what came.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if the download failed.
    """
    if lens.is_here:
        return lens.place
    if why := why_no_network():
        raise LensError(f"{lens.name} was not downloaded: {why}.")

    def show(message: Message) -> None:
        if on_progress is not None:
            on_progress(DownloadProgress(**message))

    words = [json.dumps(lens.plain()), str(hub_cache())]
    return Path(run(download_program.__name__, words, f"The download of {lens.name}", show, should_stop))


def lenses_here(repositories: Sequence[LensRepository]) -> list[Path]:
    """Return the files of published lenses in the Hugging Face cache, or their folders, without the network.

    Of a lens whose bytes are the same at several commits, one is returned.
    """
    found: dict[Path, Path] = {}
    for repository in repositories:
        for file in _files(repository):
            found.setdefault(file.resolve(), file)
    return [file.parent if file.name == "params.pt" else file for file in found.values()]


def _files(repository: LensRepository) -> Iterator[Path]:
    """Yield the lens files of a repository in the cache, those of the newest commit first."""
    pattern = pattern_of(repository)
    snapshots = repository_folder(repository.repository, repository.type) / "snapshots"
    try:
        commits = sorted(snapshots.iterdir(), key=lambda commit: -commit.stat().st_mtime)
        for commit in commits:
            for file in sorted(commit.rglob("*")):
                is_whole = repository.config is None or file.with_name(repository.config).is_file()
                path = file.relative_to(commit).as_posix()
                if pattern.fullmatch(path) and file.is_file() and is_whole:
                    yield file
    except OSError:  # no such folder, or one that may not be read
        return
