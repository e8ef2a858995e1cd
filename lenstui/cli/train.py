"""`lenstui train`: fit a tuned lens or a Jacobian lens in any terminal."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, add_model, add_text, model_start, named_path, text_documents
from lenstui.cli.ending import heard
from lenstui.cli.fit_display import display, report, say_processes, say_text
from lenstui.cli.fit_options import DECIDED, add_fit_options, check_kind, fit_options, number
from lenstui.cli.output import check_unread
from lenstui.cli.stderr import aside, progress, say, silence
from lenstui.cli.watch import watch
from lenstui.export.command import resume_command
from lenstui.fitting.names import (
    Claim,
    check_unfinished,
    checkpoint_path,
    claim,
    claim_new,
    lens_path,
    unclaimed,
)
from lenstui.fitting.options import CHECKPOINT_EVERY, HELD_OUT
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError, advice, memory_errors, named_line
from lenstui.support.launch import Launch, launched
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.fitting.checkpoint import Checkpoint
    from lenstui.fitting.driver import FitDriver
    from lenstui.fitting.processes import Processes
    from lenstui.fitting.progress_file import ProgressFile
    from lenstui.model.load import Model

_OUT_OF_MEMORY = "Out of memory: choose a smaller --seq-len, --dtype bfloat16 or another --device."
# Options that a checkpoint fixes, which cannot be given with --resume.
_DECIDED = (*DECIDED, "data", "text_column", "max_samples", "min_chars", "held_out")


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui train` and run the command, in one process or in several."""
    launch = launched()
    with silence(launch.number_here > 0):  # a wrong call is said once on each machine
        given, asked = _parsed(words, launch)
    if given.watch is not None:
        return watch(given.watch)
    from lenstui.fitting.processes import joined

    processes = joined(launch)
    with silence(not processes.is_first):
        try:
            status = _fit(given, asked, launch, processes)
        except Exception as error:
            if processes.speaks_of(error):
                raise
            status = 1
    return processes.end(status)


def _parsed(words: Sequence[str], launch: Launch) -> tuple[argparse.Namespace, Start]:
    """Return the arguments, and the request for the model that they name."""
    parser = _parser()
    given = parser.parse_args(words)
    asked = model_start(parser, given)
    if given.watch is not None:
        _check_watched(parser, given)
    elif given.resume is not None:
        _check_nothing_said_again(parser, given)
    else:
        check_kind(parser, given)
    if launch.count_here > 1 and given.device_map is not None:
        parser.error("--device-map is for one process on a machine: leave it out, or --nproc-per-node 1")
    return given, asked


def _fit(given: argparse.Namespace, asked: Start, launch: Launch, processes: Processes) -> int:
    """Fit a lens, and return the exit status."""
    if launch.is_several:
        from lenstui.model.device import device_of

        with processes.together():
            asked = replace(asked, device=device_of(launch, asked.device))
    begin = _begun if given.resume is None else _resumed
    driver = begin(given, asked, processes)
    try:
        driver.check_processes()
        return _run(driver, given.format)
    finally:
        driver.release()


def _begun(given: argparse.Namespace, asked: Start, processes: Processes) -> FitDriver:
    """Return the driver of a new fit, with the model opened and the text read."""
    from lenstui.texts.bundled import text_for
    from lenstui.texts.documents import find_files

    with processes.together():
        options = fit_options(given)
        if given.data is not None:
            find_files(text_documents(given))  # before the model, since loading takes long
        if given.save is not None and processes.is_first:
            check_place(given.save)
            check_unread(given.save, given)
            check_unfinished(given.save)
    with progress() as on_stage, aside():
        model = _opened(asked, on_stage, processes)
        usual = text_for(model.name)
        on_stage("reading the text")
        from lenstui.fitting.driver import begun
        from lenstui.fitting.kinds import read_text
        from lenstui.fitting.plan import FitPlan

        plan = FitPlan(options, text_documents(given, usual.path), given.held_out or HELD_OUT, given.epochs)
        with processes.together(), memory_errors(_OUT_OF_MEMORY):
            text = read_text(model, plan)
    if given.data is None:
        say(f"The text: {usual.about}. --data names another, best like what the model was trained on.")
    if text.remark is not None:
        say(text.remark)
    say_text(text, given.epochs)
    say_processes(text, processes.count)

    def chosen() -> Claim:
        if given.save is None:
            return claim_new(model.label, options.preset)
        claimed = claim(given.save)
        check_unfinished(given.save)  # again: another fit may have left a checkpoint meanwhile
        return claimed

    claimed = _claimed(chosen, processes)
    with processes.together(), memory_errors(_OUT_OF_MEMORY):
        driver = begun(model, plan, text, claimed, given.checkpoint_every, processes=processes)
    return driver


def _opened(asked: Start, on_stage: Callable[[str], None], processes: Processes) -> Model:
    """Return the model, once all processes have it."""
    from lenstui.opening.opened import open_model

    with processes.together():
        model = open_model(asked, on_stage).model
    return model


def _claimed(claiming: Callable[[], Claim], processes: Processes) -> Claim:
    """Have the first process claim the lens file, and return every process's claim."""
    with processes.together():
        claimed = claiming() if processes.is_first else None
    lens = processes.said_by(0, None if claimed is None else claimed.lens)
    assert lens is not None
    return claimed or unclaimed(lens)


def _resumed(given: argparse.Namespace, asked: Start, processes: Processes) -> FitDriver:
    """Return the driver of a fit that goes on from its checkpoint."""
    from lenstui.fitting.checkpoint import open_checkpoint

    with processes.together():
        checkpoint = open_checkpoint(given.resume)
        lens = given.save or lens_path(given.resume)
        if processes.is_first:
            check_place(lens)
            check_unread(given.save, given)
            if checkpoint_path(lens).resolve() != given.resume.resolve():
                check_unfinished(lens)
    if given.save is None and checkpoint.names_other_place(lens):
        say(f"The lens will go to {lens}, beside its checkpoint; --save {checkpoint.save} puts it there.")
    with progress() as on_stage, aside():
        model = _opened(_model_of(checkpoint, asked), on_stage, processes)
        on_stage("reading the text")
        from lenstui.fitting.driver import resumed

        claimed = _claimed(partial(claim, lens), processes)
        with processes.together(), memory_errors(_OUT_OF_MEMORY):
            driver = resumed(model, checkpoint, claimed, given.checkpoint_every, processes)
    if driver.remark is not None:
        say(driver.remark)
    say(f"Going on at {_place(driver)}.")
    return driver


def _model_of(checkpoint: Checkpoint, asked: Start) -> Start:
    """Return the request for a checkpoint's model, unless the command line names another model."""
    from lenstui.model.name import BUNDLED_MODEL

    dtype = checkpoint.dtype if asked.dtype == "auto" else asked.dtype
    if asked.model is not None or asked.demo:
        return replace(asked, dtype=dtype)
    if asked.adapter is None:
        asked = replace(asked, adapter=checkpoint.adapter)
    if checkpoint.model == BUNDLED_MODEL:
        return replace(asked, demo=True, dtype=dtype)
    revision = checkpoint.config.get("base_model_revision")
    return replace(asked, model=checkpoint.model, revision=revision, dtype=dtype)


def _check_watched(parser: Parser, given: argparse.Namespace) -> None:
    for name in (*_DECIDED, "resume", "save", "model", "adapter"):
        if getattr(given, name) is not None:
            parser.error(f"--watch looks at a fit that is under way: leave --{name.replace('_', '-')} out")


def _check_nothing_said_again(parser: Parser, given: argparse.Namespace) -> None:
    for name in _DECIDED:
        if getattr(given, name) is not None:
            option = name.replace("_", "-")
            parser.error(f"--resume goes on with what was begun: leave --{option} out")


def _run(driver: FitDriver, form: str) -> int:
    """Do the rest of a fit, save the lens, report, and return the exit status."""
    from lenstui.fitting.progress_file import ProgressFile

    fit = driver.fit
    record = ProgressFile(driver.lens_file, fit.options, fit.model.label, fit.processes)
    try:
        return _to_its_end(driver, form, record)
    finally:
        record.remove()


def _to_its_end(driver: FitDriver, form: str, record: ProgressFile) -> int:
    """Do what `_run` does, and show the progress in a file, too."""
    fit = driver.fit
    with heard() as ending:
        with aside():
            ended = _go_on(driver, ending, record)
        stopped = f"Stopped at {_place(driver)}"
        how = f" {_how_to_go_on(driver)}" if driver.has_checkpoint else ""
        if ended is not None and (ended is not signal.SIGINT or not fit.state.has_learned):
            with suppress(OSError):  # after a hang-up stderr may be gone
                say(f"{stopped}.{how or ' Nothing is kept.'}")
            return 128 + ended
        fit.gather()
        if not fit.processes.is_first:
            return 0
        kept = driver.keep()
        for error in kept.errors[:1]:
            say(str(error))
        if kept.file is None:
            raise kept.errors[-1]
        if ended is not None:
            say(f"{stopped}: what was learned is saved.{how}")
        elif not kept.errors:
            with suppress(OSError):  # the folder may be read-only by now
                driver.remove_checkpoint()
    report(kept.lens, kept.file, form)
    return 1 if kept.errors else 0


def _go_on(
    driver: FitDriver, ending: Callable[[], signal.Signals | None], record: ProgressFile
) -> signal.Signals | None:
    """Do the rest of a fit, and return the signal that ended it, or None.

    After a signal a checkpoint is attempted, and after Ctrl+C the lens is measured.
    """
    from lenstui.fitting.kinds import measuring

    well = True  # whether the last checkpoint could be written
    try:
        with display(driver.fit.options.unit) as show:
            for now in driver.steps():
                show(now)
                record.show(now)
                if number := driver.fit.processes.highest(ending() or 0):
                    ended = signal.Signals(number)
                    driver.write_checkpoint()  # first, since the process may be killed at any time
                    _say_no_checkpoint(driver)
                    if ended is signal.SIGINT and driver.fit.state.has_learned:
                        for measured in measuring(driver.fit):
                            show(measured)
                    return ended
                if well:
                    _say_no_checkpoint(driver)
                well = driver.checkpoint_error is None
    except (LensError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        _say_no_checkpoint(driver)
        how = _how_to_go_on(driver) if driver.has_checkpoint else ""
        failed = advice(error, _OUT_OF_MEMORY) or f"The fit failed: {named_line(error)}."
        raise LensError(f"{failed} {how}".rstrip()) from error
    return None


def _say_no_checkpoint(driver: FitDriver) -> None:
    """Report why the last checkpoint could not be written, if so."""
    if (error := driver.checkpoint_error) is not None:
        with suppress(OSError):  # after a hang-up stderr may be gone
            say(f"No checkpoint: {advice(error, _OUT_OF_MEMORY) or named_line(error)}")


def _place(driver: FitDriver) -> str:
    options = driver.fit.options
    return f"{options.unit} {driver.fit.state.step} of {options.steps}"


def _how_to_go_on(driver: FitDriver) -> str:
    beside = lens_path(driver.checkpoint_file) == driver.lens_file  # the default place of --resume
    return f"To go on: {resume_command(driver.checkpoint_file, None if beside else driver.lens_file)}"


def _parser() -> Parser:
    parser = Parser(
        "lenstui train",
        "Fit a tuned lens or a Jacobian lens to a model.",
        usage="lenstui train [--data FILE…] [options]\n       lenstui train --resume FILE"
        "\n       lenstui train --watch FILE",
        epilog="Ctrl+C stops and keeps what was learned, with a checkpoint to go on from.",
    )
    text = add_text(parser, "the bundled model's stories, for others a general sample")
    text.add_argument(
        "--held-out", metavar="SHARE", type=_share, help=f"share never trained on (default: {HELD_OUT:g})"
    )
    add_fit_options(parser)
    add_model(parser, lens=False)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--save", metavar="FILE", type=named_path, help="default: a new file in the lenses folder"
    )
    output.add_argument(
        "--checkpoint-every",
        metavar="SECONDS",
        type=number,
        default=CHECKPOINT_EVERY,
        help="write one beside the lens so often; 0: only where the fit is ended "
        f"(default: {CHECKPOINT_EVERY:g})",
    )
    output.add_argument(
        "--resume", metavar="FILE", type=named_path, help="go on from a checkpoint; the lens goes beside it"
    )
    output.add_argument(
        "--watch",
        metavar="FILE",
        type=named_path,
        help="follow a fit of another process, by its lens, checkpoint or progress file",
    )
    output.add_argument("--format", choices=("text", "json"), default="text", help="what to print at the end")
    return parser


def _share(text: str) -> float:
    share = number(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return share
