"""How a tuned lens is fitted: the options, and the presets that fill them in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from lenstui.support.errors import LensError

Optimizer = Literal["muon", "adam", "sgd"]
Loss = Literal["kl", "ce"]
Products = Literal["auto", "float32", "bfloat16"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
LOSSES: tuple[Loss, ...] = get_args(Loss)
PRODUCTS: tuple[Products, ...] = get_args(Products)

DEFAULT_PRESET = "quick"
HELD_OUT = 0.1  # share of the text that is never trained on, where nobody says
CHECKPOINT_EVERY = 60.0  # seconds between two checkpoints, where nobody says


@dataclass(frozen=True, slots=True)
class FitOptions:
    """All that decides a fit, but for the model and the text.

    Attributes:
        preset: name of the preset that these began as.
        closed_form_tokens: tokens that the closed form sees; 0 starts from zero, which is the logit lens.
        steps: optimizer steps after that.
        tokens_per_step: columns that one step sees.
        seq_len: columns of a block; no longer than the model's context.
        optimizer: `muon` (on the matrices; Adam on the biases), `adam` or `sgd` (Nesterov).
        lr: learning rate at the first step; it falls linearly to 0. With `muon` it is relative: a row's is
            that times the size of `h_L` over the size of its `h_i`.
        momentum: of Muon and SGD.
        weight_decay: decoupled for Muon and Adam, added to the gradient for SGD.
        clip: largest gradient norm, or None.
        clip_together: one norm over all rows, as the `tuned-lens` library does it, not one per row.
        loss: `kl`, KL(final ‖ lens), or `ce`, cross-entropy of the token that really comes next.
        bias_only: leave the matrices at zero.
        seed: of the order in which blocks are seen.
        held_out_tokens: columns that the held-out KL is measured on.
        products: dtype of the two products by the unembedding that make a gradient. `auto` is bfloat16 where
            the machine is fast at it and, by value, it costs nothing that could be noticed; else the
            model's own. Every KL that is reported is made in the model's own dtype.
        vocabulary: about how many tokens, drawn anew for each step, stand for all of them in a gradient
            (`SampledVocabulary`); 0 for all, and always all with `ce`. Every KL that is reported is over all.
    """

    preset: str = DEFAULT_PRESET
    closed_form_tokens: int = 16_384
    steps: int = 40
    tokens_per_step: int = 256
    seq_len: int = 256
    optimizer: Optimizer = "muon"
    lr: float = 8e-3
    momentum: float = 0.8
    weight_decay: float = 0.0
    clip: float | None = 1.0
    clip_together: bool = False
    loss: Loss = "kl"
    bias_only: bool = False
    seed: int = 0
    held_out_tokens: int = 1_024
    products: Products = "auto"
    vocabulary: int = 4_096

    @property
    def tokens(self) -> int:
        """Columns that the closed form and all steps see."""
        return self.closed_form_tokens + self.steps * self.tokens_per_step

    def check(self) -> None:
        """Raise `LensError` where the options make no sense together."""
        for name in ("tokens_per_step", "seq_len", "held_out_tokens"):
            if getattr(self, name) < 2:
                raise LensError(f"{name} must be at least 2, not {getattr(self, name)}.")
        for name in ("closed_form_tokens", "steps", "lr", "momentum", "weight_decay", "vocabulary"):
            if getattr(self, name) < 0:
                raise LensError(f"{name} must not be negative.")
        if self.closed_form_tokens and self.bias_only:
            raise LensError("The closed form fits matrices: with bias_only, set closed_form_tokens to 0.")
        if not self.closed_form_tokens and not self.steps:
            raise LensError("With neither a closed form nor steps there is nothing to fit.")


PRESETS = {
    DEFAULT_PRESET: FitOptions(),
    "standard": FitOptions(
        preset="standard",
        closed_form_tokens=131_072,
        steps=1000,
        tokens_per_step=512,
        lr=6e-3,
        momentum=0.9,
        held_out_tokens=8_192,
        vocabulary=8_192,
    ),
    # Belrose et al. 2023, section 3 and the library's defaults: lr 1.0 · (1 - momentum).
    "paper": FitOptions(
        preset="paper",
        closed_form_tokens=0,
        steps=250,
        tokens_per_step=2**18,
        seq_len=2048,
        optimizer="sgd",
        lr=1.0 * (1 - 0.9),
        momentum=0.9,
        weight_decay=1e-3,
        clip_together=True,
        held_out_tokens=16_384,
        vocabulary=0,
    ),
    # The recipe of small scripts.
    "adam": FitOptions(
        preset="adam",
        closed_form_tokens=0,
        steps=500,
        tokens_per_step=512,
        optimizer="adam",
        lr=1e-3,
        held_out_tokens=8_192,
        vocabulary=0,
    ),
}


def preset(name: str, **changes: object) -> FitOptions:
    """The options of a preset, some of them changed.

    Raises:
        LensError: for an unknown preset, or options that make no sense together.
    """
    if name not in PRESETS:
        raise LensError(f"Unknown preset {name!r}: {', '.join(PRESETS)}.")
    options = replace(PRESETS[name], **changes)  # type: ignore[arg-type]
    options.check()
    return options
