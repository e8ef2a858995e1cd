"""`lenstui train`: fit a tuned lens in any terminal."""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_model, add_text, model_start, positive
from lenstui.cli.ending import heard
from lenstui.cli.fit_display import display, report, say_text
from lenstui.cli.stderr import aside, progress, say
from lenstui.export.command import command_text
from lenstui.fitting.names import Claim, check_unfinished, checkpoint_path, claim, claim_new, lens_path
from lenstui.support import paths
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError, is_out_of_memory, named_line
from lenstui.support.request import Start
from lenstui.support.typed_number import finite_number, whole_number

if TYPE_CHECKING:
    from lenstui.fitting.checkpoint import Checkpoint
    from lenstui.fitting.fit import FitPlan
    from lenstui.fitting.state import Fit
    from lenstui.lens.tuned import TunedLens

_PRESETS = ("quick", "standard", "paper", "adam")
_CHANGES = (
    "steps", "tokens_per_step", "seq_len", "optimizer", "lr", "momentum", "weight_decay", "clip", "loss",
    "bias_only", "seed", "products",
)  # fmt: skip
# What decides a fit is in its checkpoint: none of it can be said again.
_DECIDED = (*_CHANGES, "preset", "epochs", "data", "text_column", "max_samples", "min_chars", "held_out")


@dataclass(frozen=True, slots=True)
class _Keeping:
    """Where a fit is kept.

    Attributes:
        claim: on the file that the lens goes to in the end.
        every: seconds between two checkpoints; 0 for none but at an end.
    """

    claim: Claim
    every: float

    @property
    def lens(self) -> Path:
        """The file that the lens goes to in the end."""
        return self.claim.lens

    @property
    def checkpoint(self) -> Path:
        """The file that the fit is written to meanwhile."""
        return checkpoint_path(self.lens)


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui train` and do it."""
    parser = _parser()
    given = parser.parse_args(words)
    asked = model_start(parser, given)
    if given.resume is not None:
        _check_nothing_said_again(parser, given)
    elif given.epochs is not None and given.steps is not None:
        parser.error("--epochs says how many steps there are: leave --steps out")
    fit, plan, keeping = _resumed(given, asked) if given.resume is not None else _begun(given, asked)
    try:
        return _run(fit, plan, keeping, given.format)
    finally:
        keeping.claim.release()


def _begun(given: argparse.Namespace, asked: Start) -> tuple[Fit, FitPlan, _Keeping]:
    """A fit before its first step."""
    from lenstui.texts.documents import Documents, SkippedLines, find_files

    data = given.data or [str(paths.bundled_model() / "text.parquet")]
    documents = Documents(tuple(data), given.text_column, given.min_chars or 1, given.max_samples)
    find_files(documents)  # before a model is loaded in vain
    if given.save is not None:
        check_place(given.save)
        check_unfinished(given.save)
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        model = open_model(asked, on_stage).model
        on_stage("reading the text")
        from lenstui.fitting.fit import FitPlan, begin
        from lenstui.fitting.options import preset

        changes = {name: getattr(given, name) for name in _CHANGES if getattr(given, name) is not None}
        if changes.get("bias_only"):
            changes["closed_form_tokens"] = 0
        options = preset(given.preset or "quick", **changes)
        plan = FitPlan(options, documents, given.held_out or 0.1, given.epochs)
        skipped = SkippedLines()
        fit = begin(model, plan, skipped)
    if skipped.count:
        say(str(skipped))
    say_text(fit, given.epochs)
    if given.save is None:
        claimed = claim_new(model.name, options.preset)
    else:
        claimed = claim(given.save)
        check_unfinished(given.save)  # once more: it may be of a fit that has ended since
    return fit, plan, _Keeping(claimed, given.checkpoint_every)


def _resumed(given: argparse.Namespace, asked: Start) -> tuple[Fit, FitPlan, _Keeping]:
    """A fit as its checkpoint left it."""
    from lenstui.fitting.checkpoint import doubt, open_checkpoint, resume

    checkpoint = open_checkpoint(given.resume)
    lens = given.save or lens_path(given.resume)
    check_place(lens)
    if checkpoint_path(lens).resolve() != given.resume.resolve():
        check_unfinished(lens)
    if given.save is None and checkpoint.save not in {None, lens.absolute()}:
        say(f"The lens will go to {lens}, beside its checkpoint; --save {checkpoint.save} puts it there.")
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        model = open_model(_model_of(checkpoint, asked), on_stage).model
        on_stage("reading the text")
        fit = resume(model, checkpoint)
    if (left_open := doubt(model, checkpoint)) is not None:
        say(f"{left_open}.")
    say(f"Going on at step {fit.state.step} of {fit.options.steps}.")
    return fit, checkpoint.plan, _Keeping(claim(lens), given.checkpoint_every)


def _model_of(checkpoint: Checkpoint, asked: Start) -> Start:
    """The model of a checkpoint, but for what was said of it on the command line."""
    from lenstui.model.hub import BUNDLED_MODEL

    dtype = checkpoint.dtype if asked.dtype == "auto" else asked.dtype
    if asked.model is not None or asked.demo:
        return replace(asked, dtype=dtype)
    if checkpoint.model == BUNDLED_MODEL:
        return replace(asked, demo=True, dtype=dtype)
    revision = checkpoint.config.get("base_model_revision")
    return replace(asked, model=checkpoint.model, revision=revision, dtype=dtype)


def _check_nothing_said_again(parser: Parser, given: argparse.Namespace) -> None:
    for name in _DECIDED:
        if getattr(given, name) is not None:
            option = name.replace("_", "-")
            parser.error(f"--resume goes on with what was begun: leave --{option} out")


def _run(fit: Fit, plan: FitPlan, keeping: _Keeping, form: str) -> int:
    """Do what is left of a fit, keep it, and report."""
    from lenstui.fitting.fit import fitted_lens

    with heard() as ending:
        with aside():
            ended, kept = _go_on(fit, plan, keeping, ending)
        stopped = f"Stopped at step {fit.state.step} of {fit.options.steps}"
        how = f" {_how_to_go_on(keeping)}" if kept else ""
        if ended is not None and (ended is not signal.SIGINT or not fit.state.tokens):
            with suppress(OSError):  # with the line, stderr may be gone
                say(f"{stopped}.{how or ' Nothing is kept.'}")
            return 128 + ended
        lens = replace(fitted_lens(fit), name=keeping.lens.stem)
        path = _save(lens, keeping.lens)
        if ended is not None:
            say(f"{stopped}: what was learned is saved.{how}")
        elif path == keeping.lens:
            with suppress(OSError):  # the folder may be read-only by now
                keeping.checkpoint.unlink(missing_ok=True)
    report(lens, path, form)
    return 0 if path == keeping.lens else 1


def _go_on(
    fit: Fit, plan: FitPlan, keeping: _Keeping, ending: Callable[[], signal.Signals | None]
) -> tuple[signal.Signals | None, bool]:
    """Do what is left of a fit.

    Returns:
        The signal that ended it, or None, and whether there is a checkpoint to go on from.
    """
    from lenstui.fitting.loop import fit_steps, measure

    well = True  # the last checkpoint could be written
    try:
        with display(fit.options.steps) as show:
            written = time.monotonic()
            for now in fit_steps(fit):
                show(now)
                if ended := ending():
                    well = _write_checkpoint(fit, plan, keeping)  # first: it may not wait for the rest
                    if ended is signal.SIGINT and fit.state.tokens:
                        for measured in measure(fit):
                            show(measured)
                    return ended, well
                if keeping.every and time.monotonic() - written >= keeping.every:
                    well = _write_checkpoint(fit, plan, keeping, tell=well)
                    written = time.monotonic()
    except (LensError, MemoryError, RuntimeError) as error:  # torch's is a RuntimeError when memory is out
        kept = _write_checkpoint(fit, plan, keeping)
        raise LensError(f"{_told(error)} {_how_to_go_on(keeping) if kept else ''}".rstrip()) from error
    return None, False


def _write_checkpoint(fit: Fit, plan: FitPlan, keeping: _Keeping, *, tell: bool = True) -> bool:
    """Whether it could be written. A full disk is said, and is no reason to stop."""
    from lenstui.fitting.checkpoint import save_checkpoint

    try:
        save_checkpoint(keeping.checkpoint, fit, plan, save=keeping.lens)
    except LensError as error:
        if tell:
            with suppress(OSError):  # with the line, stderr may be gone
                say(f"No checkpoint: {error}")
        return False
    return True


def _save(lens: TunedLens, path: Path) -> Path:
    """Save the lens: where it was to go, else where it can be."""
    from lenstui.lens.formats.own import save_lens

    try:
        save_lens(lens, path)
    except LensError as error:
        say(str(error))
        path = Path(tempfile.mkdtemp(prefix="lenstui-")) / path.name
        save_lens(lens, path)
    return path


def _told(error: Exception) -> str:
    """The message of an error, and what to do where memory ran out."""
    if isinstance(error, LensError):
        return str(error)
    if is_out_of_memory(error):
        return "Out of memory: choose shorter blocks (--seq-len), --dtype bfloat16 or another --device."
    return f"The fit failed: {named_line(error)}."


def _how_to_go_on(keeping: _Keeping) -> str:
    words = ["lenstui", "train", "--resume", str(keeping.checkpoint)]
    if lens_path(keeping.checkpoint) != keeping.lens:  # it goes there by itself
        words += ["--save", str(keeping.lens)]
    return f"To go on: {command_text(words)}"


def _parser() -> Parser:
    parser = Parser(
        "lenstui train",
        "Fit a tuned lens to a model.",
        usage="lenstui train [--data FILE…] [options]\n       lenstui train --resume FILE",
        epilog="Ctrl+C stops and keeps what was learned, with a checkpoint to go on from.",
    )
    text = add_text(parser, required=False)
    text.add_argument(
        "--held-out", metavar="SHARE", type=_share, help="share never trained on (default: 0.1)"
    )
    how = parser.add_argument_group("method")
    how.add_argument("--preset", choices=_PRESETS, help="default: quick")
    how.add_argument("--steps", metavar="N", type=_whole, help="optimizer steps")
    how.add_argument(
        "--epochs", metavar="N", type=positive, help="as many steps as N passes over the text take"
    )
    how.add_argument("--tokens-per-step", metavar="N", type=positive)
    how.add_argument("--seq-len", metavar="N", type=positive, help="tokens of a block")
    how.add_argument("--optimizer", choices=("muon", "adam", "sgd"))
    how.add_argument("--lr", metavar="X", type=_number, help="learning rate at the first step; it falls to 0")
    how.add_argument("--momentum", metavar="X", type=_number, help="of Muon and SGD")
    how.add_argument("--weight-decay", metavar="X", type=_number)
    how.add_argument("--clip", metavar="X", type=_number, help="largest gradient norm of a row")
    how.add_argument("--loss", choices=("kl", "ce"), help="KL to the final distribution, or cross-entropy")
    how.add_argument("--bias-only", action="store_const", const=True, help="leave the matrices at zero")
    how.add_argument("--seed", metavar="N", type=_whole, help="of the order of the text (default: 0)")
    how.add_argument(
        "--products",
        choices=("auto", "float32", "bfloat16"),
        help="dtype of the gradient's products (default: bfloat16 where that is fast and harmless)",
    )
    add_model(parser, lens=False)
    output = parser.add_argument_group("output")
    output.add_argument("--save", metavar="FILE", type=Path, help="default: a new file in the lenses folder")
    output.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=_number,
        default=60.0,
        help="write one beside the lens so often; 0: only where the fit is ended (default: 60)",
    )
    output.add_argument(
        "--resume", metavar="FILE", type=Path, help="go on from a checkpoint; the lens goes beside it"
    )
    output.add_argument("--format", choices=("text", "json"), default="text", help="what to print at the end")
    return parser


def _whole(text: str) -> int:
    if (number := whole_number(text)) is None:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return number


def _number(text: str) -> float:
    if (number := finite_number(text)) is None:
        raise argparse.ArgumentTypeError(f"must be a number that is not negative, not {text!r}")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return number
