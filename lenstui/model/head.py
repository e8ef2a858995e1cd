"""The head: everything that a model does after its final norm, done by the model's own code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lenstui.model.anatomy import Anatomy
from lenstui.model.product import product


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A head that is one matrix: `cap(scale · (x Wᵀ + bias))`, `cap(z) = softcap · tanh(z / softcap)`.

    Attributes:
        weight: `[vocabulary, d]`.
        bias: `[vocabulary]`, or None.
        scale: the factor on the product; 1 in most families.
        softcap: the bound of the softcap; None in most families.
    """

    weight: Tensor
    bias: Tensor | None
    scale: float
    softcap: float | None

    def __call__(self, x: Tensor) -> Tensor:
        """Return the logits `[..., vocabulary]` of normed hidden states `[..., d]`."""
        # The stream may be float32 while the head's weights are not (Mamba).
        logits = product(x.to(self.weight.dtype), self.weight, self.bias)
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


@dataclass(frozen=True, eq=False)
class Head:
    """`head(final_norm(h))` of one model.

    Attributes:
        model: the causal LM.
        anatomy: its parts.
        linear: the head as one matrix, where it proved to be one, by value.
    """

    model: nn.Module
    anatomy: Anatomy
    linear: LinearHead | None = None

    def norm(self, h: Tensor) -> Tensor:
        """Return the model's own final norm of `h` `[..., d]`; `h` itself where the model has none."""
        return h if self.anatomy.final_norm is None else self.anatomy.final_norm(h)

    def logits(self, x: Tensor) -> Tensor:
        """Return the logits `[cols, vocabulary]`, float32, of normed hidden states `x` `[cols, d]`."""
        return self.own_logits(x).float()

    def own_logits(self, x: Tensor) -> Tensor:
        """Return the logits `[cols, vocabulary]` in the dtype that the head gives them in."""
        return model_head(self.model, self.anatomy, x) if self.linear is None else self.linear(x)

    def __call__(self, h: Tensor) -> Tensor:
        """Return the logits `[cols, vocabulary]`, float32, of hidden states `h` `[cols, d]`."""
        return self.logits(self.norm(h))


def model_head(model: nn.Module, anatomy: Anatomy, x: Tensor) -> Tensor:
    """Run the causal LM's own `forward` with its body replaced by one that returns `x`.

    This applies bias, logit scale and softcap of every family without knowing them. No other thread may use
    the model meanwhile.

    Args:
        model: the causal LM.
        anatomy: its parts.
        x: normed hidden states, `[cols, d]`.

    Returns:
        Logits `[cols, vocabulary]`, in the model's dtype.
    """
    for module in anatomy.after_norm:
        x = module(x)
    body, had_own = anatomy.body, "forward" in vars(anatomy.body)
    original = body.forward

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        return _with_hidden_state(anatomy.body_output, x[None])

    body.forward = stand_in
    try:
        ids = torch.zeros(1, len(x), dtype=torch.long, device=x.device)  # only its shape is looked at
        logits: Tensor = model(input_ids=ids, use_cache=False).logits[0]
    finally:
        if had_own:  # accelerate sets `forward` on the instance
            body.forward = original
        else:
            del body.forward
    return logits


def _with_hidden_state(output: Any, x: Tensor) -> Any:
    """Return a copy of the body's output with `x` as its hidden state."""
    if isinstance(output, tuple):
        return (x, *output[1:])
    return type(output)(**{**output, "last_hidden_state": x})


# Config keys of all families for the factor on the logits (some multiply by it, some divide) and the softcap.
_SCALE_NAMES = ("logit_scale", "logits_scaling", "lm_head_multiplier", "logits_mup_width_multiplier")
_CAP_NAMES = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")


def prove_linear(model: Any, anatomy: Anatomy, samples: Tensor, config: Any) -> LinearHead | None:
    """Return the head as one matrix, if that agrees with the model's own head on `samples`; else None.

    Args:
        model: the causal LM.
        anatomy: its parts.
        samples: normed hidden states that look like real ones, `[cols, d]`.
        config: the model's configuration, which may name a scale and a softcap. Neither is used unless the
            values bear it out.
    """
    matrix = model.get_output_embeddings()
    if (
        anatomy.after_norm
        or not isinstance(matrix, nn.Linear)
        or not matrix.weight.is_floating_point()  # quantized
        or matrix.weight.shape[-1] != samples.shape[-1]
    ):
        return None
    wanted = model_head(model, anatomy, samples).float()
    plain = nn.functional.linear(samples.to(matrix.weight.dtype), matrix.weight, matrix.bias).float()
    named_cap = _named_cap(config)
    # A softcap does not show on small logits: loud samples go well beyond it.
    loud = samples * max(8.0, 2 * (named_cap or 0.0) / float(plain.abs().max().clamp(min=1e-6)))
    wanted_loud = model_head(model, anatomy, loud).float()
    for cap in dict.fromkeys((None, named_cap)):
        fitted = _fitted_scale(plain, wanted, cap)
        linear = LinearHead(matrix.weight, matrix.bias, _named_scale(fitted, config), cap)
        if _agrees(linear, samples, wanted) and _agrees(linear, loud, wanted_loud):
            return linear
    return None


def _fitted_scale(plain: Tensor, wanted: Tensor, cap: float | None) -> float:
    """Return the factor on `plain` logits that gives `wanted`, before the softcap."""
    if cap is not None:
        # Where the cap is flat, its inverse is inaccurate, and useless in half precision.
        sure = wanted.abs() < 0.7 * cap
        if not bool(sure.any()):
            return 1.0
        plain, wanted = plain[sure], cap * torch.atanh(wanted[sure] / cap)
    return float((wanted * plain).sum() / plain.square().sum())


def _agrees(linear: LinearHead, x: Tensor, wanted: Tensor) -> bool:
    """Return whether the difference is rounding alone; False where it is NaN."""
    tolerance = 1e-5 if linear.weight.dtype == torch.float32 else 2e-2
    worst = float((linear(x).float() - wanted).abs().max())
    return worst <= tolerance * max(1.0, float(wanted.abs().max()))


def _named_scale(fitted: float, config: Any) -> float:
    """Return the fitted scale, replaced by the config's where both agree up to rounding."""
    return next((value for value in _named_scales(config) if abs(fitted / value - 1) < 5e-3), fitted)


def _named_scales(config: Any) -> list[float]:
    """Return the factors that a config may mean, 1 first."""
    named = [float(value) for name in _SCALE_NAMES if (value := getattr(config, name, None))]
    return [1.0, *named, *(1 / value for value in named)]


def _named_cap(config: Any) -> float | None:
    """Return the softcap that a config names, if any."""
    return next((cap for name in _CAP_NAMES if (cap := getattr(config, name, None))), None)


def head_candidates(config: Any) -> list[tuple[float, float | None]]:
    """Return what a head that is one matrix may do beside it, by its config: a factor, and a softcap or none.

    Which one it does is for the values to show.
    """
    caps = dict.fromkeys((None, _named_cap(config)))
    return [(scale, cap) for cap in caps for scale in dict.fromkeys(_named_scales(config))]
