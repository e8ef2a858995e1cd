"""A part of the vocabulary in place of all of it, for the gradient of a step.

A step needs `E_q[w]`, the mean unembedding vector under the lens, not the logits of every token, and most of
a distribution lies on few tokens. So each step draws tokens, each with a probability `π` of its own, and adds
`-log π` to their logits: sums over the tokens that were drawn are then unbiased for sums over all of them.
What is likely has `π = 1` and is always there. (Sampled softmax: Bengio and Senécal 2008, "Adaptive
importance sampling to accelerate training of a neural probabilistic language model".)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenstui.model.head import LinearHead

_TEXT, _EVERY = 0.1, 0.1  # of the mass, by the text's own tokens and the same for every token


@dataclass(frozen=True, eq=False)
class SampledVocabulary:
    """How likely each token is to be drawn.

    Attributes:
        chances: `π`, `[vocabulary]`, on the CPU.
    """

    chances: Tensor

    @classmethod
    def of(cls, size: int, mean_probs: Tensor, counts: Tensor) -> SampledVocabulary | None:
        """Draws of about `size` tokens; None where that is no saving.

        Args:
            size: how many.
            mean_probs: the model's own mean next-token distribution, `[vocabulary]`.
            counts: of the tokens in the text, `[vocabulary]`.
        """
        vocabulary = len(mean_probs)
        if not size or 2 * size > vocabulary:
            return None
        mass = (1 - _TEXT - _EVERY) * mean_probs.double().cpu() + _EVERY / vocabulary
        mass += _TEXT * counts.double() / counts.sum()
        low, high = 0.0, vocabulary * size / _EVERY  # of the factor that makes `size` of the mass
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (low, middle) if (mass * middle).clamp(max=1).sum() > size else (middle, high)
        return cls((mass * high).clamp(max=1).float())

    def draw(self, head: LinearHead, seed: int) -> LinearHead:
        """The head of some tokens, which ones decided by `seed` alone."""
        drawn = torch.rand(len(self.chances), generator=torch.Generator().manual_seed(seed)) < self.chances
        tokens = drawn.nonzero()[:, 0]
        device, dtype = head.weight.device, head.weight.dtype
        # A logit is scale · (x wᵀ + bias), so that what is added to it is divided by the scale here.
        bias = (-self.chances[tokens].log() / head.scale).to(device)
        tokens = tokens.to(device)
        if head.bias is not None:
            bias += head.bias[tokens]
        return replace(head, weight=head.weight[tokens], bias=bias.to(dtype))
