"""The first hidden states of a fit, and what its steps are made with that follows from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.fitting.gradient import product_head
from lenstui.fitting.sampled_vocabulary import SampledVocabulary
from lenstui.fitting.state import Fit
from lenstui.model.head import LinearHead

_FIRST_BLOCKS = 4  # blocks whose hidden states set scales before the first step
_COLUMNS = 256  # whose distributions are in memory at a time


@dataclass(frozen=True, eq=False)
class FirstStates:
    """The hidden states of the first blocks and what follows from them, the same in a resumed fit.

    Attributes:
        h: hidden states, `[L + 1, cols, d]`.
        head: the head that gradients are made with, from `product_head`.
        mean_probs: the mean of the model's next-token distributions, `[vocabulary]`.
        vocabulary: the chances for drawing tokens; None where every step computes the whole vocabulary.
    """

    h: Tensor
    head: LinearHead | None
    mean_probs: Tensor
    vocabulary: SampledVocabulary | None


def first_states(fit: Fit) -> FirstStates:
    """Run the first blocks of a fit's text, and return what its steps are made with."""
    model = fit.model
    h = model.stream(torch.stack([*fit.blocks.train[:_FIRST_BLOCKS]])).flatten(1, 2)
    with torch.inference_mode():
        inputs = model.head.norm(h[-1])
    head = product_head(model, fit.options.products, inputs)
    mean_probs = _mean_probs(fit, head, inputs)
    return FirstStates(h, head, mean_probs, _sampled_vocabulary(fit, head, mean_probs))


def _mean_probs(fit: Fit, head: LinearHead | None, inputs: Tensor) -> Tensor:
    """Return the mean of the model's next-token distributions at inputs of the head, `[vocabulary]`."""
    logits = fit.model.head.logits if head is None else head
    dtype = inputs.dtype if head is None else head.weight.dtype
    total = torch.zeros(fit.model.vocabulary, device=inputs.device)
    with torch.inference_mode():
        for x in torch.split(inputs.to(dtype), _COLUMNS):
            total += logits(x).softmax(-1, torch.float32).sum(0)
    return total / len(inputs)


def _sampled_vocabulary(fit: Fit, head: LinearHead | None, mean_probs: Tensor) -> SampledVocabulary | None:
    """Return the chances for drawing tokens in each step, from the model's predictions and the text.

    None where every step computes the whole vocabulary.
    """
    size = fit.options.vocabulary
    if head is None or not size or 2 * size > fit.model.vocabulary or fit.options.loss == "ce":
        return None
    counts = torch.zeros(fit.model.vocabulary, dtype=torch.long)
    for block in fit.blocks.train:
        counts += torch.bincount(block, minlength=len(counts))
    return SampledVocabulary.of(size, mean_probs, counts)
