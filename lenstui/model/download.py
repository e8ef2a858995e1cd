"""The program that downloads one model into the Hugging Face cache, and the choice of the files to download.

`lenstui.model.hub.download` runs this file by its path, in a separate process that can be killed. It imports
nothing of lenstui, and huggingface_hub only once it runs.

    python download.py NAME REVISION CACHE [code]

It prints JSON lines: `{"done", "total", "file"}` at most ten times a second, then `{"path"}` or `{"error"}`.
As soon as its standard input is closed it removes the half-written file, and ends.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# A single file or an index of shards, in transformers' order of preference.
_WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
# Files of the tokenizer and the configuration.
_SUPPORT = (
    *("config.json", "generation_config.json", "chat_template.*", "additional_chat_templates/*.jinja"),
    *("tokenizer.*", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab*", "merges.txt", "*.model", "*.tiktoken", "tekken.json"),
)
_NEVER = (".py", ".onnx", ".msgpack", ".h5", ".ot", ".gguf")
_TICK = 0.1  # seconds between two lines of progress
_CHUNK = 1 << 18  # bytes; huggingface_hub's 10 MB would show no progress for minutes on a slow line
_TIMEOUT = 10.0  # seconds for the list of files


def weight_files(names: Collection[str], read: Callable[[str], str]) -> list[str]:
    """Return the files that hold a model's weights, index included, as transformers chooses them.

    Args:
        names: the files of the repository.
        read: returns the text of an index file.

    Returns:
        The files that are needed, whether or not they are in `names`; an empty list where there are no
            weights.
    """
    for whole, index in _WEIGHTS:
        if whole in names:
            return [whole]
        if index in names:
            return [index, *sorted(set(json.loads(read(index))["weight_map"].values()))]
    return []


def support_files(names: Collection[str], *, with_code: bool = False) -> list[str]:
    """Return the configuration, tokenizer and chat template files among `names`; Python files if wanted."""
    return sorted(name for name in names if _is_support(name) or (with_code and name.endswith(".py")))


def _is_support(name: str) -> bool:
    return not name.endswith(_NEVER) and any(
        fnmatchcase(name, pattern) and name.count("/") == pattern.count("/") for pattern in _SUPPORT
    )


class _RefusedError(Exception):
    """A refusal of a model, with one line for the user."""


class _Progress:
    """Progress over all files: bytes on the disk, of all that are needed."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._done = 0  # of the files that are complete
        self._partial = 0
        self._said = 0.0

    def advance(self, file: str, count: int) -> None:
        """Count new bytes of a file (negative ones when the server starts over)."""
        self._partial += count
        if time.monotonic() - self._said >= _TICK:
            self._say(file)

    def finish(self, file: str, size: int) -> None:
        """Count a file as complete, whether it was downloaded or present before."""
        self._done += size
        self._partial = 0
        if self._done >= self.total or time.monotonic() - self._said >= _TICK:
            self._say(file)

    def _say(self, file: str) -> None:
        self._said = time.monotonic()
        say(done=self._done + self._partial, total=self.total, file=file)

    def bar(self, file: str) -> type:
        """Return a class for huggingface_hub to use as tqdm, with the methods of tqdm that it calls."""
        progress = self

        class Bar:
            def __init__(self, *_: Any, **__: Any) -> None: ...

            def __enter__(self) -> Bar:
                return self

            def __exit__(self, *_: object) -> None: ...

            def update(self, count: float | None = 1) -> None:
                progress.advance(file, int(count or 0))

            def update_transfer(self, count: float | None = 1) -> None:
                """Ignore bytes on the wire: `update` counts them when they are written."""

            def ignore(self, *_: Any, **__: Any) -> None: ...

            set_description = set_postfix_str = set_transfer_postfix_str = refresh = close = ignore

        return Bar


def say(**message: str | int) -> None:
    """Print one JSON line for the parent process."""
    print(json.dumps(message), file=sys.__stdout__, flush=True)


def fetch(name: str, revision: str, cache: Path, *, with_code: bool = False) -> Path:
    """Download the missing files of a model, one after the other, the weights last, and return its folder.

    One file at a time and in the main thread, so that an interrupt reaches huggingface_hub, which then
    removes its half-written file. The revision's name enters the cache only when every file is there.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download

    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=_TIMEOUT)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    commit = info.sha or revision

    def get(file: str, bar: type | None = None) -> Path:
        return Path(hf_hub_download(name, file, revision=commit, cache_dir=cache, tqdm_class=bar))

    weights = weight_files(sizes, lambda index: get(index).read_text(encoding="utf-8"))
    if "config.json" not in sizes or not weights:
        raise _RefusedError(_no_model(name, sizes))
    needed = [*support_files(sizes, with_code=with_code), *weights]
    snapshot = get("config.json").parent
    _check_disk(name, cache, sum(sizes.get(file, 0) for file in needed if not (snapshot / file).exists()))

    progress = _Progress(sum(sizes.get(file, 0) for file in needed))
    for file in needed:
        get(file, progress.bar(file))
        progress.finish(file, sizes.get(file, 0))

    if revision != commit:
        ref = snapshot.parents[1] / "refs" / revision
        with contextlib.suppress(OSError):  # a cache that is complete but read-only
            ref.parent.mkdir(parents=True, exist_ok=True)
            ref.write_text(commit)
    return snapshot


def _no_model(name: str, files: Collection[str]) -> str:
    if any(file.endswith(".gguf") for file in files):
        return f"{name} holds GGUF files alone: download one and give its path, or the original model's name."
    if "adapter_config.json" in files:
        return f"{name} is an adapter, not a whole model: give the name of a whole model."
    return (
        f"{name} has no config.json with model.safetensors or pytorch_model.bin: transformers cannot read it."
    )


def _check_disk(name: str, cache: Path, needed: int) -> None:
    free = shutil.disk_usage(cache).free
    if needed > free:
        raise _RefusedError(
            f"{name} needs {needed / 1e9:.1f} GB more and {cache} has {free / 1e9:.1f} GB free: "
            "make room, or set HF_HOME to a bigger disk."
        )


def explain(error: Exception, name: str, revision: str, cache: Path) -> str:
    """Return one line on an error: what went wrong, and what to do."""
    from huggingface_hub import constants, errors

    host, page = urlsplit(constants.ENDPOINT).netloc, f"{constants.ENDPOINT}/{name}"
    if isinstance(error, errors.LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # why the hub did not say where the file is
    match error:
        case _RefusedError():
            return str(error)
        case errors.HFValidationError():
            return f"{name!r} is no name of a model: names on the hub are OWNER/NAME."
        case errors.GatedRepoError():
            return f"{name} is gated: accept its terms on {page}, then log in with `hf auth login`."
        case errors.RepositoryNotFoundError():
            return (
                f"{host} has no model {name}: check the spelling (names are OWNER/NAME); "
                "if it is private, log in with `hf auth login`."
            )
        case errors.RevisionNotFoundError():
            return f"{name} has no revision {revision}: give a branch, a tag or a commit from {page}."
        case errors.HfHubHTTPError(response=response):
            if (status := response.status_code) == 401:
                return f"{host} does not accept your token: log in again with `hf auth login`."
            return f"{host} answered {status} for {name}: try again later; complete files are kept."
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return f"The disk of {cache} is full: make room, or set HF_HOME to a bigger one."
        case OSError(errno=errno.EACCES | errno.EPERM | errno.EROFS):
            return f"{cache} cannot be written: set HF_HOME to a folder of your own."
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"The download of {name} from {host} failed ({reason}): try again; complete files are kept."


def _stop_with_the_parent() -> None:
    """Interrupt the main thread once standard input closes: the parent stopped the download, or has ended."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit an ignored SIGINT
    main_thread = threading.get_ident()

    def wait() -> None:
        os.read(sys.stdin.fileno(), 1)
        signal.pthread_kill(main_thread, signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def main(name: str, revision: str, cache: str, *more: str) -> int:
    """Download a model, print progress and result, and return the exit status."""
    _stop_with_the_parent()
    sys.stdout = sys.stderr  # only messages to the parent go to the real stdout
    try:
        say(path=str(fetch(name, revision, Path(cache), with_code="code" in more)))
    except (KeyboardInterrupt, BrokenPipeError):  # the parent is gone
        return 1
    except Exception as error:  # every failure becomes a line for the user
        say(error=explain(error, name, revision, Path(cache)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
