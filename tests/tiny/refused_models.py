"""Models that no lens can read, and must be refused: a tiny configuration of each."""

from __future__ import annotations

from typing import Any

from tests.tiny.families import BLOCKS, EXPERTS, GROUPED, PADDED, SIZES, VISION, VOCABULARY, D

# Class, config class, options.
REFUSED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "Gemma-3n": (
        "Gemma3nForCausalLM", "Gemma3nTextConfig",
        {**GROUPED, "intermediate_size": [48] * BLOCKS, "hidden_size_per_layer_input": 8, "laurel_rank": 4,
         "vocab_size_per_layer_input": VOCABULARY, "num_kv_shared_layers": 0,
         "activation_sparsity_pattern": [0.0] * BLOCKS, "layer_types": ["full_attention"] * BLOCKS},
    ),
    "DeepSeek-V4": (
        "DeepseekV4ForCausalLM", "DeepseekV4Config",
        {**EXPERTS, "n_routed_experts": 4, "q_lora_rank": 8, "qk_rope_head_dim": 4, "o_lora_rank": 8,
         "index_head_dim": 8, "index_n_heads": 2},
    ),
    "Qwen4-Exp": ("Qwen4ExpForCausalLM", "Qwen4ExpTextConfig", {**EXPERTS, "num_experts": 4}),
    "Inkling-2": ("Inkling2ForCausalLM", "Inkling2TextConfig", {**EXPERTS, "n_routed_experts": 4}),
    "HRM": ("HrmTextForCausalLM", "HrmTextConfig", GROUPED),
    "Reformer": (
        "ReformerModelWithLMHead", "ReformerConfig",
        {"is_decoder": True, "vocab_size": VOCABULARY, "hidden_size": D, "feed_forward_size": 48,
         "attn_layers": ["local"] * BLOCKS, "num_attention_heads": 4, "attention_head_size": 8,
         "axial_pos_embds": False, "max_position_embeddings": 64, "local_attn_chunk_length": 16},
    ),
    "XLM": (
        "XLMWithLMHeadModel", "XLMConfig",
        {"vocab_size": VOCABULARY, "emb_dim": D, "n_layers": BLOCKS, "n_heads": 4,
         "max_position_embeddings": 64},
    ),
    "XLNet": (
        "XLNetLMHeadModel", "XLNetConfig",
        {"vocab_size": VOCABULARY, "d_model": D, "n_layer": BLOCKS, "n_head": 4, "d_inner": 48},
    ),
    "PaliGemma": (
        "PaliGemmaForConditionalGeneration", "PaliGemmaConfig",
        {"text_config": {"model_type": "gemma", **GROUPED}, "projection_dim": D,
         "vision_config": {"model_type": "siglip_vision_model", **VISION}},
    ),
    "BERT": ("BertLMHeadModel", "BertConfig", SIZES),
    "BERT, masked LM": ("BertForMaskedLM", "BertConfig", SIZES),
    "ModernBERT, masked LM": ("ModernBertForMaskedLM", "ModernBertConfig", PADDED),
    "T5": (
        "T5ForConditionalGeneration", "T5Config",
        {"vocab_size": VOCABULARY, "d_model": D, "d_kv": 8, "d_ff": 48, "num_layers": BLOCKS, "num_heads": 4},
    ),
    "ViT": ("ViTForImageClassification", "ViTConfig", VISION),
    "Llama, sequence classifier": ("LlamaForSequenceClassification", "LlamaConfig", PADDED),
    "Llama, no head": ("LlamaModel", "LlamaConfig", SIZES),
}  # fmt: skip
