"""Folders of models and adapters, altered in one place: each opens, or is refused in a line."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lenstui.lens import LensError, Model, load
from tests.hostile.altered import altered, altered_bytes
from tests.hostile.refusal import is_read
from tests.tiny.adapters import adapter_in
from tests.tiny.folders import llama_in
from tests.tiny.gguf_file import gguf_in

SAMPLE = 1000 if os.environ.get("LENSTUI_HOSTILE") == "all" else 20  # of a file
FILES = (
    "config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "generation_config.json",
    "model.safetensors",
)

# It begins with a special token that it does not have.
PANICS = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<none>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {},
}


def copies(good: Path) -> Iterator[tuple[str, bytes]]:
    """Altered copies of a file, half of them of its values if it is JSON."""
    content, of_values = good.read_bytes(), 0
    if good.suffix == ".json":
        every = [
            (where, dumped) for where, value in altered(json.loads(content)) if (dumped := _dumped(value))
        ]
        of_values = min(len(every), SAMPLE // 2)
        yield from Random(1).sample(every, of_values)
    yield from islice(altered_bytes(content, 1), SAMPLE - of_values)


def _dumped(value: Any) -> bytes | None:
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, chat_tokenizer: Any) -> Path:
    return llama_in(tmp_path_factory.mktemp("altered") / "model", chat_tokenizer)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    pytest.importorskip("peft", reason="the extra `adapters` is not installed")
    return adapter_in(tmp_path_factory.mktemp("altered") / "adapter", folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FILES)
def test_a_model_opens_or_is_refused_in_a_line(folder: Path, tmp_path: Path, name: str) -> None:
    each_opens_or_is_refused(folder, tmp_path, name, load)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_adapter_opens_or_is_refused_in_a_line(
    folder: Path, adapter: Path, tmp_path: Path, name: str
) -> None:
    each_opens_or_is_refused(adapter, tmp_path, name, lambda copy: load(folder, adapter=str(copy)))


@pytest.mark.filterwarnings("ignore")
def test_a_gguf_file_opens_or_is_refused_in_a_line(tmp_path: Path) -> None:
    pytest.importorskip("gguf", reason="the extra `gguf` is not installed")
    whole = tmp_path / "whole"
    whole.mkdir()
    gguf_in(whole / "a.gguf")
    each_opens_or_is_refused(whole, tmp_path, "a.gguf", lambda copy: load(copy / "a.gguf"))


def streamed(opened: Callable[[Path], Model], folder: Path) -> object:
    """The hidden states of a prompt in the model that is opened from a folder."""
    model = opened(folder)
    return model.stream(model.tokenizer("Hello, you", return_tensors="pt").input_ids)


def each_opens_or_is_refused(folder: Path, place: Path, name: str, opened: Callable[[Path], Model]) -> None:
    """Alter one file of a folder, and open copies of the folder."""
    count = 0
    for number, (where, content) in enumerate(copies(folder / name)):
        # A new name each time: what was read of one file must not be remembered of another.
        copy = place / str(number)
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(content)
        is_read(partial(streamed, opened, copy), where)
        shutil.rmtree(copy)
        count += 1
    assert count == SAMPLE


@pytest.mark.parametrize(
    ("name", "key", "value", "why"),
    [
        ("config.json", "architectures", [True], None),
        ("tokenizer_config.json", "model_max_length", [], "tokenizer in .* cannot be read"),
        # tokenizers panics, which is no `Exception`.
        ("tokenizer.json", "post_processor", PANICS, "tokenizer in .* cannot be read: no entry found"),
    ],
)
def test_what_was_found_so(
    folder: Path, tmp_path: Path, name: str, key: str, value: Any, why: str | None
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / name).write_text(json.dumps(json.loads((copy / name).read_text()) | {key: value}))
    if why is None:
        load(copy)
        return
    with pytest.raises(LensError, match=why):
        load(copy)


def test_an_adapter_for_a_list_is_refused(folder: Path, adapter: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(adapter, copy)
    config = copy / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"task_type": []}))
    with pytest.raises(LensError, match="needs one for a causal LM"):
        load(folder, adapter=str(copy))
