"""Tempering of a closed form: what makes a row of it as sure as it may be, and no surer.

Least squares predict the mean of `h_L` under all that `h_i` leaves open, and that is shorter than `h_L`. The
final norm stretches it to full length, so that the lens is too sure of what it guesses. A vector of about the
missing length, added to the bias in a direction that hardly changes the distribution, makes up for that: the
final norm divides by the length of the sum, which makes every logit smaller. How much of it is best is tried
out, row by row, on some columns of the text.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from lenstui.fitting.gradient import losses_and_gradient
from lenstui.model.head import LinearHead
from lenstui.model.load import Model

SHARES = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # of the missing length, which are tried
_TOKENS = 2_048  # the likeliest ones, or twice the width, stand for all where the direction is chosen
_SHRINKS = 0.8  # a vector as long as the state has to shorten what the norm makes of the state to so much


@dataclass(frozen=True, eq=False)
class Tempering:
    """What tempers the rows of a closed form.

    Attributes:
        model: from `load`.
        direction: the direction of what is added, of length 1, `[d]`, float32.
        states: hidden states to try it on, `[L + 1, cols, d]`.
        head: from `product_head` or a part of it; None for the model's own head.
    """

    model: Model
    direction: Tensor
    states: Tensor
    head: LinearHead | None

    def offset(self, row: int, weight: Tensor, bias: Tensor) -> Generator[None, None, Tensor]:
        """Find what is to be added to the bias of a row, `[d]`; this yields after each piece of work.

        It is zero where nothing makes the KL to the final distribution smaller.

        Args:
            row: the row.
            weight: `A` of the row, `[d, d]`.
            bias: `b` of the row, `[d]`.
        """
        h, last, norm = self.states[row].float(), self.states[-1], self.model.head.norm  # [cols, d]
        with torch.no_grad():
            guess = h + h @ weight.T + bias
            missing = last.float().square().sum(-1).median() - guess.square().sum(-1).median()
            lengths = torch.tensor(SHARES, device=h.device) * missing.clamp(min=0).sqrt()
            tried = guess + lengths[:, None, None] * self.direction  # [shares, cols, d]
            x = torch.stack([norm(each.to(last.dtype)) for each in tried])[:, None]
            final = norm(last)[None]
        ids = torch.zeros(1, len(last), dtype=torch.long)  # of no use to a KL
        sums, _ = yield from losses_and_gradient(self.model, self.head, x, final=final, ids=ids, loss="kl")
        best = sums.nan_to_num(torch.inf).argmin()  # the first where none is finite: 0
        return lengths[best] * self.direction


def tempering(model: Model, states: Tensor, head: LinearHead | None, mean_probs: Tensor) -> Tempering | None:
    """Return what tempers the rows; None where the head is not linear or the final norm divides by no length.

    The direction is the one in which logits vary least between the likeliest tokens. Images of basis vectors
    under the final norm are its linear part, up to a factor.

    Args:
        model: from `load`.
        states: hidden states to try it on, `[L + 1, cols, d]`.
        head: what makes the logits of the trials.
        mean_probs: the model's own mean next-token distribution, `[vocabulary]`.
    """
    whole = model.head.linear
    if whole is None:
        return None
    with torch.no_grad():
        state = states[-1, len(states[-1]) // 2]  # any will do
        length = state.float().norm()
        norm = model.head.norm
        rest = norm(torch.zeros_like(state)).float()
        basis = (length * torch.eye(len(state), device=state.device)).to(state.dtype)
        images = norm(basis).float() - rest  # [d, d]
        likeliest = mean_probs.topk(min(len(mean_probs), max(_TOKENS, 2 * len(state))))
        probs = (likeliest.values / likeliest.values.sum()).to(images)
        weight = whole.weight[likeliest.indices.to(whole.weight.device)].float()
        mean = probs @ weight  # [d]
        spread = weight.T @ (weight * probs[:, None]) - torch.outer(mean, mean)  # [d, d]
        effect = (images @ spread @ images.T).cpu().double()
        if not torch.isfinite(effect).all():
            return None
        directions = torch.linalg.eigh(effect).eigenvectors.T.to(images)  # least effect first
        image = norm(state).float() - rest
        longer = norm((state + length * directions).to(state.dtype)).float() - rest
        # A layer norm takes the mean off, so that this is no length to it.
        shrinks = (longer @ image < _SHRINKS * image @ image).nonzero()
        if not len(shrinks):
            return None
    return Tempering(model, directions[shrinks[0, 0]], states, head)
