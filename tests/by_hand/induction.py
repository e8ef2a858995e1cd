"""A Llama with an induction head whose weights are set by hand, beside a decoy, at places drawn by a seed.

The stream has a direction for each token (what is here), one for each token (what was before), a constant
one, and one for each token (what to say). A head of an earlier block attends one column back, which rotary
positions make possible (its two fastest frequencies are aligned at a distance of one), and writes what was
before. The induction head looks for a column where what was before is what is here, and says what is there.
The decoy, of another group of keys, looks at the same column and says another token instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from torch import Tensor

VOCABULARY = 20
_D, _WIDTH, _HEADS, _GROUPS, _BLOCKS = 64, 32, 4, 2, 3
_HALF = _WIDTH // 2
_THETA = 1e12  # so that all frequencies but the first three hardly turn
_SLOW = 3
_SHARP = 400.0  # of scores, so that attention is on one column


@dataclass(frozen=True)
class Induction:
    """The model, and where what is.

    Attributes:
        module: the model.
        block: the block of the induction head and of the decoy.
        head: the induction head.
        decoy: the decoy.
        shift: token → the token that the decoy says in its place.
        ids: a prompt whose last token was there before: `… a b … a`.
        source: the column of `b`.
        token: `b`.
    """

    module: Any
    block: int
    head: int
    decoy: int
    shift: tuple[int, ...]
    ids: tuple[int, ...]
    source: int
    token: int


def induction_model(seed: int) -> Induction:
    generator = torch.Generator().manual_seed(seed)

    def draw(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    module = hf.LlamaForCausalLM(
        hf.LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=_D, intermediate_size=8, num_hidden_layers=_BLOCKS,
            num_attention_heads=_HEADS, num_key_value_heads=_GROUPS, head_dim=_WIDTH,
            max_position_embeddings=64, tie_word_embeddings=False, bos_token_id=0, eos_token_id=1,
            rope_parameters={"rope_type": "default", "rope_theta": _THETA},
        )
    ).eval()  # fmt: skip
    order = torch.randperm(_D, generator=generator)  # of directions in the stream
    here, before, say = order[:VOCABULARY], order[20:40], order[40:60]
    constant = int(order[60])
    earlier, block = sorted(torch.randperm(_BLOCKS, generator=generator)[:2].tolist())
    head, back = draw(_HEADS), draw(_HEADS)
    group = head // (_HEADS // _GROUPS)
    decoy = (1 - group) * (_HEADS // _GROUPS) + draw(_HEADS // _GROUPS)
    shift = torch.arange(VOCABULARY).roll(1 + draw(VOCABULARY - 1))
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.fill_(1.0 if name.endswith(("layernorm.weight", "norm.weight")) else 0.0)
        module.model.embed_tokens.weight[torch.arange(VOCABULARY), here] = 1
        module.model.embed_tokens.weight[:, constant] = 1
        module.lm_head.weight[torch.arange(VOCABULARY), say] = 1
        _look_back(_Head(module, earlier, back), constant, here, before)
        _match(_Head(module, block, head), here, before, say)
        _match(_Head(module, block, decoy), here, before, say[shift])
    return Induction(module, block, head, decoy, tuple(shift.tolist()), *_prompt(generator))


def _prompt(generator: torch.Generator) -> tuple[tuple[int, ...], int, int]:
    """Different tokens, the last of which is one of them again."""
    ids = torch.randperm(VOCABULARY, generator=generator)[:12].tolist()
    first = int(torch.randint(1, 8, (), generator=generator))
    return (*ids, ids[first]), first + 1, ids[first + 1]


class _Head:
    """The rows and columns of the matrices of one attention head."""

    def __init__(self, module: Any, block: int, head: int) -> None:
        attention = module.model.layers[block].self_attn
        group = head // (_HEADS // _GROUPS)
        own, shared = (slice(start * _WIDTH, (start + 1) * _WIDTH) for start in (head, group))
        self.q, self.k = attention.q_proj.weight[own], attention.k_proj.weight[shared]
        self.v, self.o = attention.v_proj.weight[shared], attention.o_proj.weight[:, own]


def _look_back(head: _Head, constant: int, here: Tensor, before: Tensor) -> None:
    """The score is `Σ_f cos(θ_f (distance − 1))`, by the two fastest frequencies."""
    for f in range(2):
        angle = torch.tensor(_THETA ** (-2 * f / _WIDTH))
        head.q[f, constant], head.q[f + _HALF, constant] = _SHARP * angle.cos(), -_SHARP * angle.sin()
        head.k[f, constant] = 1
    _copy(head, here, before)


def _match(head: _Head, here: Tensor, before: Tensor, say: Tensor) -> None:
    places = _places()
    head.q[places, here] = _SHARP
    head.k[places, before] = 1
    _copy(head, here, say)


def _copy(head: _Head, read: Tensor, written: Tensor) -> None:
    places = _places()
    head.v[places, read] = 1
    head.o[written, places] = 1


def _places() -> Tensor:
    """A dimension of the head for each token, among those that hardly turn."""
    slow = _HALF - _SLOW
    return torch.tensor([_SLOW + token % slow + _HALF * (token // slow) for token in range(VOCABULARY)])
