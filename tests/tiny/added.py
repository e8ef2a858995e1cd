"""What the source of each family adds to the residual stream in a block, by the paths of its modules."""

from __future__ import annotations

import math

BY_DEFAULT = ("self_attn", "mlp")
_SANDWICH = ("post_attention_layernorm", "post_feedforward_layernorm")

# Attention first, then the MLP; None where a block has one part alone. `a|b`: whichever a block has.
ADDED: dict[str, tuple[str, str | None]] = {
    **dict.fromkeys(("GPT-2", "GPT-Neo", "GPT-J", "CodeGen", "GPT-BigCode"), ("attn", "mlp")),
    "CTRL": ("multi_head_attention", "ffn"),
    **dict.fromkeys(("GPT-NeoX", "GPT-NeoX sequential"), ("attention", "mlp")),
    **dict.fromkeys(("OPT", "BioGPT", "XGLM", "Whisper decoder"), ("self_attn", "fc2")),
    "BLOOM": ("self_attention.dense", "mlp.dense_4h_to_h"),  # the residual goes through both modules
    **dict.fromkeys(("Falcon", "Falcon sequential", "Falcon new decoder"), ("self_attention", "mlp")),
    "ModernBERT decoder": ("attn", "mlp"),
    "MPT": ("attn", "ffn.down_proj"),
    "DBRX": ("norm_attn_norm.attn", "ffn"),
    **dict.fromkeys(("Qwen3-Next", "Qwen3.5"), ("linear_attn|self_attn", "mlp")),
    **dict.fromkeys(
        ("Gemma-2", "Gemma-3", "Gemma-3 multimodal", "OLMo-2", "OLMo-3", "FlexOlmo", "Exaone-4"), _SANDWICH
    ),
    "RecurrentGemma": ("temporal_block", "mlp_block"),
    "GraniteMoE": ("self_attn", "block_sparse_moe"),
    "GraniteMoE shared": ("self_attn", "block_sparse_moe"),
    "GLM-4": ("post_self_attn_layernorm", "post_mlp_layernorm"),
    "Llama-4": ("self_attn", "feed_forward"),
    "HyperCLOVA X": ("post_norm1", "post_norm2"),
    "JetMoE": ("self_attention", "mlp"),
    "AFMoE": ("post_attention_layernorm", "post_mlp_layernorm"),
    "LFM2": ("conv|self_attn", "feed_forward"),
    **dict.fromkeys(("Mamba", "Falcon-Mamba", "Mamba-2", "Nemotron-H"), ("mixer", None)),
    "xLSTM": ("mlstm_layer", "ffn"),
    **dict.fromkeys(("Bamba", "Jamba"), ("mamba|self_attn", "feed_forward")),
    **dict.fromkeys(("Zamba", "Zamba2"), ("mamba_decoder.mamba|mamba", None)),
}

# What these are multiplied by before they are added.
FACTORS = {"Granite": 0.2, "GraniteMoE": 0.2, "MiniCPM3": 1.4 / math.sqrt(3)}
