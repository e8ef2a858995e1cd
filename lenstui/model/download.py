"""The program that downloads a model or an adapter into the Hugging Face cache, and the choice of its files.

`lenstui.model.hub.download` runs it in a separate process that can be killed.

    python -m lenstui.model.download NAME REVISION CACHE [code] [no-weights]

As soon as its standard input is closed it removes the half-written file, and ends.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Collection
from fnmatch import fnmatchcase
from pathlib import Path

from lenstui.model import hub_program
from lenstui.model.adapter_files import CONFIG, PICKLE, WEIGHTS, is_adapter_of, pickled
from lenstui.model.hub_program import CHUNK, TIMEOUT, Progress, RefusedError, Repository, check_disk

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


def fetch(
    name: str, revision: str, cache: Path, *, with_code: bool = False, with_weights: bool = True
) -> Path:
    """Download the missing files of a model or an adapter, the weights last, and return its folder.

    One file at a time and in the main thread, so that an interrupt reaches huggingface_hub, which then
    removes its half-written file. The revision's name enters the cache only when every file is there.
    """
    from huggingface_hub import HfApi, constants, hf_hub_download

    constants.DOWNLOAD_CHUNK_SIZE = CHUNK
    info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=TIMEOUT)
    sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
    commit = info.sha or revision

    def get(file: str, bar: type | None = None) -> Path:
        return Path(hf_hub_download(name, file, revision=commit, cache_dir=cache, tqdm_class=bar))

    if not with_weights:
        if "config.json" not in sizes:
            raise RefusedError(_no_model(name, sizes))
        first, needed = "config.json", support_files(sizes)
    elif is_adapter_of(sizes):
        if WEIGHTS not in sizes:
            raise RefusedError(pickled(name) if PICKLE in sizes else f"{name} has no {WEIGHTS}.")
        first, needed = CONFIG, [CONFIG, WEIGHTS]
    else:
        weights = weight_files(sizes, lambda index: get(index).read_text(encoding="utf-8"))
        if "config.json" not in sizes or not weights:
            raise RefusedError(_no_model(name, sizes))
        first, needed = "config.json", [*support_files(sizes, with_code=with_code), *weights]
    snapshot = get(first).parent
    check_disk(name, cache, sum(sizes.get(file, 0) for file in needed if not (snapshot / file).exists()))

    progress = Progress(sum(sizes.get(file, 0) for file in needed))
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
    return (
        f"{name} has no config.json with model.safetensors or pytorch_model.bin: transformers cannot read it."
    )


def main(name: str, revision: str, cache: str, *more: str) -> int:
    """Download a model, print progress and result, and return the exit status."""
    repository = Repository(name, revision, Path(cache))
    return hub_program.main(
        lambda: str(
            fetch(
                name, revision, Path(cache), with_code="code" in more, with_weights="no-weights" not in more
            )
        ),
        lambda error: hub_program.explain(error, repository),
    )


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
