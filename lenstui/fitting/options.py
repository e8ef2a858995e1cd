"""Options of a fit, and presets of options."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, get_args

from lenstui.support.errors import LensError

Optimizer = Literal["muon", "adam", "sgd"]
Loss = Literal["kl", "ce"]
Products = Literal["auto", "float32", "bfloat16"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
LOSSES: tuple[Loss, ...] = get_args(Loss)
PRODUCTS: tuple[Products, ...] = get_args(Products)

DEFAULT_PRESET = "quick"
MOST = 1 << 40  # steps, tokens, prompts: no fit comes near it
HELD_OUT = 0.1  # default share of the text that is never trained on
CHECKPOINT_EVERY = 60.0  # default seconds between two checkpoints


@dataclass(frozen=True, slots=True)
class FitOptions:
    """The options of a fit: all that determines it except the model and the text.

    Attributes:
        kind: the kind of lens.
        unit: what a step is called.
        preset: the name of the preset that these options are based on.
        closed_form_tokens: the number of tokens that the closed form sees; 0 to start from zero, the logit
            lens.
        steps: the number of optimizer steps after the closed form.
        tokens_per_step: the number of columns that one step sees.
        seq_len: the number of columns of a block; no more than the model's context.
        optimizer: `muon` (on the matrices; Adam on the biases), `adam` or `sgd` (Nesterov).
        lr: the learning rate at the first step; it falls linearly to 0. With `muon` it is relative: a row's
            rate is this times the size of `h_L` over the size of its `h_i`.
        momentum: the momentum of Muon and SGD.
        weight_decay: decoupled for Muon and Adam, added to the gradient for SGD.
        clip: the largest gradient norm, or None.
        clip_together: whether to clip the norm over all rows, as the `tuned-lens` library does, not each
            row's.
        loss: `kl`, KL(final ‖ lens), or `ce`, cross-entropy of the text's next token.
        bias_only: whether to leave the matrices at zero.
        seed: the seed of the order in which blocks are seen.
        held_out_tokens: the number of columns that the held-out KL is measured on.
        products: the dtype of the two products with the unembedding that make a gradient. `auto` is bfloat16
            where the machine is fast at it and its measured cost is negligible; else the model's own. Every
            reported KL is computed in the model's own dtype.
        starts_from: the lens, in words, whose translators the first step starts from; empty for the closed
            form's or zero. It is in the card, so that the lens says what it was made of.
        vocabulary: the approximate number of tokens, drawn anew for each step, that stand for all of them in
            a gradient (`SampledVocabulary`); 0 for all, and always all with `ce`. Every reported KL is over
            all tokens.
        until_kl: the held-out KL, nats, mean over the rows, with which the steps end early; 0 for none. It is
            looked for only where the training loss is as low.
    """

    kind: ClassVar[str] = "tuned"
    unit: ClassVar[str] = "step"
    preset: str = DEFAULT_PRESET
    closed_form_tokens: int = 16_384
    steps: int = 32
    tokens_per_step: int = 256
    seq_len: int = 256
    optimizer: Optimizer = "muon"
    lr: float = 8e-3
    momentum: float = 0.6
    weight_decay: float = 0.0
    clip: float | None = 1.0
    clip_together: bool = False
    loss: Loss = "kl"
    bias_only: bool = False
    seed: int = 0
    held_out_tokens: int = 1_024
    products: Products = "auto"
    starts_from: str = ""
    vocabulary: int = 2_048
    until_kl: float = 0.0

    @property
    def tokens(self) -> int:
        """The number of columns that the closed form and all steps see."""
        return self.closed_form_tokens + self.steps * self.tokens_per_step

    def check(self) -> None:
        """Refuse invalid options.

        Raises:
            LensError: if a number is too small or too large, or the options contradict each other.
        """
        for name in ("tokens_per_step", "seq_len", "held_out_tokens"):
            if getattr(self, name) < 2:
                raise LensError(f"{name} must be at least 2, not {getattr(self, name)}.")
        for name in (
            "closed_form_tokens",
            "steps",
            "lr",
            "momentum",
            "weight_decay",
            "vocabulary",
            "until_kl",
        ):
            if getattr(self, name) < 0:
                raise LensError(f"{name} must not be negative.")
        for name in ("closed_form_tokens", "steps", "tokens_per_step", "seq_len", "held_out_tokens"):
            if getattr(self, name) > MOST:
                raise LensError(f"{name} must be at most {MOST:,}.")
        if self.closed_form_tokens and self.bias_only:
            raise LensError("The closed form fits matrices: with bias_only, set closed_form_tokens to 0.")
        if self.closed_form_tokens and self.starts_from:
            raise LensError("A fit that starts from a lens has no closed form: set closed_form_tokens to 0.")
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
    """Return the options of a preset, with changes.

    Raises:
        LensError: if the preset is unknown, or the options are invalid.
    """
    if name not in PRESETS:
        raise LensError(f"Unknown preset {name!r}: {', '.join(PRESETS)}.")
    options = replace(PRESETS[name], **changes)  # type: ignore[arg-type]
    options.check()
    return options
