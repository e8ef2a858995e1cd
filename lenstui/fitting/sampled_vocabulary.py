"""A random part of the vocabulary in place of all of it, for the gradient of a step.

A step needs `E_q[w]`, the mean unembedding vector under the lens, not the logits of every token, and most of
a distribution lies on few tokens. So each step draws tokens, each with its own probability `π`, and adds
`-log π` to their logits: sums over the drawn tokens are then unbiased for sums over all of them. Likely
tokens have `π = 1` and are always drawn. (Sampled softmax: Bengio and Senécal 2008, "Adaptive importance
sampling to accelerate training of a neural probabilistic language model".)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lenstui.model.head import LinearHead

_TEXT, _EVERY = 0.1, 0.1  # shares of the mass: by counts in the text, and even over all tokens


@dataclass(frozen=True, eq=False)
class SampledVocabulary:
    """The probability of each token to be drawn for a step.

    Attributes:
        chances: `π`, `[vocabulary]`, on the CPU.
    """

    chances: Tensor

    @classmethod
    def of(cls, size: int, mean_probs: Tensor, counts: Tensor) -> SampledVocabulary | None:
        """Return the probabilities for drawing about `size` tokens; None where that would save little.

        Args:
            size: the number of tokens.
            mean_probs: the model's own mean next-token distribution, `[vocabulary]`.
            counts: the counts of the tokens in the text, `[vocabulary]`.
        """
        vocabulary = len(mean_probs)
        if not size or 2 * size > vocabulary:
            return None
        mass = (1 - _TEXT - _EVERY) * mean_probs.double().cpu() + _EVERY / vocabulary
        mass += _TEXT * counts.double() / counts.sum()
        low, high = 0.0, vocabulary * size / _EVERY  # bounds of the factor with which chances sum to `size`
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (low, middle) if (mass * middle).clamp(max=1).sum() > size else (middle, high)
        return cls((mass * high).clamp(max=1).float())

    def draw(self, head: LinearHead, seed: int) -> LinearHead:
        """Return the head restricted to drawn tokens, which depend on `seed` alone."""
        drawn = torch.rand(len(self.chances), generator=torch.Generator().manual_seed(seed)) < self.chances
        tokens = drawn.nonzero()[:, 0]
        device, dtype = head.weight.device, head.weight.dtype
        # A logit is scale · (x wᵀ + bias): what is added to a logit is divided by the scale in the bias.
        bias = (-self.chances[tokens].log() / head.scale).to(device)
        tokens = tokens.to(device)
        if head.bias is not None:
            bias += head.bias[tokens]
        return replace(head, weight=head.weight[tokens], bias=bias.to(dtype))
