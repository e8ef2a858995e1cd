"""The program that looks for lenses on the hub, in repositories that are known to have some.

`lenstui.lens.published.hub.search` runs it in a separate process that can be killed.

    python -m lenstui.lens.published.search_program REQUEST CACHE

REQUEST is JSON: `{"repositories": […], "wanted": {…} | null}`. It prints `{"lens"}` for each lens, once it is
found, and `{"trouble"}`, one line, for each repository or revision that cannot be looked through.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from lenstui.lens.published.inside import model_inside
from lenstui.lens.published.matching import Suits, WantedModel, model_in_config, same_model, suits_by_size
from lenstui.lens.published.published_lens import PublishedLens, RemoteFile
from lenstui.lens.published.repositories import model_in_path, pattern_of
from lenstui.model import hub_program
from lenstui.model.hub_program import TIMEOUT, RefusedError, Repository, explain, say
from lenstui.support.lens_repository import LensRepository

_KEPT = "the other repositories were looked through"
_WHOLE = 200  # the status of an answer with a whole file
_LARGEST_WHOLE = 1 << 20  # bytes that may come where a part was asked for
_LARGEST_CONFIG = 1 << 16  # bytes; a larger one is passed over


def search(repositories: list[LensRepository], wanted: WantedModel | None, cache: Path) -> int:
    """Print the lenses in some repositories, and return how many there are.

    Args:
        repositories: the repositories.
        wanted: the model that they are to be for; None for all lenses.
        cache: the folder of the Hugging Face cache.
    """
    count = 0
    for repository in repositories:
        seen: set[tuple[str, str | None]] = set()
        is_as_expected = False
        for revision in repository.revisions:
            place = Repository(repository.repository, revision, cache, repository.type, _KEPT, "list")
            try:
                for lens in _lenses(repository, revision):
                    is_as_expected = True
                    file = lens.files[0]
                    which = (file.path, file.sha256 or file.blob_id)
                    judged = None if which in seen else _judged(lens, repository, wanted, place)
                    seen.add(which)
                    if judged is not None and judged.suits is not Suits.NO:
                        say(lens=judged.plain())
                        count += 1
            except Exception as error:  # one repository that is gone or private leaves the others
                is_as_expected = True  # nobody knows
                say(trouble=explain(error, place))
        if not is_as_expected:
            say(trouble=f"{repository.repository} has no file {repository.files}: it is laid out otherwise.")
    return count


def _lenses(repository: LensRepository, revision: str) -> Iterator[PublishedLens]:
    """Yield every lens on a revision, with its config as its second file where it has one."""
    from huggingface_hub import HfApi

    name, kind = repository.repository, repository.type
    info = HfApi().repo_info(name, revision=revision, repo_type=kind, files_metadata=True, timeout=TIMEOUT)
    commit = info.sha
    if commit is None:
        raise RefusedError(f"The hub does not say at which commit {name} is: try again later.")
    files = {file.rfilename: _remote(file) for file in getattr(info, "siblings", None) or ()}
    pattern = pattern_of(repository)
    for path in sorted(files):
        if pattern.fullmatch(path) is None:
            continue
        beside = None if repository.config is None else str(PurePosixPath(path).with_name(repository.config))
        of_lens = tuple(files[each] for each in (path, beside) if each in files)
        yield PublishedLens(name, kind, revision, commit, repository.kind, of_lens)


def _remote(file: Any) -> RemoteFile:
    sha256 = None if file.lfs is None else file.lfs.sha256
    return RemoteFile(file.rfilename, file.size or 0, sha256, file.blob_id)


def _judged(
    lens: PublishedLens, repository: LensRepository, wanted: WantedModel | None, place: Repository
) -> PublishedLens:
    """Return a lens with the model that it is for, and whether that is the wanted one.

    The config is fetched only where the path leaves it open, and the size of the lens does not exclude it; of
    a lens without one, what its file says within itself is.
    """
    stated = model_in_path(repository, lens.path)
    if wanted is None:
        return replace(lens, made_for=stated)
    suits = Suits.PERHAPS if stated is None else same_model(stated, wanted)
    if suits is not Suits.YES:
        if not suits_by_size(lens.files[0].size, lens.kind, wanted):
            return replace(lens, made_for=stated, suits=Suits.NO)
        inside = _model_inside(lens) if stated is None and len(lens.files) == 1 else None
        if (named := inside or _model_in_config_of(lens, place)) is not None:
            stated, suits = named, same_model(named, wanted)
    return replace(lens, made_for=stated, suits=suits)


def _model_in_config_of(lens: PublishedLens, place: Repository) -> str | None:
    """Fetch the small config beside a lens, and return the model that it names; None where there is none."""
    from huggingface_hub import hf_hub_download

    if len(lens.files) == 1 or lens.files[1].size > _LARGEST_CONFIG:
        return None
    path = lens.files[1].path
    file = hf_hub_download(
        lens.repository, path, repo_type=lens.type, revision=lens.commit, cache_dir=place.cache
    )
    return model_in_config(Path(file).read_text("utf-8", errors="replace"), path)


def _model_inside(lens: PublishedLens) -> str | None:
    """Return the model that a lens's file names within itself; None where it names none."""
    from huggingface_hub import get_session, get_token, hf_hub_url

    file, token = lens.files[0], get_token()
    url = hf_hub_url(lens.repository, file.path, repo_type=lens.type, revision=lens.commit)

    def read_bytes(start: int, count: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + count - 1}"}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            response.raise_for_status()
            is_whole = response.status_code == _WHOLE
            if is_whole and file.size > _LARGEST_WHOLE:
                raise ValueError("the server gives no parts of files")
            content = response.read()
        return content[start : start + count] if is_whole else content[:count]

    return model_inside(file.size, read_bytes)


def _request(text: str) -> tuple[list[LensRepository], WantedModel | None]:
    table: Mapping[str, Any] = json.loads(text)
    repositories = [
        LensRepository(**{**entry, "revisions": tuple(entry["revisions"])}) for entry in table["repositories"]
    ]
    return repositories, None if table["wanted"] is None else WantedModel(**table["wanted"])


def main(request: str, cache: str) -> int:
    """Look for lenses, print them, and return the exit status."""
    repositories, wanted = _request(request)
    nowhere = Repository("the hub", "", Path(cache))
    return hub_program.main(
        lambda: search(repositories, wanted, Path(cache)), lambda error: explain(error, nowhere)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
