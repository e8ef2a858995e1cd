"""GGUF files: a tiny model written as one, read back, and compared by value with what it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens import load, read
from lenstui.model.gguf import check_gguf
from lenstui.model.hub import find_local, resolve
from lenstui.support.errors import LensError

gguf = pytest.importorskip("gguf", reason="the extra `gguf` is not installed")
pytest.importorskip("accelerate", reason="the extra `gguf` is not installed")

HEADS, D = 4, 64


def llama(vocabulary: int) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=D,
        num_hidden_layers=2,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        intermediate_size=96,
        max_position_embeddings=128,
        initializer_range=0.3,
        tie_word_embeddings=False,
    )
    return LlamaForCausalLM(config).eval()


def rotated(weight: torch.Tensor) -> torch.Tensor:
    """Rows of a query or key matrix as llama.cpp orders them: the two halves of a head interleaved."""
    return weight.view(HEADS, 2, D // HEADS // 2, D).transpose(1, 2).reshape(D, D)


def write(file: Path, model: Any, tokens: list[str]) -> None:
    config = model.config
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("tiny")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(D)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(D // HEADS)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    names = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    weights = {
        "token_embd": model.model.embed_tokens,
        "output_norm": model.model.norm,
        "output": model.lm_head,
    }
    for number, block in enumerate(model.model.layers):
        for name, short in names.items():
            weights[f"blk.{number}.{short}"] = block.get_submodule(name)
    for name, module in weights.items():
        weight = module.weight.detach()
        weight = rotated(weight) if name.endswith(("attn_q", "attn_k")) else weight
        writer.add_tensor(f"{name}.weight", np.ascontiguousarray(weight.numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    from tokenizers import pre_tokenizers

    tokens = ["<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt"]
    model = llama(len(tokens))
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write(file, model, tokens)
    return file, model


def test_a_gguf_file_is_read_as_what_it_was_made_from(made: tuple[Path, Any], capfd: Any) -> None:
    file, original = made
    model = load(str(file))
    assert capfd.readouterr().err == ""  # no bar is drawn across the screen
    assert (model.num_blocks, model.d_model, model.vocabulary, model.context) == (2, D, 259, 128)
    readout = read(model, "to the top", top_k=5)
    ids = torch.tensor([readout.prompt.ids])
    with torch.inference_mode():
        logits = original(ids).logits[0]
    best = logits.topk(5)
    cells = readout.lenses["logit"]
    np.testing.assert_array_equal(cells.top_ids[-1], best.indices)
    np.testing.assert_allclose(cells.top_logits[-1], best.values, rtol=1e-4, atol=1e-4)
    assert model.texts.join(readout.prompt.ids).endswith("to the top")


def test_a_folder_with_one_gguf_file_is_that_file(made: tuple[Path, Any]) -> None:
    file, _ = made
    assert resolve(str(file.parent)) == file
    assert find_local(str(file)) == file


def test_what_is_refused(made: tuple[Path, Any], tmp_path: Path) -> None:
    file, _ = made
    with pytest.raises(LensError, match="has no revision v1"):
        resolve(str(file), "v1")
    (tmp_path / "a.gguf").write_bytes(file.read_bytes()[:4096])
    with pytest.raises(LensError, match=r"is not understood|damaged"):
        load(str(tmp_path / "a.gguf"))
    (tmp_path / "b.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(LensError, match=r"b\.gguf is no GGUF file"):
        resolve(str(tmp_path / "b.gguf"))
    with pytest.raises(LensError, match=r"holds 2 GGUF files: name one of them \(a\.gguf, b\.gguf\)"):
        resolve(str(tmp_path))


def test_without_the_packages(made: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.model.gguf.find_spec", lambda name: None)
    with pytest.raises(LensError, match=r"need gguf and accelerate: pip install 'lenstui\[gguf\]'"):
        check_gguf(made[0])
