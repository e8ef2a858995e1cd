"""`lenstui train`: fit a tuned lens in any terminal."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenstui import paths
from lenstui.cli.arguments import Parser, add_model, add_text, model_start, positive
from lenstui.cli.output import check_place
from lenstui.cli.stderr import progress, say

if TYPE_CHECKING:
    from lenstui.lens.fit_options import FitOptions
    from lenstui.lens.fitting import FitProgress
    from lenstui.lens.model import Model
    from lenstui.lens.tuned_lens import TunedLens

_PRESETS = ("quick", "standard", "paper", "adam")
_CHANGES = (
    "steps", "tokens_per_step", "seq_len", "optimizer", "lr", "momentum", "weight_decay", "clip", "loss",
    "bias_only", "seed",
)  # fmt: skip


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui train` and do it."""
    parser = _parser()
    given = parser.parse_args(words)
    asked = model_start(parser, given)
    from lenstui.lens.documents import Documents, SkippedLines, find_files

    data = given.data or [str(paths.bundled_model() / "text.parquet")]
    documents = Documents(tuple(data), given.text_column, given.min_chars, given.max_samples)
    names = [file.name for file in find_files(documents)]  # before a model is loaded in vain
    if given.save is not None:
        check_place(given.save)

    with progress() as on_stage:
        from lenstui.opening import open_model

        model = open_model(asked, on_stage).model
        on_stage("reading the text")
        from lenstui.lens.fit_options import preset
        from lenstui.lens.lens_fit import FitBlocks, stamped, suited
        from lenstui.lens.text_blocks import split_blocks

        changes = {name: getattr(given, name) for name in _CHANGES if getattr(given, name) is not None}
        if changes.get("bias_only"):
            changes["closed_form_tokens"] = 0
        options = suited(preset(given.preset, **changes), model)
        skipped = SkippedLines()
        sides = split_blocks(
            model.tokenizer,
            documents,
            options.seq_len,
            share=given.held_out,
            seed=options.seed,
            skipped=skipped,
        )
        blocks = FitBlocks.enough(*sides, options)
    if skipped.count:
        say(str(skipped))
    _say_text(blocks, options)
    last = _fit(model, blocks, options)
    lens = stamped(model, last, options, data=names)
    path = _save(lens, given.save, model.name, options.preset)
    _report(lens, path, given.format)
    return 0


def _fit(model: Model, blocks: Any, options: FitOptions) -> FitProgress:
    """Run the fit; Ctrl+C ends it and keeps what was learned."""
    from lenstui.lens.fitting import fit_steps, measured

    last: FitProgress | None = None
    try:
        with _display(options.steps) as show:
            for last in fit_steps(model, blocks.train, blocks.held_out, options):
                show(last)
    except KeyboardInterrupt:
        if last is None or not last.tokens:
            raise
        say(f"Stopped at step {last.step} of {options.steps}: what was learned is kept.")
        return measured(model, last, blocks.held_out)
    assert last is not None  # fit_steps yields at least once
    return last


def _parser() -> Parser:
    parser = Parser(
        "lenstui train",
        "Fit a tuned lens to a model.",
        usage="lenstui train [--data FILE…] [options]",
        epilog="Ctrl+C stops and keeps what was learned.",
    )
    text = add_text(parser, required=False)
    text.add_argument(
        "--held-out", metavar="SHARE", type=_share, default=0.1, help="share never trained on (default: 0.1)"
    )
    how = parser.add_argument_group("method")
    how.add_argument("--preset", choices=_PRESETS, default="quick", help="default: quick")
    how.add_argument("--steps", metavar="N", type=_whole, help="optimizer steps")
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
    add_model(parser, lens=False)
    output = parser.add_argument_group("output")
    output.add_argument("--save", metavar="FILE", type=Path, help="default: a new file in the lenses folder")
    output.add_argument("--format", choices=("text", "json"), default="text", help="what to print at the end")
    return parser


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number that is not negative, not {text!r}")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return number


def _say_text(blocks: Any, options: FitOptions) -> None:
    wanted = options.closed_form_tokens + options.steps * options.tokens_per_step
    have, held = (sum(map(len, side)) for side in (blocks.train, blocks.held_out))
    again = f", seen {wanted / have:.1f} times" if wanted > have + options.seq_len else ""
    say(f"{have} tokens to fit on{again}; {held} held out.")


@contextmanager
def _display(steps: int) -> Iterator[Callable[[FitProgress], None]]:
    """Show the progress: a bar where stderr is a terminal, a line per measurement where it is not."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _line
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=10) as bar:
        task = bar.add_task("starting", total=steps)

        def show(now: FitProgress) -> None:
            rate = now.tokens / now.seconds if now.seconds else 0.0
            bar.update(task, description=f"{now.stage}  {rate:.0f} tokens/s", completed=now.step)
            if now.held_out_kl is not None:
                bar.console.print(_measurement(now), highlight=False)

        yield show


def _line(now: FitProgress) -> None:
    if now.held_out_kl is not None:
        print(_measurement(now), file=sys.stderr, flush=True)


def _measurement(now: FitProgress) -> str:
    assert now.held_out_kl is not None
    rows = " ".join(f"{kl:.3f}" for kl in now.held_out_kl.tolist())
    return (
        f"{now.seconds:7.1f} s  step {now.step:>4}  {now.tokens:>8} tokens  "
        f"held-out KL {now.held_out_kl.mean():.3f}  by row {rows}"
    )


def _save(lens: TunedLens, wanted: Path | None, model: str, preset: str) -> Path:
    from lenstui.lens import save_lens

    path = wanted or _free_name(paths.made(paths.lenses()), model, preset)
    save_lens(replace(lens, name=path.stem), path)
    return path


def _free_name(folder: Path, model: str, preset: str) -> Path:
    """`MODEL-PRESET-1.pt`, or the first number that is free."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", model.rstrip("/").rpartition("/")[2]).strip("-") or "model"
    number = 1
    while (path := folder / f"{slug}-{preset}-{number}.pt").exists():
        number += 1
    return path


def _report(lens: TunedLens, path: Path, form: str) -> None:
    fit = lens.fit
    if form == "json":
        result = {"version": 1, "path": str(path)} | {
            name: fit[name]
            for name in ("preset", "tokens", "steps", "seconds", "held_out_kl", "logit_lens_kl")
        }
        print(json.dumps(result, allow_nan=False))
        return
    print("row   logit lens  tuned lens   held-out KL, nats")
    labels = ("emb", *map(str, range(len(fit["held_out_kl"]) - 1)))
    for label, before, after in zip(labels, fit["logit_lens_kl"], fit["held_out_kl"], strict=True):
        print(f"{label:>3}   {before:10.3f}  {after:10.3f}")
    print(f"saved {path}")
