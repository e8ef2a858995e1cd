"""What writes each kind of file that is kept, for tests in which nothing can be written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
import torch

from lenstui.export.notebook import KeptView, keep
from lenstui.fitting.checkpoint import save_checkpoint
from lenstui.fitting.fit import begin
from lenstui.fitting.loop import fit_steps
from lenstui.fitting.options import FitOptions
from lenstui.fitting.plan import FitPlan
from lenstui.lens import LensError, TunedLens, save_lens, save_library_folder, wire
from lenstui.lens.last_evaluation import LastEvaluation, keep_evaluations
from lenstui.texts.bundled import text_for
from lenstui.texts.documents import Documents
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session
from tests.tiny.byte_level import byte_level_tokenizer
from tests.tiny.families import FAMILIES, random_model


def lens(scale: float) -> TunedLens:
    return TunedLens(scale * torch.ones(2, 16, 16), torch.ones(2, 16))


def history(folder: Path, number: int) -> None:
    kept = History(folder / "history.json")
    kept.add(f"prompt {number} " * 50)
    if kept.trouble is not None:
        raise LensError(kept.trouble)


def session(folder: Path, number: int) -> None:
    kept = Session(folder / "session.json")
    kept.keep("a/b", Look(prompt=f"prompt {number} " * 50), named=True)
    if (trouble := kept.save()) is not None:
        raise LensError(trouble)


def evaluations(folder: Path, number: int) -> None:
    made = folder / "lens.pt"
    if not made.exists():
        save_lens(lens(1), made)
    found = LastEvaluation("a/b", ("text",), number, datetime(2026, 1, 1, tzinfo=UTC).isoformat(), 1.0)
    if (trouble := keep_evaluations({made: found})) is not None:
        raise LensError(trouble)


def view(folder: Path, number: int) -> None:
    now = datetime(2026, 1, 1 + number, tzinfo=UTC)
    keep(KeptView(now, "readout", "prompt", "text " * 50, "<svg/>", "caption"), folder / "notebook")


@cache
def plan() -> FitPlan:
    """A small fit on the bundled text."""
    options = FitOptions(
        closed_form_tokens=64, steps=4, tokens_per_step=32, seq_len=16, held_out_tokens=32, lr=5e-3
    )
    return FitPlan(options, Documents((str(text_for("tiny").path),)))


def checkpoint(folder: Path, number: int) -> None:
    model = wire("tiny", random_model(FAMILIES["GPT-NeoX"].config), byte_level_tokenizer())
    fit = begin(model, plan())
    for _ in islice(fit_steps(fit), 8 * number):
        pass
    save_checkpoint(folder / "fit.checkpoint", fit, plan())


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "lens": lambda folder, number: save_lens(lens(number), folder / "lens.pt"),
    "folder": lambda folder, number: save_library_folder(lens(number), folder / "folder"),
    "history": history,
    "session": session,
    "evaluations": evaluations,
    "notebook": view,
    "checkpoint": checkpoint,
}


def contents(folder: Path) -> dict[str, bytes]:
    """All files by their names."""
    found = {}
    for path in folder.rglob("*"):
        with suppress(IsADirectoryError):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


def leaves_what_was_there(
    name: str, folder: Path, failing: AbstractContextManager[object], said: str
) -> None:
    """Fail unless a writer that cannot write says why, leaves all files as they were, and can write again.

    Args:
        name: one of `WRITERS`.
        folder: what it writes to, still empty.
        failing: within which nothing can be written.
        said: the end of the message.
    """
    write = WRITERS[name]
    write(folder, 1)
    before = contents(folder)
    with failing, pytest.raises(LensError) as caught:
        write(folder, 2)
    assert str(caught.value).endswith(said)
    assert contents(folder) == before
    write(folder, 2)
    assert contents(folder) != before
