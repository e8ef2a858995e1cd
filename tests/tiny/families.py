"""The families: a tiny configuration of each, and what its source says of its final norm, head and blocks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.by_hand.naive import Weights
from tests.tiny.family import BLOCKS, Family, layer_norm, random_model, rms_norm

__all__ = ["BLOCKS", "FAMILIES", "Family", "random_model", "rms_norm"]

D, VOCABULARY = 32, 272  # the vocabulary is padded: the byte tokenizer has 258 entries

# What most families call the sizes, and what the GPT-2 line calls them.
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": D, "intermediate_size": 48, "num_hidden_layers": BLOCKS,
    "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
GPT2_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "n_embd": D, "n_layer": BLOCKS, "n_head": 4, "n_positions": 64,
    "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
PADDED = {**SIZES, "pad_token_id": 1}
HEADS_OF_8 = {**PADDED, "head_dim": 8}
GROUPED = {**HEADS_OF_8, "num_key_value_heads": 2}
OPT_SIZES = {**SIZES, "ffn_dim": 48}
DECODER = {
    "vocab_size": VOCABULARY, "d_model": D, "decoder_layers": BLOCKS, "decoder_attention_heads": 4,
    "decoder_ffn_dim": 48, "max_position_embeddings": 64, "is_decoder": True, "is_encoder_decoder": False,
}  # fmt: skip
EXPERTS = {**GROUPED, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
LATENT = {  # multi-head latent attention
    **PADDED, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4,
    "v_head_dim": 8,
}  # fmt: skip
LATENT_EXPERTS = {
    **LATENT, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1,
    "topk_group": 1, "first_k_dense_replace": 1,
}  # fmt: skip
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8}
LINEAR_ATTENTION = {
    "linear_num_value_heads": 4, "linear_num_key_heads": 4, "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "layer_types": ["linear_attention", "linear_attention", "full_attention"],
}  # fmt: skip
VISION = {
    "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
QWEN_VISION = {
    "depth": 1, "hidden_size": 16, "out_hidden_size": D, "num_heads": 2, "intermediate_size": 16,
}  # fmt: skip
GPT2: dict[str, Any] = {"norm": "transformer.ln_f", "kind": "layer", "blocks": "transformer.h", "eps": 1e-5}
NEOX: dict[str, Any] = {
    "norm": "gpt_neox.final_layer_norm",
    "kind": "layer",
    "blocks": "gpt_neox.layers",
    "eps": 1e-5,
}
IN_BACKBONE: dict[str, Any] = {"norm": "backbone.norm_f", "blocks": "backbone.layers", "eps": 1e-5}
OPT: dict[str, Any] = {
    "norm": "model.decoder.final_layer_norm",
    "kind": "layer",
    "blocks": "model.decoder.layers",
    "eps": 1e-5,
}
LAYER: dict[str, Any] = {"kind": "layer", "eps": 1e-5}
WRAPPED: dict[str, Any] = {"norm": "model.language_model.norm", "blocks": "model.language_model.layers"}
ROPE_3D = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
GEMMA: dict[str, Any] = {"kind": "rms, 1 + w"}


def projected(p: Weights, h: Tensor) -> Tensor:
    """OPT-350m: no final norm, and a projection to a narrower embedding before the head."""
    return h @ p["model.decoder.project_out.weight"].T @ p["lm_head.weight"].T


def modernbert(p: Weights, h: Tensor) -> Tensor:
    x = layer_norm(h, p["model.final_norm.weight"])
    x = layer_norm(torch.nn.functional.gelu(x @ p["lm_head.dense.weight"].T), p["lm_head.norm.weight"])
    return x @ p["decoder.weight"].T + p["decoder.bias"]


def bert(p: Weights, h: Tensor) -> Tensor:
    head = "cls.predictions"
    x = h @ p[f"{head}.transform.dense.weight"].T + p[f"{head}.transform.dense.bias"]
    norm = f"{head}.transform.LayerNorm"
    x = layer_norm(torch.nn.functional.gelu(x), p[f"{norm}.weight"], p[f"{norm}.bias"], 1e-12)
    return x @ p[f"{head}.decoder.weight"].T + p[f"{head}.decoder.bias"]


FAMILIES: dict[str, Family] = {
    # GPT-2 and its kin: LayerNorm, learned or rotary positions
    "GPT-2": Family("GPT2Config", GPT2_SIZES, **GPT2),
    "GPT-Neo": Family(
        "GPTNeoConfig",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_layers": BLOCKS, "num_heads": 4, "bos_token_id": 0,
         "attention_types": [[["global", "local", "global"], 1]], "max_position_embeddings": 64},
        **GPT2,
    ),
    "GPT-J": Family("GPTJConfig", {**GPT2_SIZES, "rotary_dim": 4}, **GPT2, bias=True, mid=False),
    "CodeGen": Family("CodeGenConfig", {**GPT2_SIZES, "rotary_dim": 4}, **GPT2, bias=True, mid=False),
    "GPT-BigCode": Family("GPTBigCodeConfig", GPT2_SIZES, **GPT2),
    "GPT-1": Family(
        "OpenAIGPTConfig", {**GPT2_SIZES, "afn": "gelu"}, norm=None, blocks="transformer.h", mid=None
    ),
    "CTRL": Family(
        "CTRLConfig", {**GPT2_SIZES, "dff": 48}, norm="transformer.layernorm", blocks="transformer.h",
        kind="layer", bias=True,
    ),
    "GPT-NeoX": Family("GPTNeoXConfig", {**SIZES, "use_parallel_residual": True}, **NEOX, mid=False),
    "GPT-NeoX sequential": Family("GPTNeoXConfig", {**SIZES, "use_parallel_residual": False}, **NEOX),
    "GPT-NeoX Japanese": Family(
        "GPTNeoXJapaneseConfig", SIZES, norm="gpt_neox_japanese.final_layer_norm", kind="layer", eps=1e-5,
        blocks="gpt_neox_japanese.layers", unembedding="embed_out.weight",
        mid=None,
    ),
    "OPT": Family("OPTConfig", {**OPT_SIZES, "word_embed_proj_dim": D}, **OPT),
    "OPT-350m": Family(
        "OPTConfig", {**OPT_SIZES, "word_embed_proj_dim": 16, "do_layer_norm_before": False}, norm=None,
        blocks="model.decoder.layers", by_hand=projected, mid=None,
    ),
    "BioGPT": Family(
        "BioGptConfig", PADDED, norm="biogpt.layer_norm", blocks="biogpt.layers",
        unembedding="output_projection.weight", **LAYER,
    ),
    "XGLM": Family(
        "XGLMConfig", {"vocab_size": VOCABULARY, "d_model": D, "num_layers": BLOCKS, "attention_heads": 4,
                       "ffn_dim": 48, "max_position_embeddings": 64},
        norm="model.layer_norm", **LAYER,
    ),
    "BLOOM": Family(
        "BloomConfig", {"vocab_size": VOCABULARY, "hidden_size": D, "n_layer": BLOCKS, "n_head": 4}, **GPT2
    ),
    "Falcon": Family("FalconConfig", {**SIZES, "parallel_attn": True}, **GPT2, mid=False),
    "Falcon sequential": Family(
        "FalconConfig", {**SIZES, "parallel_attn": False, "bias": True, "alibi": True}, **GPT2
    ),
    "Falcon new decoder": Family(
        "FalconConfig", {**SIZES, "new_decoder_architecture": True, "num_kv_heads": 2}, **GPT2, mid=False
    ),
    "MPT": Family(
        "MptConfig",
        {"vocab_size": VOCABULARY, "d_model": D, "n_layers": BLOCKS, "n_heads": 4, "max_seq_len": 64},
        norm="transformer.norm_f", blocks="transformer.blocks", **LAYER,
    ),
    "Phi": Family("PhiConfig", SIZES, norm="model.final_layernorm", **LAYER, bias=True, mid=False),
    "StableLM": Family("StableLmConfig", {**GROUPED, "use_parallel_residual": False}, **LAYER),
    "StableLM parallel": Family(
        "StableLmConfig", {**GROUPED, "use_parallel_residual": True}, **LAYER, mid=False
    ),
    "Persimmon": Family("PersimmonConfig", SIZES, norm="model.final_layernorm", **LAYER),
    "Starcoder2": Family("Starcoder2Config", {**SIZES, "num_key_value_heads": 2}, **LAYER),
    "Nemotron": Family("NemotronConfig", GROUPED, kind="layer, 1 + w", eps=1e-5),
    "OLMo": Family("OlmoConfig", SIZES, kind="layer, no weight", eps=1e-5),
    "Jais-2": Family("Jais2Config", GROUPED, **LAYER),
    "Cohere": Family("CohereConfig", {**SIZES, "logit_scale": 0.2}, **LAYER, scale=0.2, mid=False),
    "Cohere-2": Family("Cohere2Config", {**SIZES, "logit_scale": 0.2}, **LAYER, scale=0.2, mid=False),
    "DBRX": Family(
        "DbrxConfig",
        {"vocab_size": VOCABULARY, "d_model": D, "n_heads": 4, "n_layers": BLOCKS, "max_seq_len": 64,
         "attn_config": {"kv_n_heads": 2, "rope_theta": 10000.0, "clip_qkv": 8},
         "ffn_config": {"hidden_size": D, "ffn_hidden_size": 48, "moe_top_k": 2}},
        norm="transformer.norm_f", blocks="transformer.blocks", **LAYER,
    ),
    "ModernBERT decoder": Family(
        "ModernBertDecoderConfig", PADDED, norm="model.final_norm", by_hand=modernbert, kind="layer"
    ),
    "BERT decoder": Family(
        "BertConfig", {**SIZES, "is_decoder": True}, norm=None, blocks="bert.encoder.layer", by_hand=bert,
        mid=None,
    ),
    "BART decoder": Family("BartConfig", DECODER, norm=None, blocks="model.decoder.layers", mid=None),
    "Whisper decoder": Family(
        "WhisperConfig", {**DECODER, "max_target_positions": 64, "pad_token_id": 1},
        norm="model.decoder.layer_norm", blocks="model.decoder.layers", unembedding="proj_out.weight",
        **LAYER,
    ),
    # Llama and its kin: RMSNorm
    "Llama": Family("LlamaConfig", SIZES),
    "Mistral": Family("MistralConfig", GROUPED),
    "Ministral": Family("MinistralConfig", GROUPED),
    "Ministral-3": Family("Ministral3Config", GROUPED, eps=1e-5),
    "Mixtral": Family("MixtralConfig", {**GROUPED, "num_local_experts": 4}, eps=1e-5),
    "Qwen2": Family("Qwen2Config", {**SIZES, "num_key_value_heads": 2}),
    "Qwen3": Family("Qwen3Config", GROUPED),
    "Qwen2-MoE": Family(
        "Qwen2MoeConfig", {**EXPERTS, "num_experts": 4, "shared_expert_intermediate_size": 16}
    ),
    "Qwen3-MoE": Family("Qwen3MoeConfig", {**EXPERTS, "num_experts": 4}),
    "Qwen3-Next": Family(
        "Qwen3NextConfig",
        {**EXPERTS, **LINEAR_ATTENTION, "num_experts": 4, "shared_expert_intermediate_size": 16},
        **GEMMA,
    ),
    "Qwen3.5": Family("Qwen3_5TextConfig", {**GROUPED, **LINEAR_ATTENTION}, **GEMMA),
    "Phi-3": Family("Phi3Config", PADDED, eps=1e-5),
    "Phi-3.5-MoE": Family(
        "PhimoeConfig", {**GROUPED, "num_local_experts": 4, "lm_head_bias": True}, **LAYER, bias=True
    ),
    "Gemma": Family("GemmaConfig", GROUPED, **GEMMA),
    "Gemma-2": Family(
        "Gemma2Config", {**GROUPED, "final_logit_softcapping": 3.0}, **GEMMA, softcap=3.0
    ),
    "VaultGemma": Family(
        "VaultGemmaConfig", {**GROUPED, "final_logit_softcapping": 3.0}, **GEMMA, softcap=3.0
    ),
    "Gemma-3": Family("Gemma3TextConfig", GROUPED, **GEMMA),
    "Gemma-3 multimodal": Family(
        "Gemma3Config", {"text_config": {**GROUPED}, "vision_config": VISION},
        norm="model.language_model.norm", blocks="model.language_model.layers", **GEMMA,
    ),
    "Gemma-4": Family(
        "Gemma4TextConfig",
        {**GROUPED, "hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY,
         "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
         "final_logit_softcapping": 3.0},
        softcap=3.0, mid=None,
    ),
    "RecurrentGemma": Family(
        "RecurrentGemmaConfig",
        {**PADDED, "lru_width": D, "attention_window_size": 16, "logits_soft_cap": 3.0},
        norm="model.final_norm", softcap=3.0, **GEMMA,
    ),
    "Granite": Family(
        "GraniteConfig",
        {**SIZES, "logits_scaling": 8.0, "embedding_multiplier": 12.0, "residual_multiplier": 0.2},
        scale=1 / 8.0,
    ),
    "GraniteMoE": Family(
        "GraniteMoeConfig",
        {**SIZES, "num_local_experts": 4, "logits_scaling": 8.0, "residual_multiplier": 0.2},
        scale=1 / 8.0,
    ),
    "GraniteMoE shared": Family(
        "GraniteMoeSharedConfig", {**SIZES, "num_local_experts": 4, "logits_scaling": 8.0}, scale=1 / 8.0
    ),
    "GraniteMoE hybrid": Family(
        "GraniteMoeHybridConfig",
        {**SIZES, **MAMBA2, "num_local_experts": 4, "logits_scaling": 8.0,
         "layer_types": ["mamba", "attention", "mamba"]},
        scale=1 / 8.0, mid=None,
    ),
    "OLMo-2": Family("Olmo2Config", SIZES, eps=1e-5),
    "OLMo-3": Family("Olmo3Config", SIZES, eps=1e-5),
    "OLMoE": Family("OlmoeConfig", {**SIZES, "num_experts": 4, "num_experts_per_tok": 2}, eps=1e-5),
    "FlexOlmo": Family("FlexOlmoConfig", {**PADDED, "num_experts": 4, "num_experts_per_tok": 2}),
    "SmolLM3": Family("SmolLM3Config", {**PADDED, "num_key_value_heads": 2}),
    "GLM": Family("GlmConfig", GROUPED, eps=1.5e-7),
    "GLM-4": Family("Glm4Config", GROUPED, eps=1.5e-7),
    "GLM-4-MoE": Family(
        "Glm4MoeConfig", {**EXPERTS, "n_routed_experts": 4, "first_k_dense_replace": 1}, eps=1e-5
    ),
    "DeepSeek-V2": Family("DeepseekV2Config", {**LATENT_EXPERTS, "head_dim": 4}),
    "DeepSeek-V3": Family("DeepseekV3Config", {**LATENT_EXPERTS, "num_key_value_heads": 4}),
    "dots.llm1": Family(
        "Dots1Config", {**EXPERTS, "n_routed_experts": 4, "n_shared_experts": 1, "first_k_dense_replace": 1}
    ),
    "MiniCPM3": Family(
        "MiniCPM3Config", {**LATENT, "dim_model_base": 8, "num_key_value_heads": 4}, scale=1 / 4.0, eps=1e-5,
    ),
    "GPT-OSS": Family(
        "GptOssConfig", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}, eps=1e-5
    ),
    "Llama-4": Family(
        "Llama4TextConfig",
        {**GROUPED, "intermediate_size_mlp": 48, "num_local_experts": 4, "attention_chunk_size": 16}, eps=1e-5
    ),
    "Exaone-4": Family("Exaone4Config", GROUPED, eps=1e-5),
    "Hunyuan": Family("HunYuanDenseV1Config", GROUPED, eps=1e-5),
    "Hunyuan-MoE": Family(
        "HunYuanMoEV1Config", {**GROUPED, "num_experts": 4, "moe_topk": 2}, eps=1e-5
    ),
    "Ernie-4.5": Family("Ernie4_5Config", GROUPED, eps=1e-5),
    "Ernie-4.5-MoE": Family(
        "Ernie4_5_MoeConfig", {**PADDED, "num_key_value_heads": 2, "moe_intermediate_size": 16,
                               "moe_num_experts": 4, "moe_k": 2}, eps=1e-5
    ),
    "Arcee": Family("ArceeConfig", GROUPED, eps=1e-5),
    "Apertus": Family("ApertusConfig", PADDED, eps=1e-5),
    "Seed-OSS": Family("SeedOssConfig", GROUPED),
    "Helium": Family("HeliumConfig", GROUPED, eps=1e-8),
    "NanoChat": Family(
        "NanoChatConfig", {**PADDED, "final_logit_softcapping": 3.0}, softcap=3.0, kind="rms, no weight"
    ),
    "Diff-Llama": Family("DiffLlamaConfig", PADDED, eps=1e-5),
    "BitNet": Family("BitNetConfig", GROUPED, eps=1e-5),
    "HyperCLOVA X": Family("HyperCLOVAXConfig", {**PADDED, "logits_scaling": 0.25}, scale=0.25),
    "JetMoE": Family(
        "JetMoeConfig",
        {**PADDED, "num_key_value_heads": 2, "kv_channels": 8, "num_local_experts": 4,
         "num_experts_per_tok": 2},
    ),
    "Doge": Family("DogeConfig", PADDED, mid=None),
    "AFMoE": Family(
        "AfmoeConfig", {**EXPERTS, "num_experts": 4, "num_dense_layers": 1, "num_shared_experts": 1}, eps=1e-5
    ),
    "MiniMax": Family("MiniMaxConfig", {**GROUPED, "num_local_experts": 4}, eps=1e-5, mid=None),
    "MiniMax-M2": Family(
        "MiniMaxM2Config", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2, "rotary_dim": 4}
    ),
    # Recurrent ones and hybrids
    "LFM2": Family(
        "Lfm2Config",
        {**PADDED, "num_key_value_heads": 2, "layer_types": ["conv", "full_attention", "conv"]},
        norm="model.embedding_norm", eps=1e-5,
    ),
    "Mamba": Family(
        "MambaConfig",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_hidden_layers": BLOCKS, "state_size": 8},
        **IN_BACKBONE,
    ),
    "Falcon-Mamba": Family(
        "FalconMambaConfig",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_hidden_layers": BLOCKS, "state_size": 8},
        **IN_BACKBONE,
    ),
    "Mamba-2": Family(
        "Mamba2Config",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_hidden_layers": BLOCKS, "state_size": 8,
         "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 8},
        **IN_BACKBONE,
    ),
    "RWKV": Family(
        "RwkvConfig",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_hidden_layers": BLOCKS, "attention_hidden_size": D,
         "intermediate_size": 48, "context_length": 64, "rescale_every": 2},
        norm="rwkv.ln_out", blocks="rwkv.blocks", unembedding="head.weight", halves=2, mid=None, **LAYER,
    ),
    "xLSTM": Family(
        "xLSTMConfig",
        {"vocab_size": VOCABULARY, "hidden_size": D, "num_hidden_layers": BLOCKS, "num_heads": 4,
         "output_logit_soft_cap": 3.0, "chunk_size": 16, "autocast_kernel_dtype": "float32"},
        norm="backbone.out_norm", blocks="backbone.blocks", softcap=3.0,
    ),
    "Falcon-H1": Family(
        "FalconH1Config",
        {**GROUPED, **MAMBA2, "mamba_d_ssm": 64, "lm_head_multiplier": 0.3, "embedding_multiplier": 2.0},
        norm="model.final_layernorm", scale=0.3, eps=1e-5, mid=None,
    ),
    "Bamba": Family(
        "BambaConfig", {**PADDED, **MAMBA2, "num_key_value_heads": 2, "attn_layer_indices": [1]},
        norm="model.final_layernorm", eps=1e-5,
    ),
    "Jamba": Family(
        "JambaConfig",
        {**PADDED, "num_key_value_heads": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4,
         "mamba_d_state": 8, "use_mamba_kernels": False},
        norm="model.final_layernorm",
    ),
    "Zamba": Family(
        "ZambaConfig",
        {**PADDED, "num_key_value_heads": 4, "layers_block_type": ["hybrid", "mamba", "hybrid"],
         "mamba_d_state": 8, "use_mamba_kernels": False},
        norm="model.final_layernorm", eps=1e-5,
    ),
    "Zamba2": Family(
        "Zamba2Config",
        {**PADDED, "layers_block_type": ["mamba", "hybrid", "mamba"], "mamba_d_state": 8, "n_mamba_heads": 8,
         "chunk_size": 8, "use_mamba_kernels": False, "num_mem_blocks": 1},
        norm="model.final_layernorm", eps=1e-5,
    ),
    "Nemotron-H": Family(
        "NemotronHConfig",
        {**GROUPED, "layers_block_type": ["mamba", "attention", "mlp"], "ssm_state_size": 8,
         "mamba_num_heads": 8, "mamba_head_dim": 8, "n_groups": 2, "chunk_size": 8,
         "use_mamba_kernels": False},
        norm="model.norm_f", eps=1e-5,
    ),
    # Multimodal wrappers, read by their text model
    "LLaVA": Family(
        "LlavaConfig",
        {"text_config": {"model_type": "llama", **SIZES},
         "vision_config": {"model_type": "clip_vision_model", **VISION}},
        **WRAPPED,
    ),
    "Mistral-3": Family(
        "Mistral3Config",
        {"text_config": {"model_type": "mistral", **GROUPED},
         "vision_config": {"model_type": "pixtral", **VISION}},
        **WRAPPED,
    ),
    "Qwen2-VL": Family(
        "Qwen2VLConfig",
        {"text_config": {**SIZES, "num_key_value_heads": 2, "rope_parameters": ROPE_3D},
         "vision_config": {"depth": 1, "embed_dim": 16, "hidden_size": D, "num_heads": 2}},
        **WRAPPED, eps=1e-5,
    ),
    "Qwen2.5-VL": Family(
        "Qwen2_5_VLConfig",
        {"text_config": {**SIZES, "num_key_value_heads": 2, "rope_parameters": ROPE_3D},
         "vision_config": QWEN_VISION},
        **WRAPPED, eps=1e-5,
    ),
    "Qwen3-VL": Family(
        "Qwen3VLConfig",
        {"text_config": {**GROUPED, "rope_parameters": ROPE_3D},
         "vision_config": {**QWEN_VISION, "deepstack_visual_indexes": []}},
        **WRAPPED,
    ),
    "SmolVLM": Family(
        "SmolVLMConfig",
        {"text_config": {"model_type": "llama", **PADDED}, "vision_config": VISION, "scale_factor": 1},
        norm="model.text_model.norm", blocks="model.text_model.layers",
    ),
    "InternVL": Family(
        "InternVLConfig",
        {"text_config": {"model_type": "qwen2", **SIZES, "num_key_value_heads": 2},
         "vision_config": {**VISION, "image_size": [28, 28], "patch_size": [14, 14]}},
        **WRAPPED,
    ),
}  # fmt: skip
