"""The last evaluation of each lens by `lenstui eval`: on which model and text, when, and what it reached.

It is kept beside the lens files, which may be those of others and are never changed. Plain values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from lenstui.support.fixed_text import fixed_text
from lenstui.support.paths import evaluations
from lenstui.support.state_file import read_state, write_state

_VERSION = 1


@dataclass(frozen=True, slots=True)
class LastEvaluation:
    """What a lens reached when it was last evaluated.

    Attributes:
        model: the model that was read, which may be another than the lens was made for.
        data: the files of the text, as the user named them.
        tokens: the number of tokens that were read.
        time: when, in ISO 8601 with the time zone.
        kl: the mean KL over the rows of the lens but the last, nats; None where there is none.
    """

    model: str
    data: tuple[str, ...]
    tokens: int
    time: str
    kl: float | None

    @property
    def in_words(self) -> str:
        """What was reached on what, on one line: `KL 0.87 · gpt2 on a.txt · 4,096 tokens · 2026-11-30`."""
        texts = ", ".join(Path(name).name for name in self.data)
        day = f"{datetime.fromisoformat(self.time).astimezone():%Y-%m-%d}"
        kl = [] if self.kl is None else [f"KL {fixed_text(self.kl, 2)}"]
        return " · ".join([*kl, f"{self.model} on {texts}", f"{self.tokens:,} tokens", day])


def keep_evaluations(found: Mapping[Path, LastEvaluation]) -> str | None:
    """Keep what lenses in these files reached, in place of what was kept of them.

    What is kept of files that are gone, or that were written again since, is dropped.

    Returns:
        Why it could not be kept, in one line; None where it was.
    """
    kept = {
        path: _entry(path, evaluation)
        for path, evaluation in {**last_evaluations(), **found}.items()
        if path.exists()
    }
    content = {str(path.absolute()): entry for path, entry in kept.items()}
    return write_state(evaluations(), _VERSION, {"lenses": content})


def last_evaluations() -> dict[Path, LastEvaluation]:
    """Return the last evaluation of each lens that has one, by the absolute path of its file.

    A file that was written since, and so may be another lens, has none; nor has what cannot be read.
    """
    content, _ = read_state(evaluations(), _VERSION)
    entries = content.get("lenses")
    found = {}
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        evaluation = _read(Path(name), entry)
        if evaluation is not None:
            found[Path(name)] = evaluation
    return found


def _entry(path: Path, evaluation: LastEvaluation) -> dict[str, Any]:
    return asdict(evaluation) | {"modified": path.stat().st_mtime}


def _read(path: Path, entry: Any) -> LastEvaluation | None:
    """Return an evaluation from its entry; None where that is none, or the lens is not the one it is of."""
    try:
        if path.stat().st_mtime != entry["modified"]:
            return None
        kl = entry["kl"]
        evaluation = LastEvaluation(
            str(entry["model"]),
            tuple(map(str, entry["data"])),
            int(entry["tokens"]),
            entry["time"],
            None if kl is None or not isfinite(kl) else float(kl),
        )
        datetime.fromisoformat(evaluation.time)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return evaluation
