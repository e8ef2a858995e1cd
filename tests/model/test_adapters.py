"""Models under adapters: their numbers against peft's own merge, their base, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import lenstui
from lenstui import LensError, Model, load, wire
from lenstui.edits.trace_options import TraceOptions
from lenstui.model import adapted
from lenstui.support.errors import message_line
from tests.tiny.adapters import adapter_in, changed, lora, merged, model_in
from tests.tiny.folders import llama_in, neox_in

pytest.importorskip("peft", reason="adapters need peft: pip install 'lenstui[adapters]'")

TEXT = "the cat sat on the mat"


def tensor_bytes(*modules: Any) -> int:
    """Return the bytes that the weights of modules take, each storage counted once."""
    storages = {
        storage.data_ptr(): storage.nbytes()
        for module in modules
        for tensor in (*module.parameters(), *module.buffers())
        for storage in (tensor.untyped_storage(),)
    }
    return sum(storages.values())


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    return llama_in(tmp_path_factory.mktemp("adapters") / "base", byte_tokenizer)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Path:
    return adapter_in(tmp_path_factory.mktemp("adapters") / "lora", base)


@pytest.fixture(scope="module")
def model(base: Path, adapter: Path) -> Model:
    return load(str(base), adapter=str(adapter))


@pytest.fixture(scope="module")
def reference(base: Path, adapter: Path, byte_tokenizer: Any) -> Model:
    """The merged model, which knows nothing of adapters."""
    return wire("merged", merged(adapter, base), byte_tokenizer)


def logits_of(model: Model) -> np.ndarray:
    """The final logits by the model's own forward pass, `[cols, vocabulary]`."""
    ids = torch.tensor([lenstui.encode(model.tokenizer, TEXT).ids])
    with torch.no_grad():
        return model.module(input_ids=ids).logits[0].numpy()


def assert_reads_as(model: Model, reference: Model) -> None:
    """Every row of both has the same numbers, to 1e-5 of probabilities and of the largest logit."""
    ours, theirs = logits_of(model), logits_of(reference)
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())
    found, wanted = (lenstui.read(each, TEXT, top_k=258).lenses["logit"] for each in (model, reference))
    np.testing.assert_allclose(by_token(found), by_token(wanted), atol=1e-5)
    np.testing.assert_allclose(found.kl, wanted.kl, atol=1e-4)


def by_token(cells: Any) -> np.ndarray:
    """Probabilities in the order of token ids, `[rows, cols, vocabulary]`."""
    order = np.argsort(cells.top_ids, axis=-1)
    return np.take_along_axis(cells.top_probs, order, axis=-1)


def configs() -> dict[str, Callable[[], Any]]:
    import peft

    parts = ["q_proj", "v_proj", "down_proj"]
    return {
        "attention and MLP": lambda: lora(target_modules=parts),
        "rank-stabilised": lambda: lora(use_rslora=True),
        "DoRA": lambda: lora(use_dora=True),
        "embedding and head": lambda: lora(target_modules=["q_proj", "embed_tokens", "lm_head"]),
        "whole modules": lambda: lora(target_modules=parts, modules_to_save=["norm", "lm_head"]),
        "IA3": lambda: peft.IA3Config(target_modules=parts, feedforward_modules=["down_proj"]),
        "LoHa": lambda: peft.LoHaConfig(r=4, target_modules=parts),
        "LoKr": lambda: peft.LoKrConfig(r=4, target_modules=parts),
    }


@pytest.mark.parametrize("kind", ["all linear maps", "GPT-NeoX", *configs()])
def test_unmerged_reads_as_merged(kind: str, base: Path, tmp_path: Path, byte_tokenizer: Any) -> None:
    if kind == "GPT-NeoX":
        base = neox_in(tmp_path / "base", byte_tokenizer)
    folder = adapter_in(tmp_path / "adapter", base, configs().get(kind, lora)())
    model = load(str(base), adapter=str(folder))
    assert_reads_as(model, wire("merged", merged(folder, base), byte_tokenizer))
    assert np.abs(logits_of(model) - logits_of(load(str(base)))).max() > 0.1


def test_the_base_is_untouched_and_there_is_no_second_copy(base: Path, adapter: Path, model: Model) -> None:
    assert model.base is not None
    assert model.base.adapter is None
    np.testing.assert_array_equal(logits_of(model.base), logits_of(load(str(base))))
    of_base = tensor_bytes(model.base.module)
    both = tensor_bytes(model.base.module, model.module)
    of_adapter = sum(each.nbytes for each in load_file(adapter / "adapter_model.safetensors").values())
    assert both == of_base + of_adapter
    assert all(each.requires_grad for each in model.base.module.parameters())  # as transformers loads them
    names = {name for name, _ in model.base.module.named_parameters()}
    assert names == {name for name, _ in model_in(base).named_parameters()}


def test_an_error_under_the_adapter_leaves_the_base_as_it_was(model: Model) -> None:
    assert model.base is not None
    before = logits_of(model.base)

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    handle = model.anatomy.blocks[1].register_forward_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="in the middle"):
            lenstui.read(model, TEXT)
    finally:
        handle.remove()
    np.testing.assert_array_equal(logits_of(model.base), before)


def test_embeddings_that_an_adapter_brings_are_not_written_into_the_base(base: Path, tmp_path: Path) -> None:
    folder = adapter_in(tmp_path / "adapter", base, lora(target_modules=["embed_tokens"]))
    file = folder / "adapter_model.safetensors"
    weights = load_file(file)
    (key,) = (name for name in weights if name.endswith("embed_tokens.base_layer.weight"))
    save_file(weights | {key: 2 * weights[key]}, file)
    model = load(str(base), adapter=str(folder))
    assert model.base is not None
    np.testing.assert_array_equal(logits_of(model.base), logits_of(load(str(base))))
    embedding = model.module.get_input_embeddings().weight
    torch.testing.assert_close(embedding, 2 * model.base.module.get_input_embeddings().weight)


def test_a_head_that_an_adapter_brings_whole_is_one_matrix(base: Path, tmp_path: Path) -> None:
    folder = adapter_in(tmp_path / "adapter", base, lora(modules_to_save=["lm_head"]))
    model = load(str(base), adapter=str(folder))
    assert model.head.linear is not None
    (ours,) = (
        weight
        for name, weight in load_file(folder / "adapter_model.safetensors").items()
        if "lm_head" in name
    )
    torch.testing.assert_close(model.head.linear.weight, ours)


# What reads weights, by value


@pytest.mark.parametrize("on", ["blocks", "head"])
def test_contributions_under_an_adapter(
    on: str, model: Model, reference: Model, base: Path, tmp_path: Path, byte_tokenizer: Any
) -> None:
    if on == "head":
        folder = adapter_in(tmp_path / "head", base, lora(target_modules=["o_proj", "lm_head"]))
        model = load(str(base), adapter=str(folder))
        reference = wire("merged", merged(folder, base), byte_tokenizer)
        assert model.head.linear is None  # run as a module
        assert model.unembedding is None
    ours, theirs = (
        lenstui.contributions(each, TEXT, token=5, neurons=True, all_rows=True) for each in (model, reference)
    )
    assert ours.no_heads == theirs.no_heads == (None, None)
    assert ours.no_neurons == theirs.no_neurons == (None, None)
    for name in ("logit", "embedding", "attention", "mlp", "bias", "heads", "sources", "weights"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=2e-4, err_msg=name)
    for found, wanted in zip(ours.neurons, theirs.neurons, strict=True):
        assert found is not None
        assert wanted is not None
        np.testing.assert_allclose(found, wanted, atol=2e-4)
    assert ours.error < 1e-4


@pytest.mark.parametrize("what", ["attn", "mlp", "head"])
def test_traces_under_an_adapter(what: Any, model: Model, reference: Model) -> None:
    options = TraceOptions(what=what, metric="logprob", token=5)
    clean, corrupted = (lenstui.encode(model.tokenizer, text) for text in ("abcdef", "abxdef"))
    traces = [lenstui.trace(each, clean, corrupted, options) for each in (model, reference)]
    np.testing.assert_allclose(traces[0].raw, traces[1].raw, atol=1e-4)


@pytest.mark.parametrize("rule", ["none", "relp"])
def test_a_jacobian_lens_under_an_adapter(rule: Any, model: Model, reference: Model) -> None:
    texts = [f"{number} cats sat on {number} mats, and purred" for number in range(6)]
    options = lenstui.JacobianOptions(n_prompts=4, seq_len=24, skip_first=2, rule=rule)
    ours, theirs = (lenstui.fit_jacobian(each, texts, options) for each in (model, reference))
    for row, matrix in theirs.matrices.items():
        torch.testing.assert_close(ours.matrices[row], matrix, atol=1e-4, rtol=1e-3)


def test_edits_and_generation_under_an_adapter(model: Model, reference: Model) -> None:
    found, wanted = (
        lenstui.edited(each, ["ablate 1.attn @2", "cut 0.1 4<-2"], TEXT) for each in (model, reference)
    )
    ours, theirs = (lenstui.read(each, TEXT).lenses["logit"].entropy for each in (found, wanted))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert found.clean.adapter is model.adapter
    grown = [
        list(lenstui.generate(each, lenstui.encode(each.tokenizer, TEXT).ids, count=6))
        for each in (model, reference)
    ]
    assert grown[0] == grown[1]


# What is refused


def test_a_folder_of_an_adapter_opens_its_base(base: Path, adapter: Path, model: Model) -> None:
    opened = load(str(adapter))
    assert (opened.name, opened.title) == (str(base), f"{base} + {adapter}")
    np.testing.assert_array_equal(logits_of(opened), logits_of(model))


def refused(base: Path, adapter: Path) -> str:
    with pytest.raises(LensError) as caught:
        load(str(base), adapter=str(adapter))
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


def test_an_adapter_for_another_shape(base: Path, tmp_path: Path, byte_tokenizer: Any) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    def of_shape(name: str, **shape: int) -> Path:
        own = json.loads((base / "config.json").read_text())
        LlamaForCausalLM(LlamaConfig(**own | shape)).save_pretrained(tmp_path / name)
        byte_tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    adapter = adapter_in(tmp_path / "lora", base, lora(target_modules=["q_proj"]))
    wide = of_shape("wide", hidden_size=32)
    assert refused(wide, adapter) == message_line(
        f"{adapter} is for another model than {wide}: its model.layers.0.self_attn.q_proj.lora_A is [4, 16], "
        f"and here it would be [4, 32]. It was made for {base}."
    )
    assert "which has no place for 2 of its 4 matrices" in refused(
        of_shape("short", num_hidden_layers=1), adapter
    )
    assert "which needs 2 matrices more than its 4" in refused(of_shape("long", num_hidden_layers=3), adapter)


def test_an_adapter_for_another_family(adapter: Path, tmp_path: Path, byte_tokenizer: Any) -> None:
    other = neox_in(tmp_path / "other", byte_tokenizer)
    message = refused(other, adapter)
    assert "/lora is for another model than /" in message
    assert "/other, which has none of the modules" in message
    assert "down_proj, gate_proj, k_proj, o_proj, …" in message


def test_an_adapter_with_more_tokens(base: Path, adapter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapter, tmp_path / "more")
    file = folder / "adapter_model.safetensors"
    for key in ("model.embed_tokens", "lm_head"):
        weights = load_file(adapter / file.name) | {f"base_model.model.{key}.weight": torch.zeros(260, 16)}
        save_file(weights, file)
        message = refused(base, folder)
        assert f"brings a vocabulary of its own ({key} with 260 rows), and {base} has 258" in message


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "is a PROMPT_TUNING adapter, and those that are read are LoRA,"),
        ({"peft_type": "PREFIX_TUNING"}, "is a PREFIX_TUNING adapter"),
        ({"peft_type": None}, "names no peft_type"),
        ({"task_type": "SEQ_CLS"}, "is an adapter for SEQ_CLS"),
        ({"alora_invocation_tokens": [1, 2]}, "begins at certain tokens"),
        ({"r": "many"}, "does not fit"),
    ],
)
def test_a_configuration_that_is_not_read(
    config: dict[str, Any], line: str, base: Path, adapter: Path, tmp_path: Path
) -> None:
    assert line in refused(base, changed(adapter, tmp_path / "odd", **config))


def test_damaged_files(base: Path, adapter: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(adapter, tmp_path / "damaged")
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert f"{file} is damaged" in refused(base, folder)
    file.rename(folder / "adapter_model.bin")
    assert "has its weights in a pickle (adapter_model.bin)" in refused(base, folder)
    (folder / "adapter_model.bin").unlink()
    assert "has no adapter_model.safetensors" in refused(base, folder)
    (folder / "adapter_config.json").write_text("{")
    assert "adapter_config.json is damaged" in refused(base, folder)
    (folder / "adapter_config.json").unlink()
    assert "is no adapter: the folder of an adapter has an adapter_config.json" in refused(base, folder)
    assert "is a whole model" in refused(base, base)


def test_a_quantised_base_and_one_that_was_put_away(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model.base is not None
    assert model.adapter is not None
    monkeypatch.setattr(model.base.module, "is_quantized", True, raising=False)
    with pytest.raises(LensError, match="needs plain weights, and those of base are quantised"):
        adapted.check_base(model.base.module, model.adapter, "base")
    monkeypatch.undo()
    with torch.device("meta"):
        away = type(model.base.module)(model.base.module.config)
    with pytest.raises(LensError, match="leave --device-map out"):
        adapted.check_base(away, model.adapter, "base")


def test_without_peft(base: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapted, "find_spec", lambda name: None)
    assert refused(base, adapter) == "An adapter needs peft: pip install 'lenstui[adapters]'."


def test_a_whole_model_beside_an_adapter_in_one_folder(base: Path, adapter: Path, tmp_path: Path) -> None:
    both = shutil.copytree(base, tmp_path / "both")
    shutil.copytree(adapter, both, dirs_exist_ok=True)
    with pytest.raises(LensError, match="holds a whole model and an adapter"):
        load(str(both))


def test_a_base_that_is_not_here(adapter: Path, tmp_path: Path) -> None:
    folder = changed(adapter, tmp_path / "lost", base_model_name_or_path="/nowhere/model")
    with pytest.raises(LensError, match=r"The base of .*lost: No such folder: /nowhere/model; --model MODEL"):
        load(str(folder))
    folder = changed(adapter, tmp_path / "nameless", base_model_name_or_path=None)
    with pytest.raises(LensError, match="does not say which model it is for"):
        load(str(folder))
