"""What is known of a family of models from its source, and its logit lens written out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import transformers as hf
from torch import Tensor

from tests.by_hand.naive import Weights

BLOCKS = 3

Logits = Callable[[Weights, Tensor], Tensor]  # of a hidden state `[..., d]`, before the final norm


def layer_norm(h: Tensor, weight: Tensor | float, bias: Tensor | float = 0.0, eps: float = 1e-5) -> Tensor:
    centred = h - h.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * weight + bias


def rms_norm(h: Tensor, weight: Tensor | float, eps: float = 1e-6) -> Tensor:
    return h / (h.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def capped(logits: Tensor, cap: float) -> Tensor:
    return cap * (logits / cap).tanh()


def _norm(kind: str, path: str, p: Weights, h: Tensor, eps: float) -> Tensor:
    """By the name that its formula has in the table of families."""
    if kind.endswith("no weight"):
        return layer_norm(h, 1.0, eps=eps) if kind.startswith("layer") else rms_norm(h, 1.0, eps)
    weight, bias = p[f"{path}.weight"], p.get(f"{path}.bias", 0.0)
    formulas: dict[str, Callable[[], Tensor]] = {
        "layer": lambda: layer_norm(h, weight, bias, eps),
        "layer, 1 + w": lambda: layer_norm(h, 1 + weight, bias, eps),
        "rms": lambda: rms_norm(h, weight, eps),
        "rms, 1 + w": lambda: rms_norm(h, 1 + weight, eps),
    }
    return formulas[kind]()


@dataclass(frozen=True)
class Family:
    """A tiny model and what is known of it from its source.

    Attributes:
        config_class: of transformers.
        options: for that.
        blocks: path of the list of blocks.
        norm: path of the final norm; None where there is none.
        kind: formula of that norm.
        unembedding: name of the matrix.
        scale: factor on the logits.
        softcap: of the logits.
        bias: the matrix has one.
        halves: the stream is halved behind every so many blocks.
        mid: whether there is a stream between attention and MLP; None where they cannot be told apart.
        eps: of the final norm.
        by_hand: `head(final_norm(h))`, for a head that is more than one matrix.
    """

    config_class: str
    options: Mapping[str, Any]
    norm: str | None = "model.norm"
    kind: str = "rms"
    blocks: str = "model.layers"
    unembedding: str = "lm_head.weight"
    scale: float = 1.0
    softcap: float | None = None
    bias: bool = False
    halves: int | None = None
    mid: bool | None = True
    eps: float = 1e-6
    by_hand: Logits | None = None

    @cached_property
    def config(self) -> Any:
        return getattr(hf, self.config_class)(**self.options)

    @property
    def is_unknown(self) -> bool:
        """Whether this transformers is too old for it."""
        return not hasattr(hf, self.config_class)

    @property
    def head(self) -> tuple[float, float | None] | None:
        """Scale and softcap of the head as one matrix; None where it is not one."""
        return None if self.by_hand is not None else (self.scale, self.softcap)

    @property
    def h_last(self) -> str:
        """The module whose input is `h_L`; `…:output` where it is a module's output."""
        return self.norm or f"{self.blocks}.{BLOCKS - 1}:output"

    def logits(self, p: Weights, h: Tensor) -> Tensor:
        """`head(final_norm(h))`, by hand."""
        if self.by_hand is not None:
            return self.by_hand(p, h)
        x = h if self.norm is None else _norm(self.kind, self.norm, p, h, self.eps)
        z = x @ p[self.unembedding].T
        if self.bias:
            z = z + p[self.unembedding.replace("weight", "bias")]
        return z * self.scale if self.softcap is None else capped(z * self.scale, self.softcap)


def random_model(config: Any, seed: int = 0, model_class: Any = None) -> Any:
    """A causal LM with random numbers everywhere: a norm's weight is not 1 here, and no bias is 0."""
    torch.manual_seed(seed)
    model = model_class(config) if model_class is not None else _auto_class(config).from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.5 if parameter.ndim == 1 else 0.3))
    return model.eval()


def _auto_class(config: Any) -> Any:
    if type(config) in hf.MODEL_FOR_CAUSAL_LM_MAPPING:
        return hf.AutoModelForCausalLM
    return hf.AutoModelForImageTextToText
