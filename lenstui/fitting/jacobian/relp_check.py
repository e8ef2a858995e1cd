"""Proof, at the start of a fit, that the rules of an R-Lens hold in a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lenstui.fitting.jacobian.graph import without_parameters
from lenstui.fitting.jacobian.relp import Relp
from lenstui.fitting.jacobian.relp_parts import Call, Parts, find_parts
from lenstui.model.load import Model
from lenstui.support.errors import LensError

_COLUMNS = 32  # of the text that the rules are proven on
# The largest share of a part's output that a linear map of its input and its biases may leave unexplained.
_TOLERANCES = {torch.float32: 1e-3, torch.float64: 1e-6}
_HALF_PRECISION = 5e-2


def proven_relp(model: Model, ids: Tensor) -> Relp:
    """Return the rules of an R-Lens for a model.

    They are proven in three ways: the logits stay the same, bit for bit; every norm has a scale that was
    held; and every part that is held is a linear map of its input and its biases, as its gradients see it.

    Args:
        model: from `load`.
        ids: the token ids of a prompt, `[cols]`, on the CPU.

    Raises:
        LensError: if the rules do not hold, with the reason.
    """
    ids = ids[:_COLUMNS]
    parts = find_parts(model, ids)
    rules = Relp(parts)
    before = _logits(model, ids)
    with rules.applied():
        after = _logits(model, ids)
    if not torch.equal(before, after):
        raise _refused(model, "its logits are not the same bit for bit")
    if parts.unknown:
        call = parts.unknown[0]
        raise _refused(model, f"what {call.name} of block {call.block} does is not known")
    _check_norms(model, parts, rules)
    for call in parts.held:
        if (left := _unexplained(call, rules)) > _TOLERANCES.get(model.dtype, _HALF_PRECISION):
            raise _refused(
                model,
                f"{call.name} of block {call.block} ({type(call.module).__name__}) is not linear under them "
                f"({left:.1%} of its output is left over)",
            )
    return rules


def _refused(model: Model, reason: str) -> LensError:
    return LensError(
        f"The rules of an R-Lens do not hold in {type(model.module).__name__}: {reason}. Leave --rule out."
    )


def _logits(model: Model, ids: Tensor) -> Tensor:
    """Return the logits of a pass that makes a graph from the first row on, `[1, cols, vocabulary]`."""

    def begin(block: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0].detach().requires_grad_(), *args[1:])

    handle = model.anatomy.blocks[0].register_forward_pre_hook(begin)
    try:
        with without_parameters(model.module), sdpa_kernel(SDPBackend.MATH), torch.enable_grad():
            logits: Tensor = model.module(input_ids=ids[None].to(model.device), use_cache=False).logits
    finally:
        handle.remove()
    return logits.detach()


def _check_norms(model: Model, parts: Parts, rules: Relp) -> None:
    """Refuse a model with a block that shows no norm, or fewer held ones than it has."""
    for number, block in enumerate(model.anatomy.blocks):
        norms = [module for module in block.modules() if module in parts.norms]
        held = [norm for norm in norms if norm in rules.held]
        if not norms or len(held) < len(norms):
            raise _refused(model, f"block {number} shows {len(held)} held norms of {len(norms)}")


def _unexplained(call: Call, rules: Relp) -> float:
    """Return the share of a part's output that its gradients, times its input and biases, do not give.

    A map that is linear in the two together is their sum.
    """
    module = call.module
    wanted = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    biases = [parameter for name, parameter in module.named_parameters() if name.endswith("bias")]
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    for bias in biases:
        bias.requires_grad_(True)
    try:
        with torch.enable_grad(), rules.applied():
            hidden = [each.clone().requires_grad_() for each in call.hidden]
            y = call.again(hidden)
            sources = [*hidden, *biases]
            gradients = torch.autograd.grad(y, sources, y.detach(), allow_unused=True)
    finally:
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(wanted[name])
    given = sum(
        float((source.detach().double() * gradient.double()).sum())
        for source, gradient in zip(sources, gradients, strict=True)
        if gradient is not None
    )
    size = float(y.detach().double().square().sum())
    return abs(given - size) / size if size else 0.0
