"""Capabilities of a model and its tokenizer, which decide how prompts can be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowed:
    """The capabilities of a model and its tokenizer that decide how prompts can be read.

    Attributes:
        final_norm: whether there is a final norm, which the logit lens may leave out.
        bos: whether there is a BOS token.
        chat: whether there is a chat template.
        thinking: whether the chat template has a thinking switch.
        weights: whether the weights are here, so that blocks can be taken apart.
    """

    final_norm: bool = True
    bos: bool = True
    chat: bool = True
    thinking: bool = False
    weights: bool = True
