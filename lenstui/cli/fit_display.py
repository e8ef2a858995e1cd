"""The progress of `lenstui train` on stderr, and its report at the end."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from lenstui.cli.output import deliver
from lenstui.cli.stderr import bar_console, say
from lenstui.support.duration import duration
from lenstui.support.fixed_text import fixed_text
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.fitting.kinds import AnyText
    from lenstui.fitting.progress import FitProgress
    from lenstui.lens.formats.own import FittedLens

Show = Callable[["FitProgress"], None]


def say_text(text: AnyText, epochs: int | None) -> None:
    """Report how much text there is, and how often the fit goes through it."""
    from lenstui.fitting.jacobian.fitted import JacobianText

    if isinstance(text, JacobianText):
        prompts, cols = text.prompts, text.options.seq_len
        passed = f"; {prompts.passed_over} shorter documents passed over" if prompts.passed_over else ""
        many = f"{len(prompts.train)} prompt{'s' * (len(prompts.train) != 1)} of {cols} tokens to fit on"
        say(f"{many}, {len(prompts.held_out)} held out{passed}.")
        return
    have, options = text.blocks.train_tokens, text.options
    again = ""
    if epochs is not None:
        again = f", {epochs} time{'s' * (epochs != 1)} in {options.steps} steps"
    elif options.tokens > have + options.seq_len:
        again = f", gone through {options.tokens / have:.1f} times (--epochs 1: once)"
    say(f"{have} tokens to fit on{again}; {text.blocks.held_out_tokens} held out.")


def say_processes(text: AnyText, count: int) -> None:
    """Report how many processes fit together, and whether they have too little to do in a step."""
    from lenstui.fitting.fit import FitText
    from lenstui.fitting.steps import MICRO_TOKENS, micro_batches

    if count == 1:
        return
    spare = ""
    if isinstance(text, FitText) and text.options.steps:
        batches = micro_batches(text.options)
        if batches < count:
            spare = (
                f" A step has {batches} micro-batch{'es' * (batches != 1)}, whose rows they share: with "
                f"--tokens-per-step {count * MICRO_TOKENS} or more each has one of its own."
            )
    say(f"{count} processes fit together.{spare}")


@contextmanager
def display(unit: str) -> Iterator[Show]:
    """Show the progress: a bar where stderr is a terminal, a line per measurement where it is not.

    Where stderr is gone, as after a hang-up, nothing is shown, and the fit goes on.

    Args:
        unit: what a step is called.
    """
    measurements = _measurements()
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":

        def print_line(now: FitProgress) -> None:
            for line in measurements(now):
                with suppress(OSError):
                    print(line, file=sys.stderr, flush=True)

        yield print_line
        return
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"))
    bar = Progress(*columns, console=bar_console(), transient=True, refresh_per_second=10)
    task = bar.add_task("starting", total=1.0, facts="")

    def show(now: FitProgress) -> None:
        with suppress(OSError):
            bar.update(task, description=now.stage, completed=now.share, facts=_facts(now, unit))
            for line in measurements(now):
                bar.console.print(line, highlight=False)

    with suppress(OSError):
        bar.start()
    try:
        yield show
    finally:
        with suppress(OSError):
            bar.stop()


def report(lens: FittedLens, path: Path, form: str) -> None:
    """Print what a fit reached, as a table for `text` or in the JSON contract for `json`."""
    if form == "json":
        names = ("preset", "tokens", "steps", "seconds", "held_out_kl", "held_out_error", "logit_lens_kl")
        more = ("convergence", "n_prompts")
        said = {name: _without_nan(lens.fit.get(name)) for name in (*names, *more)}
        content = {"version": 1, "path": str(path), **said, "kind": lens.kind}
        print(json.dumps(content, allow_nan=False))
        return
    lines = [
        *(_convergence(lens) if lens.kind == "jacobian" else _held_out_kl(lens)),
        f"saved {printable(str(path))}",
    ]
    deliver("".join(f"{line}\n" for line in lines), None)


def _held_out_kl(lens: FittedLens) -> Iterator[str]:
    fit = lens.fit
    yield "held-out KL, nats"
    yield "row   logit lens  tuned lens"
    labels = ("emb", *map(str, range(len(fit["held_out_kl"]) - 1)))
    for label, before, after in zip(labels, fit["logit_lens_kl"], fit["held_out_kl"], strict=True):
        yield f"{label:>3}   {fixed_text(before, 3):>10}  {fixed_text(after, 3):>10}"
    if (error := fit.get("held_out_error")) is not None:
        yield f"mean {fmean(fit['held_out_kl']):.3f} ± {error:.3f} (standard error, between blocks)"


def _convergence(lens: FittedLens) -> Iterator[str]:
    shares = lens.fit["convergence"]
    prompts = lens.fit["n_prompts"]
    yield f"{prompts} prompt{'s' * (prompts != 1)}"
    if shares is None:  # of a single prompt there are no halves
        return
    yield "convergence: share of the top 10 tokens that both halves of the prompts give"
    yield "row   convergence"
    for label, share in zip(("emb", *map(str, range(len(shares) - 1))), shares, strict=True):
        yield f"{label:>3}   {fixed_text(share, 3):>11}"


def _without_nan(number: Any) -> Any:
    """Return a number, or a list of them, with None where one is not finite, which JSON does not have."""
    if isinstance(number, list):
        return [_without_nan(each) for each in number]
    return None if isinstance(number, float) and not math.isfinite(number) else number


def _facts(now: FitProgress, unit: str) -> str:
    if now.stage not in {"refining", "prompts"} or not now.seconds:
        return f"{now.share:.0%}"
    eta = "" if now.eta is None else f"  {duration(now.eta)} left"
    speed = f"  {now.tokens / now.seconds:.0f} tokens/s" if now.tokens else ""
    return f"{unit} {now.step}/{now.steps}{speed}{eta}"


def _measurements() -> Callable[[FitProgress], Iterator[str]]:
    """Return a function that yields a line for each measurement of held-out KL or convergence, once."""
    seen: set[tuple[str, int]] = set()

    def lines(now: FitProgress) -> Iterator[str]:
        step, ended = now.measured_step, now.stage == "done"
        if now.convergence is not None and ("prompts", step) not in seen:
            seen.add(("prompts", step))
            rows = " ".join(fixed_text(value, 2) for value in now.convergence.tolist())
            yield f"{now.seconds:7.1f} s  {step:>4} prompts  convergence by row {rows}"
        # A measurement before the first step is one of the closed form.
        name_of_step = "in the end" if ended else f"step {step:>4}" if step else "closed form"
        for kl, mark, name in (
            (now.logit_lens_kl, ("logit lens", 0), "logit lens"),
            (now.held_out_kl, ("end" if ended else "on the way", step), name_of_step),
        ):
            if kl is not None and mark not in seen:
                seen.add(mark)
                rows = " ".join(fixed_text(value, 3) for value in kl.tolist())
                yield (
                    f"{now.seconds:7.1f} s  {name:<11}  {now.tokens:>8} tokens  "
                    f"held-out KL {fixed_text(float(kl.mean()), 3)}  by row {rows}"
                )

    return lines
