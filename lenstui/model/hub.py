"""From a typed name to a model's place: a folder, a GGUF file, the Hugging Face cache, the hub.

The network is touched only by `reachable`, which has a hard time limit, and by `download`, which is a child
process that can be killed. Only that child imports huggingface_hub, so this module is light.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from lenstui.model import download as child
from lenstui.model.adapter_files import WEIGHTS, Adapter, is_adapter, is_adapter_of
from lenstui.model.gguf import SUFFIX, check_gguf, is_gguf, only_gguf
from lenstui.model.hub_process import (
    DownloadProgress,
    DownloadStopped,
    Message,
    OnProgress,
    ShouldStop,
    run,
)
from lenstui.model.name import BUNDLED_MODEL, DEFAULT_MODEL, looks_like_a_path, split_revision
from lenstui.support import paths
from lenstui.support.errors import LensError
from lenstui.support.small_file import read_json, read_small
from lenstui.support.typed_path import check_spelling, expanded, is_file, is_folder

MAIN = "main"  # the branch where no revision is named


@dataclass(frozen=True, slots=True)
class Choice:
    """The model to open when the user named none.

    Attributes:
        name: the model's name.
        path: the folder that holds the model.
        reason: why it is not the default model, one sentence; None where it is.
    """

    name: str
    path: Path
    reason: str | None


def find_local(name: str, revision: str | None = None, *, with_code: bool = False) -> Path | None:
    """Return the place of a model or an adapter on this machine, without touching the network.

    Args:
        name: a folder or GGUF file, returned as it is, or `OWNER/NAME`, looked up in the Hugging Face cache.
        revision: a branch, tag or commit; `main` where None.
        with_code: whether the Python files that the model's configuration names are needed too.

    Returns:
        The folder or GGUF file; None where there is none, or where the cache holds only a part of the model.
    """
    if place := _place(name):
        return place
    snapshot = _snapshot(name, revision)
    if snapshot is None or not _is_complete(snapshot) or (with_code and not _has_code(snapshot)):
        return None
    return snapshot


def resolve(
    name: str,
    revision: str | None = None,
    *,
    with_code: bool = False,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Path:
    """Return the folder or GGUF file of a model or an adapter, downloaded if it is not on this machine.

    Args:
        name: a folder, a GGUF file, or `OWNER/NAME` on the hub.
        revision: a branch, tag or commit on the hub.
        with_code: whether to fetch the model's Python files too.
        on_progress: called with the download's progress, at most ten times a second, in the caller's thread.
        should_stop: called at least ten times a second during a download; True ends it.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if the model cannot be found, read or downloaded; one line that says what to do.
    """
    if not name.strip():
        raise LensError("No model is named: give a folder, a GGUF file, or OWNER/NAME on the hub.")
    if "://" in name:
        raise LensError(f"{name} is an address: give only OWNER/NAME.")
    if place := _place(name):
        return _checked(place, revision)
    if name.lower().endswith(SUFFIX):
        raise LensError(f"No such file: {name}. A GGUF file on the hub has to be downloaded first.")
    if looks_like_a_path(name):
        raise LensError(f"No such folder: {name}")
    if local := find_local(name, revision, with_code=with_code):
        return local
    if why := why_no_network():
        called = name if revision is None else f"{name} at revision {revision}"
        where = "is only partly in" if _snapshot(name, revision) else "is not in"
        raise LensError(f"{called} {where} the cache ({hub_cache()}) and {why}, or give a folder, or --demo.")
    return download(name, revision, on_progress, should_stop, with_code=with_code)


def find_without_weights(
    name: str,
    revision: str | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
) -> Path:
    """Return a folder with the configuration and the tokenizer of a model, downloaded if it is not here.

    Args:
        name: `OWNER/NAME` on the hub.
        revision: a branch, tag or commit on the hub.
        on_progress: as in `resolve`.
        should_stop: as in `resolve`.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if the files cannot be found or downloaded; one line that says what to do.
    """
    snapshot = _snapshot(name, revision)
    if snapshot is not None and _has_support(snapshot):
        return snapshot
    if why := why_no_network():
        raise LensError(f"The tokenizer of {name} is not in the cache ({hub_cache()}) and {why}.")
    return download(name, revision, on_progress, should_stop, with_weights=False)


def find_adapter(
    typed: str, on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None
) -> Adapter:
    """Return an adapter, downloaded if it is not on this machine.

    Args:
        typed: a folder, `OWNER/NAME` or `OWNER/NAME@REVISION`.
        on_progress: as in `resolve`.
        should_stop: as in `resolve`.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if it cannot be found, read or downloaded, or is no adapter; one line that says what to do.
    """
    name, revision = split_revision(typed)
    if (place := _place(name)) is None or revision is not None:
        place = resolve(name, revision, on_progress=on_progress, should_stop=should_stop)
    return Adapter.read(place, name, revision)


def find_base(
    adapter: Adapter, on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None
) -> Choice:
    """Return the model that an adapter names as its base, downloaded if it is not on this machine.

    Args:
        adapter: the adapter.
        on_progress: as in `resolve`.
        should_stop: as in `resolve`.

    Raises:
        DownloadStopped: if `should_stop` returned True.
        LensError: if there is no such model; the message says how to name another.
    """
    other = f"--model MODEL --adapter {adapter.typed} names another one"
    if adapter.base is None:
        raise LensError(f"{adapter.name} does not say which model it is for: {other}.")
    try:
        place = resolve(adapter.base, adapter.base_revision, on_progress=on_progress, should_stop=should_stop)
    except DownloadStopped:
        raise
    except LensError as error:
        raise LensError(f"The base of {adapter.name}: {str(error).rstrip('.')}; {other}.") from error
    return Choice(adapter.base, place, None)


def choose_default(on_progress: OnProgress | None = None, should_stop: ShouldStop | None = None) -> Choice:
    """Return the default model from the cache, else from the hub, else the bundled model with the reason.

    Args:
        on_progress: as in `resolve`.
        should_stop: as in `resolve`.

    Raises:
        DownloadStopped: if `should_stop` returned True.
    """
    if cached := find_local(DEFAULT_MODEL):
        return Choice(DEFAULT_MODEL, cached, None)
    if variable := offline_variable():
        why = f"is not in the cache and {variable} is set"
    elif not reachable():
        why = f"is not in the cache and {_host()} did not answer"
    else:
        try:
            return Choice(DEFAULT_MODEL, download(DEFAULT_MODEL, None, on_progress, should_stop), None)
        except DownloadStopped:
            raise
        except LensError as error:
            why = f"could not be downloaded ({str(error).rstrip('.')})"
    return Choice(BUNDLED_MODEL, paths.bundled_model(), f"This is the bundled model: {DEFAULT_MODEL} {why}")


def download(
    name: str,
    revision: str | None = None,
    on_progress: OnProgress | None = None,
    should_stop: ShouldStop | None = None,
    *,
    with_code: bool = False,
    with_weights: bool = True,
) -> Path:
    """Download a model into the Hugging Face cache, in a child process, and return its folder.

    Complete files are kept whatever happens, and are not downloaded again by the next try.

    Args:
        name: `OWNER/NAME`.
        revision: a branch, tag or commit; `main` where None.
        on_progress: as in `resolve`.
        should_stop: as in `resolve`.
        with_code: as in `resolve`.
        with_weights: whether to fetch the weights, too.

    Raises:
        DownloadStopped: if `should_stop` returned True; the child has ended by then.
        LensError: if the download failed.
    """
    words = [name, revision or MAIN, str(hub_cache()), *(["code"] if with_code else [])]
    words += [] if with_weights else ["no-weights"]

    def show(message: Message) -> None:
        if on_progress is not None:
            on_progress(DownloadProgress(**message))

    return Path(run(child.__name__, words, f"The download of {name}", show, should_stop))


def reachable(timeout: float = 2.0) -> bool:
    """Return whether the hub (`HF_ENDPOINT`) answers; False at once where a variable forbids the network.

    Args:
        timeout: seconds that this may take, even when the name server hangs.
    """
    if offline_variable():
        return False
    answer: SimpleQueue[bool] = SimpleQueue()
    # A thread, because neither a hanging name server nor a trickling answer obeys a socket's timeout.
    threading.Thread(target=lambda: answer.put(_answers(_endpoint(), timeout)), daemon=True).start()
    try:
        return answer.get(timeout=timeout)
    except Empty:
        return False


def offline_variable() -> str | None:
    """Return the environment variable that forbids the network, if any, by huggingface_hub's own rules."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if value := os.environ.get(variable):
            return variable if value.upper() in {"1", "ON", "YES", "TRUE"} else None
    return None


def hub_cache() -> Path:
    """Return the folder of the Hugging Face cache by huggingface_hub's rules, read anew at every call."""
    base = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", f"{base}/huggingface")
    legacy = os.environ.get("HUGGINGFACE_HUB_CACHE", f"{home}/hub")
    return Path(os.path.expandvars(os.environ.get("HF_HUB_CACHE", legacy))).expanduser()


def _place(name: str) -> Path | None:
    """Return the folder or the GGUF file with a name; None where there is none."""
    place = expanded(name)
    there = is_folder(place) or (is_gguf(place) and is_file(place))
    return place if name.strip() and there else None


def _checked(place: Path, revision: str | None) -> Path:
    check_spelling(place)
    kind = "folder" if place.is_dir() else "file"
    if place.is_dir() and not (place / "config.json").is_file() and not is_adapter(place):
        place = only_gguf(place)
    if is_gguf(place):
        check_gguf(place)
    if revision is not None:
        raise LensError(
            f"{place} is a {kind}, it has no revision {revision}: leave --revision out, or give OWNER/NAME."
        )
    return place


def repository_folder(name: str, type: str = "model") -> Path:
    """Return the folder in the cache of a model, dataset or space `OWNER/NAME`, whether it exists or not."""
    return hub_cache() / f"{type}s--{name.replace('/', '--')}"


def _snapshot(name: str, revision: str | None) -> Path | None:
    """Return the cache's folder for a revision, complete or not; None where there is none."""
    repo = repository_folder(name)
    wanted = revision or MAIN
    try:
        ref = repo / "refs" / wanted
        commit = ref.read_text().strip() if ref.is_file() else wanted
        snapshot = repo / "snapshots" / commit
        return snapshot if snapshot.is_dir() else None
    except (OSError, ValueError):
        return None


def _is_complete(snapshot: Path) -> bool:
    try:
        # is_file follows links: the cache links to blobs, which may be missing.
        present = {file.name for file in snapshot.iterdir() if file.is_file()}
        if is_adapter_of(present):
            return WEIGHTS in present
        weights = child.weight_files(present, lambda index: read_small(snapshot / index).decode("utf-8"))
        return (
            "config.json" in present
            and bool(weights)
            and all((snapshot / file).is_file() for file in weights)
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # a damaged index
        return False


def _has_support(snapshot: Path) -> bool:
    """Return whether a configuration and a tokenizer's vocabulary are present."""
    try:
        names = {file.name for file in snapshot.iterdir() if file.is_file()}
    except OSError:
        return False
    return "config.json" in names and any(
        name.startswith(("tokenizer.", "vocab", "tekken")) or name.endswith((".model", ".tiktoken"))
        for name in names
    )


def _has_code(snapshot: Path) -> bool:
    """Return whether all Python files that the configuration and the tokenizer name are present."""
    for name in ("config.json", "tokenizer_config.json"):
        try:
            found = read_json(snapshot / name).get("auto_map") or {}
        except (OSError, ValueError, AttributeError):
            continue
        classes = [
            entry for value in found.values() for entry in (value if isinstance(value, list) else [value])
        ]
        modules = {str(entry).rpartition(".")[0] for entry in classes if entry and "--" not in str(entry)}
        if not all((snapshot / f"{module}.py").is_file() for module in modules):
            return False
    return True


def why_no_network() -> str | None:
    """Return why the hub cannot be asked, and what to do, as a part of a sentence; None where it can be."""
    if variable := offline_variable():
        return f"{variable} is set: unset it"
    if not reachable():
        return f"{_host()} cannot be reached: check the network"
    return None


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _host() -> str:
    return urlsplit(_endpoint()).netloc or _endpoint()


def _answers(url: str, timeout: float) -> bool:
    from ssl import SSLCertVerificationError
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    try:
        urlopen(Request(url, method="HEAD"), timeout=timeout).close()
    except HTTPError as error:
        return error.code < 500  # a refusal is an answer, a gateway's error is not
    except URLError as error:
        # A server answered; huggingface_hub may have the certificate that Python lacks.
        return isinstance(error.reason, SSLCertVerificationError)
    except Exception:  # any other failure (a refused connection, a malformed HF_ENDPOINT) is no answer
        return False
    return True
