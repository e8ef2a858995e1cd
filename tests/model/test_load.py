"""load() from a folder: what it reads, and one clear line for everything that can be wrong with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from lenstui.lens import LensError, Model, load, read
from lenstui.model.device import pick_device, pick_dtype
from tests.tiny.families import FAMILIES, SIZES, random_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A good folder, with weights in bfloat16. Not to be changed."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    random_model(hf.LlamaConfig(**SIZES)).bfloat16().save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(saved, tmp_path / "tiny-llama")


def refusal(name: object, **options: Any) -> str:
    """The one line with which `load` refuses."""
    with pytest.raises(LensError) as caught:
        load(str(name), **{"device": "cpu", **options})
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def change_config(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not ...}))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


# What is right


def test_a_folder_loads(saved: Path) -> None:
    stages: list[str] = []
    model = load(str(saved), device="cpu", on_stage=stages.append)
    assert (model.name, model.revision) == (str(saved), None)
    assert (model.num_blocks, model.d_model, model.vocabulary, model.context) == (3, 32, 272, 64)
    assert (model.device, model.dtype_name) == (torch.device("cpu"), "float32")  # auto, on the CPU
    assert not model.module.training
    assert all(check.ok for check in model.wiring)
    assert [stage.split()[0] for stage in stages] == ["looking", "reading", "reading", "reading", "checking"]
    original = hf.AutoModelForCausalLM.from_pretrained(saved, dtype=torch.float32)
    ids = torch.tensor([model.tokenizer("Hello")["input_ids"]])
    with torch.no_grad():
        top = original(ids).logits[0].argmax(-1)
    assert read(model, "Hello").lenses["logit"].top_ids[-1, :, 0].tolist() == top.tolist()


def test_a_dtype_that_is_asked_for_is_used(saved: Path) -> None:
    assert load(str(saved), device="cpu", dtype="bfloat16").dtype == torch.bfloat16


def test_weights_that_are_replaced_while_a_model_is_open_are_those_of_the_next(folder: Path) -> None:
    def top(model: Model) -> Any:
        return read(model, "Hello").lenses["logit"].top_ids[-1, :, 0].tolist()

    model = load(str(folder), device="cpu", dtype="bfloat16")  # as in the file, so that it is mapped
    before, file = top(model), folder / "model.safetensors"
    save_file({name: -weight for name, weight in load_file(file).items()}, folder / "new", {"format": "pt"})
    (folder / "new").replace(file)
    assert top(model) == before
    assert top(load(str(folder), device="cpu", dtype="bfloat16")) != before


def test_a_folder_may_go_by_another_name(saved: Path) -> None:
    assert load("bundled model", folder=saved, device="cpu").name == "bundled model"


def test_weights_as_a_pickle_load_too(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert load(str(folder), device="cpu").num_blocks == 3


def test_a_tied_head_is_not_a_missing_one(tmp_path: Path, byte_tokenizer: Any) -> None:
    random_model(FAMILIES["GPT-2"].config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    assert load(str(tmp_path), device="cpu").head.linear is not None


# What is wrong with the folder


def test_no_folder(tmp_path: Path) -> None:
    assert "No such folder" in refusal(tmp_path / "nowhere")


def test_no_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "has no config.json: it is not the folder of a model" in refusal(folder)
    assert "has no config.json" in refusal("known already", folder=folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.json cannot be read"),
        ("{", "config.json cannot be read"),
        ("\udcff", "config.json cannot be read"),
        ("[]", "names no model_type"),
        ("{}", "names no model_type"),
        ('"llama"', "names no model_type"),
    ],
)
def test_a_configuration_that_is_none(folder: Path, text: str, message: str) -> None:
    (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
    assert message in refusal(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "llama_9000"}, "kind, llama_9000. Try a newer one"),
        ({"model_type": 7}, "names no model_type"),
        ({"model_type": ["llama"]}, "names no model_type"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "no causal LM (LlamaForSequenceClassification)",
        ),
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "no causal LM (BertForMaskedLM)"),
        ({"architectures": ["ViTModel"], "model_type": "vit"}, "no causal LM (ViTModel)"),
        (
            {"model_type": "acme", "auto_map": {"AutoModelForCausalLM": "a.B"}},
            "needs Python code of its own (acme): that would run with all your rights. "
            "If you trust it, add --trust-remote-code",
        ),
        ({"architectures": ["CLIPModel"], "model_type": "clip"}, "no causal LM (CLIPModel)"),
        ({"architectures": ["GPT2ForTokenClassification"], "model_type": "gpt2"}, "no causal LM (GPT2For"),
        ({"hidden_size": "wide"}, "is damaged: hidden_size is no whole number"),
        ({"num_attention_heads": 5}, "is not understood"),
        ({"num_key_value_heads": 0}, "is damaged: num_key_value_heads is no whole number from 1 on."),
    ],
)
def test_a_configuration_of_something_else(folder: Path, values: dict[str, Any], message: str) -> None:
    change_config(folder, **values)
    assert message in refusal(folder)


def test_an_encoder_decoder(folder: Path) -> None:
    hf.T5Config().save_pretrained(folder)
    change_config(folder, architectures=["T5ForConditionalGeneration"])
    assert "is an encoder-decoder (t5)" in refusal(folder)


# What is wrong with the weights


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "no weights" in refusal(folder)


@pytest.mark.parametrize("keep", [0, 4, 100, 20_000])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    assert path.stat().st_size > keep
    path.write_bytes(path.read_bytes()[:keep])
    message = refusal(folder)
    assert "weights" in message
    assert "damaged" in message or "no weights" in message


def test_a_shard_that_was_not_downloaded(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    shards = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for shard, part in shards.items():
        save_file({name: weights[name] for name in part}, folder / shard, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: shard for shard, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert load(str(folder), device="cpu").num_blocks == 3
    (folder / "model-00002-of-00002.safetensors").unlink()
    message = refusal(folder)
    assert "model-00002-of-00002.safetensors" in message
    assert "The weights in" in message


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ({"weight_map": {}}, 'index.json has no table metadata: put "metadata": {} into it.'),
        ({"metadata": {}}, "index.json has no table weight_map: fetch it again."),
        ([], "index.json has no table weight_map: fetch it again."),
    ],
)
def test_a_list_of_shards_that_lacks_a_table(folder: Path, index: object, said: str) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert load(str(folder), device="cpu").num_blocks == 3  # nobody reads it
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    assert refusal(folder).endswith(said)


def test_a_pickle_that_is_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"hello")
    assert "damaged" in refusal(folder)


def test_missing_weights(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.pop("model.norm.weight"))
    assert "1 weights are missing or of the wrong shape (model.norm.weight" in refusal(folder)


def test_weights_of_the_wrong_shape(folder: Path) -> None:
    change_weights(folder, lambda weights: weights.update({"lm_head.weight": torch.zeros(100, 32)}))
    assert "1 weights are missing or of the wrong shape (lm_head.weight" in refusal(folder)


def test_more_blocks_than_there_are_weights_for(folder: Path) -> None:
    change_config(folder, num_hidden_layers=4)
    assert "model.layers.3." in refusal(folder)


def test_weights_that_are_no_numbers(folder: Path) -> None:
    change_weights(folder, lambda weights: weights["model.norm.weight"].fill_(float("nan")))
    assert "Wiring check failed" in refusal(folder)


def test_no_tokenizer(folder: Path) -> None:
    for file in folder.glob("*tokenizer*"):
        file.unlink()
    assert f"{folder} has no tokenizer (tokenizer.json" in refusal(folder)


def test_no_tokenizer_where_transformers_would_make_an_empty_one(tmp_path: Path) -> None:
    random_model(hf.GPT2Config(n_embd=32, n_layer=2, n_head=2, vocab_size=300)).save_pretrained(tmp_path)
    assert "has no tokenizer" in refusal(tmp_path)


def test_a_damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"')
    message = refusal(folder)
    assert message.startswith(f"The tokenizer in {folder} cannot be read: ")
    assert not message.endswith((":", ": ", ":."))


# Devices and dtypes


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "", "cpu:0:1"])
def test_an_unknown_device(saved: Path, device: str) -> None:
    message = refusal(saved, device=device)
    assert f"Unknown device {device!r}" in message
    assert "auto, cpu, cuda" in message


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_device_that_is_not_here(saved: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    message = refusal(saved, device=device)
    assert f"There is no {device} " in message
    assert "Use --device auto or cpu" in message


def test_one_cuda_device_is_not_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert pick_device("auto") == pick_device("cuda") == pick_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(LensError, match="There is no cuda:1 here"):
        pick_device("cuda:1")


def test_auto_is_the_cpu_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert pick_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("dtype", ["int8", "float64", "fp16", ""])
def test_an_unknown_dtype(saved: Path, dtype: str) -> None:
    message = refusal(saved, dtype=dtype)
    assert f"Unknown dtype {dtype!r}" in message
    assert "float32, bfloat16, float16" in message


def test_auto_dtype_is_the_checkpoints_own_on_an_accelerator() -> None:
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("auto", torch.device("cuda", 0)) == "auto"
    assert pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
