"""A tiny model with random weights as a GGUF file, and the model that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

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
    import gguf

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


def gguf_in(file: Path) -> Any:
    """Write a random Llama with a token for each byte, and return the model that it was made from."""
    from tokenizers import pre_tokenizers

    tokens = ["<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt"]
    model = llama(len(tokens))
    write(file, model, tokens)
    return model
