"""The arguments of `lenstui train` that say what is fitted and how, for each kind of lens."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, positive
from lenstui.fitting.jacobian_options import ESTIMATORS, EXACT_EVERY, RULES, TARGETS, JacobianOptions
from lenstui.fitting.options import (
    DEFAULT_PRESET,
    LOSSES,
    OPTIMIZERS,
    PRESETS,
    PRODUCTS,
    FitOptions,
    preset,
)
from lenstui.support.typed_number import finite_number, whole_number

if TYPE_CHECKING:
    from lenstui.fitting.plan import AnyOptions

_DEFAULT = JacobianOptions()
KINDS = (FitOptions.kind, JacobianOptions.kind)
_OF_BOTH = ("seq_len", "seed")
_CHANGES = {  # the names of options that change the defaults, by kind
    FitOptions.kind: (
        *("steps", "tokens_per_step", "optimizer", "lr", "momentum", "weight_decay", "clip", "loss"),
        *("bias_only", "products", "until_kl"),
    ),
    JacobianOptions.kind: ("n_prompts", "skip_first", "target", "rule", "estimator"),
}
_OF_KIND = {**_CHANGES, FitOptions.kind: (*_CHANGES[FitOptions.kind], "preset", "epochs")}

# Options that a checkpoint fixes, which cannot be given with --resume.
DECIDED = ("kind", *_OF_BOTH, *(name for names in _OF_KIND.values() for name in names))


def add_fit_options(parser: Parser) -> None:
    """Add the arguments that say what is fitted and how."""
    both = parser.add_argument_group("lens")
    both.add_argument("--kind", choices=KINDS, help=f"kind of lens (default: {FitOptions.kind})")
    both.add_argument(
        "--seq-len",
        metavar="N",
        type=positive,
        help=f"tokens of a block; of a prompt with --kind jacobian (default: {_DEFAULT.seq_len})",
    )
    both.add_argument(
        "--seed", metavar="N", type=whole, help="of the order and of what is held out (default: 0)"
    )
    _add_tuned(parser)
    _add_jacobian(parser)


def _add_tuned(parser: Parser) -> None:
    how = parser.add_argument_group("method of a tuned lens")
    how.add_argument("--preset", choices=tuple(PRESETS), help=f"default: {DEFAULT_PRESET}")
    how.add_argument("--steps", metavar="N", type=whole, help="optimizer steps")
    how.add_argument(
        "--epochs", metavar="N", type=positive, help="as many steps as N passes over the text take"
    )
    how.add_argument("--tokens-per-step", metavar="N", type=positive)
    how.add_argument("--optimizer", choices=OPTIMIZERS)
    how.add_argument("--lr", metavar="X", type=number, help="learning rate at the first step; it falls to 0")
    how.add_argument("--momentum", metavar="X", type=number, help="of Muon and SGD")
    how.add_argument("--weight-decay", metavar="X", type=number)
    how.add_argument("--clip", metavar="X", type=number, help="largest gradient norm of a row")
    how.add_argument("--loss", choices=LOSSES, help="KL to the final distribution, or cross-entropy")
    how.add_argument("--bias-only", action="store_const", const=True, help="leave the matrices at zero")
    how.add_argument(
        "--until-kl",
        metavar="X",
        type=number,
        help="end early, with a mean held-out KL of at most X nats",
    )
    how.add_argument(
        "--products",
        choices=PRODUCTS,
        help="dtype of the gradient's products (default: bfloat16 where that is fast and harmless)",
    )


def _add_jacobian(parser: Parser) -> None:
    how = parser.add_argument_group("method of a Jacobian lens")
    how.add_argument(
        "--n-prompts",
        metavar="N",
        type=positive,
        help=f"beginnings of documents to fit on (default: {_DEFAULT.n_prompts})",
    )
    how.add_argument(
        "--skip-first",
        metavar="N",
        type=whole,
        help=f"first tokens of a prompt that are left out (default: {_DEFAULT.skip_first})",
    )
    how.add_argument(
        "--target",
        choices=TARGETS,
        help="whose derivative: the last row's, or the output of the block before the last (default: last)",
    )
    how.add_argument("--rule", choices=RULES, help="relp fits an R-Lens (default: none)")
    how.add_argument(
        "--estimator",
        choices=ESTIMATORS,
        help=f"control-variate: the Jacobian of one prompt in {EXACT_EVERY}, a cheaper one of all "
        "(default: exact)",
    )


def check_kind(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse options that the kind of lens does not have."""
    kind = given.kind or FitOptions.kind
    for other, names in _OF_KIND.items():
        for name in names:
            if other != kind and getattr(given, name) is not None:
                option = name.replace("_", "-")
                parser.error(f"--{option} is for --kind {other}: a {kind} lens has no such option")
    if given.epochs is not None and given.steps is not None:
        parser.error("--epochs says how many steps there are: leave --steps out")


def fit_options(given: argparse.Namespace) -> AnyOptions:
    """Return the options of a fit from parsed arguments.

    Raises:
        LensError: if they contradict each other.
    """
    kind = given.kind or FitOptions.kind
    names = (*_OF_BOTH, *_CHANGES[kind])
    changes = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    if kind == JacobianOptions.kind:
        options = JacobianOptions(**changes)
        options.check()
        return options
    if changes.get("bias_only"):
        changes["closed_form_tokens"] = 0
    return preset(given.preset or DEFAULT_PRESET, **changes)


def whole(text: str) -> int:
    """Return a whole number, for argparse."""
    if (found := whole_number(text)) is None:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return found


def number(text: str) -> float:
    """Return a number that is not negative, for argparse."""
    if (found := finite_number(text)) is None:
        raise argparse.ArgumentTypeError(f"must be a number that is not negative, not {text!r}")
    return found
