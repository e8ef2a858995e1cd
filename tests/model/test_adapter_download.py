"""Adapters on the hub and in its cache, by the real child process: whole, in part, and as pickles."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lenstui.model import hub
from lenstui.model.adapter_files import Adapter
from lenstui.model.cache import cached_models
from lenstui.support.errors import LensError
from tests.programs.fake_hub import NAME, FakeHub, children, fake, own_cache

__all__ = ["children", "fake", "own_cache"]

CONFIG = json.dumps({"peft_type": "LORA", "base_model_name_or_path": "owner/base", "r": 4}).encode()
FILES = {
    "README.md": b"# an adapter",
    "adapter_config.json": CONFIG,
    "adapter_model.safetensors": b"weights",
    "optimizer.pt": b"no",
    "tokenizer.json": b"no",
}


def test_an_adapter_is_downloaded_and_found_in_the_cache(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.files = dict(FILES)
    found = hub.find_adapter(f"{NAME}@v1")
    assert {file.name for file in found.place.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert (found.name, found.revision, found.kind, found.base) == (NAME, "v1", "LoRA", "owner/base")
    assert found.typed == f"{NAME}@v1"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.find_adapter(f"{NAME}@v1") == found
    assert hub.find_local(NAME) is None  # main was not asked for
    (listed,) = cached_models()
    assert (listed.name, listed.place, listed.base) == (NAME, found.place, "owner/base")


def test_an_adapter_of_which_the_weights_are_missing_is_not_whole(fake: FakeHub) -> None:
    fake.files = dict(FILES)
    place = hub.find_adapter(NAME).place
    (place / "adapter_model.safetensors").unlink()
    assert hub.find_local(NAME) is None
    assert cached_models() == []


def test_a_pickle_is_not_even_downloaded(fake: FakeHub) -> None:
    fake.files = {"adapter_config.json": CONFIG, "adapter_model.bin": b"\x80"}
    with pytest.raises(
        LensError, match=r"has its weights in a pickle \(adapter_model.bin\), which may run code"
    ):
        hub.find_adapter(NAME)
    assert [file for file, _ in fake.got] == []


def test_a_whole_model_is_no_adapter(fake: FakeHub) -> None:
    with pytest.raises(LensError, match=f"{NAME} is a whole model"):
        hub.find_adapter(NAME)


def test_the_hash_is_of_the_numbers(tmp_path: Path) -> None:
    def digest(name: str, weights: bytes = b"weights", **config: object) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(weights)
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4} | config))
        return Adapter.read(folder, name).digest

    first = digest("first", base_model_name_or_path="a", inference_mode=True)
    assert len(first) == 32
    assert digest("moved", base_model_name_or_path="/home/b", inference_mode=False) == first
    assert digest("louder", lora_alpha=32) != first
    assert digest("trained", b"further") != first
