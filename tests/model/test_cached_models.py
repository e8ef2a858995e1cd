"""The Hugging Face cache as huggingface_hub lays it out, in a temporary folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from lenstui.model.cache import cached_models, cached_revisions, partial_models
from lenstui.model.size import ModelSize, model_size


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub").mkdir()
    return tmp_path / "hub"


def lay_out(
    cache: Path, name: str, revisions: dict[str, str], *, whole: bool = True, used: float = 1e9
) -> None:
    """One repository; `revisions` are refs and the commits that they name."""
    repository = cache / f"models--{name.replace('/', '--')}"
    for ref, commit in revisions.items():
        snapshot = repository / "snapshots" / commit
        snapshot.mkdir(parents=True, exist_ok=True)
        (snapshot / "config.json").write_text(json.dumps({"model_type": "llama"}))
        blob = repository / "blobs" / commit
        blob.parent.mkdir(exist_ok=True)
        weights = {"a": torch.zeros(3, 5, dtype=torch.bfloat16), "b": torch.zeros(7)}
        if whole:
            save_file(weights, blob, metadata={"format": "pt"})
        (snapshot / "model.safetensors").symlink_to(blob)
        for file in (snapshot / "config.json", blob):
            if file.exists():
                os.utime(file, (used, used))
        (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
        (repository / "refs" / ref).write_text(commit)


def test_what_is_in_the_cache(cache: Path) -> None:
    lay_out(cache, "EleutherAI/pythia-14m", {"main": "aa", "step10": "bb", "step9": "cc"}, used=1e9)
    lay_out(cache, "gpt2", {"main": "dd"}, used=2e9)
    lay_out(cache, "half/downloaded", {"main": "ee"}, whole=False)
    (cache / "models--no--config" / "snapshots" / "ff").mkdir(parents=True)
    (cache / "datasets--some--thing").mkdir()
    (cache / "version.txt").write_text("1")

    (cache / "models--just--begun" / "blobs").mkdir(parents=True)
    (cache / "models--just--begun" / "blobs" / "ab.incomplete").touch()

    models = cached_models()
    assert partial_models({model.name for model in models}) == ["half/downloaded", "just/begun"]
    pythia = models[1]
    assert [model.name for model in models] == ["gpt2", "EleutherAI/pythia-14m"]
    assert pythia.family == "llama"
    assert pythia.revisions == ("step9", "step10", "main")
    assert pythia.place == cache / "models--EleutherAI--pythia-14m" / "snapshots" / "aa"
    assert (pythia.size.parameters, pythia.size.stored) == (22, 15 * 2 + 7 * 4)
    assert pythia.size.in_memory("float32") == 88
    assert pythia.size.in_memory("bfloat16") == 44
    assert pythia.size.in_memory("auto") == 58


def test_a_commit_that_nothing_names(cache: Path) -> None:
    lay_out(cache, "a/b", {"step1": "aa"})
    (cache / "models--a--b" / "refs" / "step1").unlink()
    assert [(model.name, model.revisions) for model in cached_models()] == [("a/b", ())]
    assert cached_revisions("a/b") == ()


def test_no_cache_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(cache / "nothing"))
    assert cached_models() == []
    assert cached_revisions("a/b") == ()


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 4, b"\xff" * 16, b"\x02" + b"\x00" * 7 + b"[]", b"\x0a" + b"\x00" * 7 + b'{"a": {}}\n'],
)
def test_damaged_weights_are_of_unknown_size(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert model_size(tmp_path) == ModelSize(None, 0, len(content))
    assert model_size(tmp_path).in_memory("float32") is None


def test_pickles_and_gguf_files_do_not_say(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"12345")
    (tmp_path / "x.gguf").write_bytes(b"123")
    assert model_size(tmp_path) == ModelSize(None, 0, 5)
    assert model_size(tmp_path / "x.gguf") == ModelSize(None, 0, 3)


def test_the_models_that_are_here(shared: Path) -> None:
    from lenstui.lens import load

    folder = shared / "models" / "stories260K"
    model = load(str(folder))
    unique = {id(parameter): parameter.numel() for parameter in model.module.parameters()}
    assert model_size(folder).parameters == sum(unique.values())
