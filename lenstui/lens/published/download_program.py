"""The program that downloads one lens into the Hugging Face cache, and goes on where it was stopped.

`lenstui.lens.published.hub.download` runs it in a separate process that can be killed.

    python -m lenstui.lens.published.download_program LENS CACHE

LENS is a `PublishedLens` as plain values, in JSON. huggingface_hub drops what it has of a file when it ends
early; a lens is one file of up to several GB, so its bytes are kept here, beside the finished blobs.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import BinaryIO

from lenstui.lens.published.published_lens import PublishedLens, RemoteFile
from lenstui.model import hub_program
from lenstui.model.hub_program import CHUNK, Progress, RefusedError, Repository, check_disk

KEPT = "what came is kept, and the download goes on from there"
PART = ".lenstui-part"  # the ending of a file that is not all there yet
_LARGE = 1 << 20  # bytes; a smaller file is left to huggingface_hub
_LOCK_WAIT = 1.0  # seconds


def fetch(lens: PublishedLens, cache: Path) -> Path:
    """Download the missing files of a lens, its own file last, and return the place of that in the cache."""
    progress = Progress(lens.size)
    for file in reversed(lens.files):
        _fetch_file(lens, file, cache, progress)
        progress.finish(file.path, file.size)
    return lens.place


def _fetch_file(lens: PublishedLens, file: RemoteFile, cache: Path, progress: Progress) -> None:
    from huggingface_hub import constants, hf_hub_download

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    snapshot = lens.place.parents[lens.path.count("/")]
    if (snapshot / file.path).is_file():
        return
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    if file.size >= _LARGE:
        _fetch_blob(lens, file, blobs, progress)
    place = hf_hub_download(
        lens.repository,
        file.path,
        repo_type=lens.type,
        revision=lens.commit,
        cache_dir=cache,
        tqdm_class=progress.bar(file.path),
    )
    if file.size < _LARGE:
        _check_hash(Path(place), file)


def _fetch_blob(lens: PublishedLens, file: RemoteFile, blobs: Path, progress: Progress) -> None:
    """Bring the bytes of a file to where huggingface_hub looks for them, from the byte on that is missing.

    Raises:
        RefusedError: if another process downloads it, there is no room, or other bytes came than the hub has.
    """
    from filelock import FileLock, Timeout
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(lens.repository, file.path, repo_type=lens.type, revision=lens.commit)
    etag = get_hf_file_metadata(url).etag
    if etag is None:
        raise RefusedError(f"The hub gives no hash for {file.path}, so it was not downloaded.")
    blob, part = blobs / etag, blobs / f"{etag}{PART}"
    if blob.is_file():
        return
    lock = blobs.parents[1] / ".locks" / blobs.parent.name / f"{etag}.lock"  # huggingface_hub's own
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=_LOCK_WAIT):
            here = part.stat().st_size if part.is_file() else 0
            check_disk(lens.name, blobs, file.size - here)
            with part.open("ab") as out:
                _append(url, file, out, progress)
            _check_hash(part, file)
            part.replace(blob)
    except Timeout:
        raise RefusedError(f"Another process is downloading {lens.name}: wait for that one.") from None


def _append(url: str, file: RemoteFile, out: BinaryIO, progress: Progress) -> None:
    """Write the bytes of a file that are missing behind those that are there."""
    from huggingface_hub import get_token
    from huggingface_hub.file_download import http_get

    token = get_token()
    here = out.seek(0, os.SEEK_END)
    if here > file.size:
        here = out.truncate(0)
    progress.advance(file.path, here)
    http_get(
        url,
        out,
        resume_size=here,
        headers={"authorization": f"Bearer {token}"} if token else {},
        expected_size=file.size,
        tqdm_class=progress.bar(file.path),
    )


def _check_hash(place: Path, file: RemoteFile) -> None:
    """Compare a file with what the hub says of it, and remove it if it is another.

    Raises:
        RefusedError: if it is another.
    """
    if file.sha256 is not None:
        digest, expected = hashlib.sha256(), file.sha256
    elif file.blob_id is not None:  # git's own hash
        digest, expected = hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False), file.blob_id
    else:
        return
    with place.open("rb") as opened:
        while chunk := opened.read(1 << 22):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        place.resolve().unlink()
        place.unlink(missing_ok=True)
        raise RefusedError(f"{file.path} arrived damaged, and was removed: download it again.")


def main(lens: str, cache: str) -> int:
    """Download a lens, print progress and its place, and return the exit status."""
    wanted = PublishedLens.of_plain(json.loads(lens))
    repository = Repository(wanted.repository, wanted.revision, Path(cache), wanted.type, KEPT)
    return hub_program.main(
        lambda: str(fetch(wanted, Path(cache))), lambda error: hub_program.explain(error, repository)
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
