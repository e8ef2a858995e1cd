"""How far `why` goes in each family: components, attention heads, what they read; what is known by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

import lenstui
from lenstui.causal.contributions import Contributions
from lenstui.causal.maps import Maps, find_maps
from lenstui.lens import LensError
from tests.tiny.family_reading import TEXT, wired

_LLAMA = "self_attn.o_proj"

# Family → the path of attention's output projection in a block, from the source of the family. Families with
# names like Llama's are listed together.
PROJECTIONS: dict[str, str] = {
    "GPT-2": "attn.c_proj",
    "GPT-Neo": "attn.attention.out_proj",
    "GPT-J": "attn.out_proj",
    "CodeGen": "attn.out_proj",
    "GPT-BigCode": "attn.c_proj",
    "CTRL": "multi_head_attention.dense",
    "GPT-NeoX": "attention.dense",
    "GPT-NeoX sequential": "attention.dense",
    "OPT": "self_attn.out_proj",
    "BioGPT": "self_attn.out_proj",
    "XGLM": "self_attn.out_proj",
    "BLOOM": "self_attention.dense",
    "Falcon": "self_attention.dense",
    "Falcon sequential": "self_attention.dense",
    "Falcon new decoder": "self_attention.dense",
    "MPT": "attn.out_proj",
    "Phi": "self_attn.dense",
    "Persimmon": "self_attn.dense",
    "DBRX": "norm_attn_norm.attn.out_proj",
    "Whisper decoder": "self_attn.out_proj",
    "RecurrentGemma": "temporal_block.o_proj",
    "LFM2": "self_attn.out_proj",
    "Nemotron-H": "mixer.o_proj",
    **dict.fromkeys(
        (
            *(
                "StableLM",
                "StableLM parallel",
                "Starcoder2",
                "Nemotron",
                "OLMo",
                "Jais-2",
                "Cohere",
                "Cohere-2",
            ),
            *("Llama", "Mistral", "Ministral", "Ministral-3", "Mixtral", "Qwen2", "Qwen3", "Qwen2-MoE"),
            *("Qwen3-MoE", "Qwen3-Next", "Qwen3.5", "Phi-3", "Phi-3.5-MoE", "Gemma", "Gemma-2", "VaultGemma"),
            *(
                "Gemma-3",
                "Gemma-3 multimodal",
                "Granite",
                "GraniteMoE",
                "GraniteMoE shared",
                "OLMo-2",
                "OLMo-3",
            ),
            *("OLMoE", "FlexOlmo", "SmolLM3", "GLM", "GLM-4", "GLM-4-MoE", "DeepSeek-V2", "DeepSeek-V3"),
            *(
                "dots.llm1",
                "MiniCPM3",
                "GPT-OSS",
                "Llama-4",
                "Exaone-4",
                "Hunyuan",
                "Hunyuan-MoE",
                "Ernie-4.5",
            ),
            *("Ernie-4.5-MoE", "Arcee", "Apertus", "Seed-OSS", "Helium", "NanoChat", "Diff-Llama", "BitNet"),
            *("HyperCLOVA X", "AFMoE", "MiniMax-M2", "Bamba", "Jamba", "LLaVA", "Mistral-3", "Qwen2-VL"),
            *("Qwen2.5-VL", "Qwen3-VL", "SmolVLM", "InternVL"),
        ),
        _LLAMA,
    ),
}
# What heads read is not the cache's values weighted by attention: values are latent (DeepSeek, MiniCPM3),
# attention is a difference (Diff-Llama), outputs are gated (Qwen3-Next, Qwen3.5, AFMoE) or normed (BitNet)
# before the projection; and with eager attention transformers computes something else (Falcon with ALiBi).
NO_SOURCES = frozenset(
    ("DeepSeek-V2", "DeepSeek-V3", "MiniCPM3", "Diff-Llama", "Qwen3-Next", "Qwen3.5", "AFMoE", "BitNet")
) | {"Falcon sequential"}
# Components, and no attention head: attention goes through experts, or there is none.
NO_HEADS = frozenset(("JetMoE", "Mamba", "Falcon-Mamba", "Mamba-2", "xLSTM", "Zamba", "Zamba2"))
# Blocks that cannot be taken apart, or a head that is not linear.
NOTHING = frozenset(
    (
        "GPT-1",
        "GPT-NeoX Japanese",
        "OPT-350m",
        "ModernBERT decoder",
        "BERT decoder",
        "BART decoder",
        "Gemma-4",
    )
) | {"GraniteMoE hybrid", "Doge", "MiniMax", "RWKV", "Falcon-H1"}


@dataclass(frozen=True)
class Level:
    """What `why` found in a tiny model.

    Attributes:
        found: the contributions in its last cell; None where it refuses.
        maps: the maps of its blocks; None likewise.
        refusal: why it refuses.
    """

    found: Contributions | None
    maps: Maps | None
    refusal: str | None

    @property
    def words(self) -> str:
        """The level for the page: `components, heads, sources`, and in how many blocks."""
        if self.found is None:
            return "no"
        return ", ".join(("components", *self._of("heads", self.found.no_heads), *self._sources()))

    def _sources(self) -> list[str]:
        assert self.found is not None
        return self._of("sources", self.found.no_sources)

    def _of(self, what: str, reasons: tuple[str | None, ...]) -> list[str]:
        there = sum(reason is None for reason in reasons)
        return [what if there == len(reasons) else f"{what} in {there} of {len(reasons)}"] if there else []

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why something is missing, each once."""
        if self.found is None:
            return (str(self.refusal),)
        return tuple(dict.fromkeys(filter(None, (*self.found.no_heads, *self.found.no_sources))))

    @property
    def largest(self) -> float:
        """The size of the largest contribution."""
        assert self.found is not None
        return max(float(np.abs(component.contribution)) for component in self.found.components)


@cache
def level(name: str) -> Level:
    model = wired(name)
    try:
        return Level(lenstui.contributions(model, TEXT, token=77), find_maps(model), None)
    except LensError as error:
        return Level(None, None, str(error))
