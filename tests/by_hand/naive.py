"""The numbers of a readout the wasteful way: from logits `[rows, cols, vocabulary]`, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lenstui.lens import Model, TunedLens

Numbers = dict[str, np.ndarray]  # the fields of `Cells`
Weights = Mapping[str, Tensor]  # float64, by parameter name


def ids_of(model: Model, text: str) -> Tensor:
    return torch.tensor([model.tokenizer(text)["input_ids"]])


def weights(module: Any) -> Weights:
    return {name: tensor.double() for name, tensor in module.state_dict().items()}


def stream(module: Any, ids: Tensor, h_last: str) -> Tensor:
    """`h_0 … h_L` `[L + 1, cols, d]`, float64: all but the last as transformers hands them out.

    Args:
        module: the causal LM.
        ids: `[1, cols]`.
        h_last: path of the module whose input is `h_L`; with `:output` behind it, whose output is.
    """
    path, _, what = h_last.partition(":")
    part = module.get_submodule(path)
    caught: list[Tensor] = []
    if what == "output":
        handle = part.register_forward_hook(lambda _, args, output: caught.append(output))
    else:
        handle = part.register_forward_pre_hook(lambda _, args: caught.append(args[0]))
    with torch.no_grad():
        states = module(input_ids=ids, output_hidden_states=True, use_cache=False).hidden_states
    handle.remove()
    return torch.cat([*states[:-1], caught[0]]).double()


def handed_on(
    module: Any, ids: Tensor, blocks: str, halves: int | None = None, final_norm: str | None = None
) -> tuple[Tensor, Tensor]:
    """`h_0 … h_L` `[L + 1, cols, d]`, by what enters the first block and what each hands on; and the logits.

    Args:
        module: the causal LM.
        ids: `[1, cols]`.
        blocks: path of the list of blocks.
        halves: the stream is halved behind every so many blocks.
        final_norm: path of the norm that reads the last row; that it does is asserted.
    """
    parts = module.get_submodule(blocks)
    rows: list[Tensor] = []
    normed: list[Tensor] = []

    def keep(number: int) -> Any:
        def hook(_: Any, args: Any, output: Any) -> None:
            h = (output if isinstance(output, Tensor) else output[0]).detach().clone()
            rows.append(h / 2 if halves and (number + 1) % halves == 0 else h)

        return hook

    handles = [parts[0].register_forward_pre_hook(lambda _, args: rows.append(args[0].detach().clone()))]
    handles += [part.register_forward_hook(keep(number)) for number, part in enumerate(parts)]
    if final_norm is not None:
        norm = module.get_submodule(final_norm)
        handles.append(norm.register_forward_pre_hook(lambda _, args: normed.append(args[0].clone())))
    with torch.no_grad():
        logits = module(input_ids=ids, use_cache=False).logits[0]
    for handle in handles:
        handle.remove()
    if normed:
        torch.testing.assert_close(normed[-1], rows[-1], rtol=0, atol=0, equal_nan=True)
    return torch.cat(rows), logits


def numbers(
    logits: Tensor, ids: Sequence[int], pins: Sequence[int] = (), top_k: int = 3, margin: float = 0.0
) -> Numbers:
    """Every field of `Cells`.

    Args:
        logits: `[rows, cols, vocabulary]`; the last row is the model's own.
        ids: the prompt.
        pins: pinned tokens.
        top_k: how many top tokens.
        margin: by how much another logit must be greater to count in a rank.
    """
    z = logits.double().numpy()
    log_probs = logits.double().log_softmax(-1).numpy()
    probs = np.exp(log_probs)
    order = np.argsort(-z, axis=-1, kind="stable")
    final = probs[-1]
    with np.errstate(invalid="ignore"):  # a forbidden token: 0 · -inf is 0 here
        entropy = -np.where(probs > 0, probs * log_probs, 0).sum(-1)
        kl = np.where(final > 0, final * (log_probs[-1] - log_probs), 0).sum(-1)
        apart = [np.where(p > 0, p * np.log(2 * p / (probs + final)), 0).sum(-1) for p in (probs, final)]
    following = np.array([*ids[1:], 0])
    next_logprob = _of(log_probs, following).astype(np.float64)
    next_rank = _rank(z, following, margin)
    next_logprob[:, -1], next_rank[:, -1] = np.nan, -1
    return {
        "top1": order[..., 0],
        "top_ids": order[..., :top_k],
        "top_logits": np.take_along_axis(z, order[..., :top_k], -1),
        "top_probs": np.take_along_axis(probs, order[..., :top_k], -1),
        "entropy": entropy,
        "kl": kl,
        "js": (apart[0] + apart[1]) / 2,
        "final_rank": _rank(z, order[-1, :, 0], margin),
        "next_logprob": next_logprob,
        "next_rank": next_rank,
        "pin_logits": z[..., list(pins)],
        "pin_logprobs": log_probs[..., list(pins)],
        "pin_ranks": np.stack([_rank(z, np.full(z.shape[1], pin), margin) for pin in pins], -1)
        if pins
        else np.zeros((*z.shape[:2], 0)),
    }


def _of(values: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """`values[row, col, tokens[col]]`."""
    return np.stack([row[np.arange(len(tokens)), tokens] for row in values])


def _rank(z: np.ndarray, tokens: np.ndarray, margin: float) -> np.ndarray:
    greater = z > _of(z, tokens)[..., None] + margin
    greater[:, np.arange(len(tokens)), tokens] = False
    return greater.sum(-1)


def random_lens(model: Model, size: float = 0.05, seed: int = 0) -> TunedLens:
    generator = torch.Generator().manual_seed(seed)
    shape = model.num_blocks, model.d_model
    return TunedLens(
        size * torch.randn(*shape, model.d_model, generator=generator),
        size * torch.randn(*shape, generator=generator),
    )


def translated(stream: Tensor, lens: TunedLens) -> Tensor:
    """`h_i + A_i h_i + b_i` for all rows; `h_L` as it is."""
    weight, bias = lens.weight.double(), lens.bias.double()
    rows = [h + h @ a.T + b for h, a, b in zip(stream[:-1], weight, bias, strict=True)]
    return torch.stack([*rows, stream[-1]])
