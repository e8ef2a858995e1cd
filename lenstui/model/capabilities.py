"""What a model and its tokenizer have, and so what may be asked of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a model and its tokenizer have, and so what may be asked of them.

    Attributes:
        final_norm: a final norm, which the logit lens may pass over.
        bos: a BOS token.
        chat: a chat template.
    """

    final_norm: bool = True
    bos: bool = True
    chat: bool = True
