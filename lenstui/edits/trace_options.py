"""What a causal trace patches, and how it is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lenstui.edits.edit import Columns

What = Literal["resid", "attn", "mlp", "head"]
MetricName = Literal["logit-diff", "logprob", "kl"]
WHATS: tuple[What, ...] = ("resid", "attn", "mlp", "head")
METRICS: tuple[MetricName, ...] = ("logit-diff", "logprob", "kl")
DRAWS = 10


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What a trace patches, and how it is measured.

    Attributes:
        what: `resid` for the residual stream, `attn` or `mlp` for what these add, `head` for attention heads.
        metric: `logit-diff` for the logit of `token` minus that of `minus`, `logprob` for the log-probability
            of `token`, nats, `kl` for −KL(clean ‖ patched), nats.
        token: a token id; None for the clean run's likeliest token.
        minus: a token id; None for the corrupted run's likeliest token.
        window: how many neighbouring blocks are patched together, of attention and MLP.
        column: the column in which attention heads are patched; None for all columns.
        noise: columns whose embeddings get noise; None where a second prompt is the corruption.
        samples: the number of draws of noise.
        seed: the seed of the draws.
        approximate: whether all patches are estimated to first order, from one backward pass (attribution
            patching), instead of made one by one.
    """

    what: What = "resid"
    metric: MetricName = "logit-diff"
    token: int | None = None
    minus: int | None = None
    window: int = 1
    column: int | None = None
    noise: Columns | None = None
    samples: int = DRAWS
    seed: int = 0
    approximate: bool = False
