"""One tiny random model per family, and its logit lens written out by hand from its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from naive import Weights
from torch import Tensor

BLOCKS, D, VOCABULARY = 3, 32, 272  # the vocabulary is padded: the byte tokenizer has 258 entries

Logits = Callable[[Weights, Tensor], Tensor]  # of a hidden state `[..., d]`, before the final norm

# What most families call the sizes, and what the GPT-2 line calls them.
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": D, "intermediate_size": 48, "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
GPT2_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "n_embd": D, "n_layer": BLOCKS, "n_head": 4, "n_positions": 64,
    "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
OPT_SIZES = {**SIZES, "ffn_dim": 48}
GROUPED = {**SIZES, "num_key_value_heads": 2, "head_dim": 8}
VISION = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip


def layer_norm(h: Tensor, weight: Tensor, bias: Tensor | float = 0.0, eps: float = 1e-5) -> Tensor:
    centred = h - h.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * weight + bias


def rms_norm(h: Tensor, weight: Tensor, eps: float = 1e-6) -> Tensor:
    return h / (h.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def capped(logits: Tensor, cap: float) -> Tensor:
    return cap * (logits / cap).tanh()


@dataclass(frozen=True)
class Family:
    """A tiny model and what is known of it.

    Attributes:
        config: of transformers.
        h_last: the module whose input is `h_L`; `…:output` where it is a module's output.
        logits: `head(final_norm(h))`, by hand.
        head: scale and softcap of the head as one matrix; None where it is not one.
    """

    config: hf.PreTrainedConfig
    h_last: str
    logits: Logits
    head: tuple[float, float | None] | None = (1.0, None)


def neox_logits(p: Weights, h: Tensor) -> Tensor:
    norm = "gpt_neox.final_layer_norm"
    return layer_norm(h, p[f"{norm}.weight"], p[f"{norm}.bias"]) @ p["lm_head.weight"].T


def llama_logits(p: Weights, h: Tensor) -> Tensor:
    return rms_norm(h, p["model.norm.weight"]) @ p["lm_head.weight"].T


def gemma_logits(p: Weights, h: Tensor) -> Tensor:
    return rms_norm(h, 1 + p["model.norm.weight"]) @ p["lm_head.weight"].T


def opt_logits(p: Weights, h: Tensor) -> Tensor:
    norm = "model.decoder.final_layer_norm"
    return layer_norm(h, p[f"{norm}.weight"], p[f"{norm}.bias"]) @ p["lm_head.weight"].T


FAMILIES: dict[str, Family] = {
    "GPT-NeoX": Family(
        hf.GPTNeoXConfig(**SIZES, use_parallel_residual=True), "gpt_neox.final_layer_norm", neox_logits
    ),
    "GPT-NeoX sequential": Family(
        hf.GPTNeoXConfig(**SIZES, use_parallel_residual=False), "gpt_neox.final_layer_norm", neox_logits
    ),
    "GPT-2": Family(
        hf.GPT2Config(**GPT2_SIZES),
        "transformer.ln_f",
        lambda p, h: (
            layer_norm(h, p["transformer.ln_f.weight"], p["transformer.ln_f.bias"]) @ p["lm_head.weight"].T
        ),
    ),
    "GPT-J": Family(
        hf.GPTJConfig(**GPT2_SIZES, rotary_dim=4),
        "transformer.ln_f",
        lambda p, h: (
            layer_norm(h, p["transformer.ln_f.weight"], p["transformer.ln_f.bias"]) @ p["lm_head.weight"].T
            + p["lm_head.bias"]
        ),
    ),
    "Llama": Family(hf.LlamaConfig(**SIZES), "model.norm", llama_logits),
    "Mistral": Family(hf.MistralConfig(**GROUPED), "model.norm", llama_logits),
    "Qwen2": Family(hf.Qwen2Config(**SIZES, num_key_value_heads=2), "model.norm", llama_logits),
    "Qwen3": Family(hf.Qwen3Config(**GROUPED), "model.norm", llama_logits),
    "Gemma": Family(hf.GemmaConfig(**GROUPED), "model.norm", gemma_logits),
    "Gemma-2": Family(
        hf.Gemma2Config(**GROUPED, final_logit_softcapping=3.0),
        "model.norm",
        lambda p, h: capped(gemma_logits(p, h), 3.0),
        head=(1.0, 3.0),
    ),
    "Gemma-3": Family(hf.Gemma3TextConfig(**GROUPED), "model.norm", gemma_logits),
    "Gemma-3 multimodal": Family(
        hf.Gemma3Config(text_config={**GROUPED}, vision_config=VISION),
        "model.language_model.norm",
        lambda p, h: (
            rms_norm(h, 1 + p["model.language_model.norm.weight"])
            @ p["model.language_model.embed_tokens.weight"].T
        ),
    ),
    "Cohere": Family(
        hf.CohereConfig(**SIZES, logit_scale=0.2),
        "model.norm",
        lambda p, h: 0.2 * layer_norm(h, p["model.norm.weight"]) @ p["lm_head.weight"].T,
        head=(0.2, None),
    ),
    "Granite": Family(
        hf.GraniteConfig(**SIZES, logits_scaling=8.0, embedding_multiplier=12.0, residual_multiplier=0.2),
        "model.norm",
        lambda p, h: llama_logits(p, h) / 8.0,
        head=(1 / 8.0, None),
    ),
    "OPT": Family(
        hf.OPTConfig(**OPT_SIZES, word_embed_proj_dim=D), "model.decoder.final_layer_norm", opt_logits
    ),
    "OPT-350m": Family(  # no final norm, and a projection to a narrower embedding before the head
        hf.OPTConfig(**OPT_SIZES, word_embed_proj_dim=16, do_layer_norm_before=False),
        f"model.decoder.layers.{BLOCKS - 1}:output",
        lambda p, h: h @ p["model.decoder.project_out.weight"].T @ p["lm_head.weight"].T,
        head=None,
    ),
    "Phi": Family(
        hf.PhiConfig(**SIZES),
        "model.final_layernorm",
        lambda p, h: (
            layer_norm(h, p["model.final_layernorm.weight"], p["model.final_layernorm.bias"])
            @ p["lm_head.weight"].T
            + p["lm_head.bias"]
        ),
    ),
}  # fmt: skip


def random_model(config: hf.PreTrainedConfig, seed: int = 0, model_class: Any = None) -> Any:
    """A causal LM with random numbers everywhere: a norm's weight is not 1 here, and no bias is 0."""
    torch.manual_seed(seed)
    model = hf.AutoModelForCausalLM.from_config(config) if model_class is None else model_class(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.5 if parameter.ndim == 1 else 0.3))
    return model.eval()
