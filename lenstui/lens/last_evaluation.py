"""The last evaluation of each lens, by `lenstui eval` or on screen: on which model and text, when, its KL.

It is kept beside the lens files, which may be those of others and are never changed. The logit lens has no
file: its last evaluation is kept for each model. Plain values only.
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
from lenstui.support.state_file import changing, read_state, write_state

_VERSION = 1
_MOST_MODELS = 100  # of which the logit lens's evaluation is kept


@dataclass(frozen=True, slots=True)
class LastEvaluation:
    """What a lens reached when it was last evaluated.

    Attributes:
        model: the model that was read, which may be another than the lens was made for.
        data: the files of the text, as the user named them.
        tokens: the number of tokens that were read.
        time: when, in ISO 8601 with the time zone.
        kl: the mean KL over the rows of the lens but the last, nats; None where there is none.
        kl_by_row: the KL of each row but the last, nats; empty where a row has none.
    """

    model: str
    data: tuple[str, ...]
    tokens: int
    time: str
    kl: float | None
    kl_by_row: tuple[float, ...] = ()

    @property
    def text(self) -> str:
        """The text on one line: the names of its files, and how many tokens of them were read."""
        return f"{', '.join(Path(name).name for name in self.data)}, {self.tokens:,} tokens"

    @property
    def day(self) -> str:
        """The day of the evaluation here, as `2026-11-30`."""
        return f"{datetime.fromisoformat(self.time).astimezone():%Y-%m-%d}"

    @property
    def in_brief(self) -> str:
        """When it was, and on what: `2026-11-30 · 4,096 of a.txt`."""
        return f"{self.day} · {self.tokens:,} of {', '.join(Path(name).name for name in self.data)}"

    @property
    def in_words(self) -> str:
        """What was reached on what, on one line: `KL 0.87 · gpt2 on a.txt · 4,096 tokens · 2026-11-30`."""
        texts = ", ".join(Path(name).name for name in self.data)
        kl = [] if self.kl is None else [f"KL {fixed_text(self.kl, 2)}"]
        return " · ".join([*kl, f"{self.model} on {texts}", f"{self.tokens:,} tokens", self.day])


def keep_evaluations(
    found: Mapping[Path, LastEvaluation], logit: Mapping[str, LastEvaluation] | None = None
) -> str | None:
    """Keep what lenses reached, in place of what was kept of them.

    What is kept of files that are gone, or that were written again since, is dropped.

    Args:
        found: what the lenses in these files reached.
        logit: what the logit lens reached on models, by the digest of their fingerprints.

    Returns:
        Why it could not be kept, in one line; None where it was.
    """
    with changing(evaluations()):
        lenses = {
            str(path.absolute()): _entry(path, evaluation)
            for path, evaluation in {**last_evaluations(), **found}.items()
            if path.exists()
        }
        before = logit_evaluations()
        new = dict(logit or {})
        kept = {digest: each for digest, each in before.items() if digest not in new} | new
        models = {digest: asdict(each) for digest, each in list(kept.items())[-_MOST_MODELS:]}
        return write_state(evaluations(), _VERSION, {"lenses": lenses, "models": models})


def last_evaluations() -> dict[Path, LastEvaluation]:
    """Return the last evaluation of each lens that has one, by the absolute path of its file.

    A file that was written since, and so may be another lens, has none; nor has what cannot be read.
    """
    found = {}
    for name, entry in _entries("lenses").items():
        evaluation = _read(entry)
        if evaluation is not None and _is_of(Path(name), entry):
            found[Path(name)] = evaluation
    return found


def logit_evaluations() -> dict[str, LastEvaluation]:
    """Return the last evaluation of the logit lens on each model, by the digest of its fingerprint.

    The model that was evaluated last is the last one.
    """
    read = {digest: _read(entry) for digest, entry in _entries("models").items()}
    return {digest: evaluation for digest, evaluation in read.items() if evaluation is not None}


def _entries(name: str) -> dict[str, Any]:
    content, _ = read_state(evaluations(), _VERSION)
    entries = content.get(name)
    return entries if isinstance(entries, dict) else {}


def _entry(path: Path, evaluation: LastEvaluation) -> dict[str, Any]:
    return asdict(evaluation) | {"modified": path.stat().st_mtime}


def _is_of(path: Path, entry: Mapping[str, Any]) -> bool:
    """Return whether the lens in a file is the one that an entry is of."""
    try:
        return bool(path.stat().st_mtime == entry.get("modified"))
    except (OSError, ValueError):
        return False


def _read(entry: Any) -> LastEvaluation | None:
    """Return an evaluation from its entry; None where that is none."""
    try:
        kl, by_row = entry["kl"], tuple(map(float, entry.get("kl_by_row", ())))
        evaluation = LastEvaluation(
            str(entry["model"]),
            tuple(map(str, entry["data"])),
            int(entry["tokens"]),
            entry["time"],
            None if kl is None or not isfinite(kl) else float(kl),
            by_row if all(map(isfinite, by_row)) else (),
        )
        datetime.fromisoformat(evaluation.time)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return evaluation
