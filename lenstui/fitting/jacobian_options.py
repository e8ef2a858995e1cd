"""Options of the fit of a Jacobian lens. Nothing heavy is imported: the command line's help needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from lenstui.fitting.options import MOST
from lenstui.support.errors import LensError

Target = Literal["last", "penultimate"]
Rule = Literal["none", "relp"]
Estimator = Literal["exact", "control-variate"]
TARGETS: tuple[Target, ...] = get_args(Target)
RULES: tuple[Rule, ...] = get_args(Rule)
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)
EXACT_EVERY = 8


@dataclass(frozen=True, slots=True)
class JacobianOptions:
    """The options of the fit of a Jacobian lens: all that determines it except the model and the text.

    The defaults are those of Gurnee et al. 2026 and their reference code, but for the number of prompts.

    Attributes:
        kind: the kind of lens.
        unit: what a step is called.
        n_prompts: the number of prompts; each is the beginning of a document.
        seq_len: the number of columns of a prompt; no more than the model's context. Shorter documents are
            passed over.
        skip_first: the number of first columns that are neither sources nor targets.
        target: `last`, the input `h_L` of the final norm, or `penultimate`, the input `h_{L-1}` of the last
            block.
        rule: `none`, or `relp` for an R-Lens, whose norms and MLPs count as linear maps (`relp`).
        estimator: `exact`, or `control-variate`, which takes the Jacobian of every `EXACT_EVERY`th prompt
            alone, and of all prompts what goes with it (`mean_field`).
        seed: the seed of the choice of held-out documents.
    """

    kind: ClassVar[str] = "jacobian"
    unit: ClassVar[str] = "prompt"
    n_prompts: int = 100
    seq_len: int = 128
    skip_first: int = 16
    target: Target = "last"
    rule: Rule = "none"
    estimator: Estimator = "exact"
    seed: int = 0

    @property
    def preset(self) -> str:
        """The name that a new lens is called by."""
        return "jacobian" if self.rule == "none" else "r-lens"

    @property
    def exact_every(self) -> int:
        """The distance between two prompts whose Jacobian is computed."""
        return 1 if self.estimator == "exact" else EXACT_EVERY

    @property
    def steps(self) -> int:
        """The number of prompts, which are what the steps are in the fit of a tuned lens."""
        return self.n_prompts

    def check(self) -> None:
        """Refuse invalid options.

        Raises:
            LensError: if a number is too small or too large, or the options contradict each other.
        """
        if self.n_prompts < 1:
            raise LensError(f"n_prompts must be at least 1, not {self.n_prompts}.")
        for name in ("n_prompts", "seq_len", "skip_first"):
            if getattr(self, name) > MOST:
                raise LensError(f"{name} must be at most {MOST:,}.")
        if self.skip_first < 0:
            raise LensError("skip_first must not be negative.")
        if self.estimator != "exact" and self.rule != "none":
            raise LensError(
                f"There is no control variate with --rule {self.rule}: leave either it or --estimator out."
            )
        if self.seq_len < self.skip_first + 2:
            raise LensError(
                f"With the first {self.skip_first} columns and the last one left out, prompts of "
                f"{self.seq_len} columns have none left: seq_len must be at least {self.skip_first + 2}."
            )
