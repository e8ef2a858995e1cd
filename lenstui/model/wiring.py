"""The wiring check: proof, by value, that residual stream and head are read as the model computes them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lenstui.model.head import Head
from lenstui.model.not_finite import no_wiring
from lenstui.model.residual import residual_stream, residual_stream_and_logits
from lenstui.support.errors import LensError

# The largest difference between two logits that counts as none, as a share of the largest logit (at least 1).
# Both sides run the same operations on the same shapes, so this is rounding alone.
TOLERANCES = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}

_CAUSAL = "no column sees a later one"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the worst difference found, and its tolerance.

    The worst difference is NaN where no comparison is possible: the model's own numbers include NaN or +inf.
    """

    name: str
    worst: float
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether the worst difference is within the tolerance; False for NaN."""
        return self.worst <= self.tolerance


def check_wiring(model: nn.Module, head: Head, ids: Tensor) -> tuple[Check, ...]:
    """Compare the stream and logits as lenstui reads them with the model's own, on a short text.

    `head(final_norm(h_L))` must be the model's own logits, both through the model's own head and through the
    single matrix where there is one; and no column may depend on a later one, as in every causal LM.

    Args:
        model: the causal LM.
        head: its head.
        ids: `[1, cols]`, at least two columns.

    Returns:
        The checks, all of them passed.

    Raises:
        LensError: if a check fails; the message names it and the difference.
    """
    h, logits = residual_stream_and_logits(model, head.anatomy, ids)
    if len(h) != len(head.anatomy.blocks) + 1:
        raise LensError(
            f"Wiring check failed: {len(h)} rows of residual stream for {len(head.anatomy.blocks)} blocks."
        )
    tolerance = TOLERANCES.get(h.dtype, TOLERANCES[torch.bfloat16])
    # The blocks of a quantized model compute in another dtype, and pick outliers by batch.
    if getattr(model, "is_quantized", False):
        tolerance = TOLERANCES[torch.bfloat16]
    with torch.inference_mode():
        own = Head(model, head.anatomy)
        checks = [_compare("head(final norm(h_L)) = the model's logits", own(h[-1, 0]), logits[0], tolerance)]
        if head.linear is not None:
            checks.append(
                _compare("head as one matrix = the model's logits", head(h[-1, 0]), logits[0], tolerance)
            )
        changed = ids.clone()
        changed[0, -1] = changed[0, 0] if changed[0, 0] != ids[0, -1] else (ids[0, -1] + 1) % logits.shape[-1]
        before = residual_stream(model, head.anatomy, changed)[-1, 0, :-1]
        checks.append(_compare(_CAUSAL, before.float(), h[-1, 0, :-1], tolerance))
    for check in checks:
        if math.isnan(check.worst):
            raise LensError(no_wiring(check.name, str(h.dtype).removeprefix("torch.")))
        if not check.ok:
            reason = "looks ahead: it is no causal LM" if check.name == _CAUSAL else "is not read right"
            raise LensError(
                f"Wiring check failed: {check.name}: off by {check.worst:.2g} "
                f"(tolerance {check.tolerance:.0e}). {type(model).__name__} {reason}, so nothing is "
                "shown. Choose another model."
            )
    return tuple(checks)


def _compare(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Check:
    # A head may forbid tokens with -inf or the lowest number of its dtype: left out of the scale.
    forbidden = theirs <= torch.finfo(theirs.dtype).min / 2
    theirs = theirs.float()
    # No difference can be measured against NaN or +inf.
    if not bool((theirs < torch.inf).all()):
        return Check(name, math.nan, tolerance)
    differences = torch.where(ours == theirs, 0.0, (ours - theirs).abs()).nan_to_num_(nan=torch.inf)
    worst = differences.max() / theirs.masked_fill(forbidden, 0.0).abs().max().clamp(min=1.0)
    return Check(name, float(worst), tolerance)
