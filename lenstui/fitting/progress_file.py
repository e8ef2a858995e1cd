"""The progress of a fit in a file beside its checkpoint, to watch it from elsewhere by.

It is there while the fit is under way, and is removed at its end. A fit that was killed leaves it as it was.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lenstui.fitting.names import CHECKPOINT
from lenstui.fitting.progress import FitProgress
from lenstui.support.atomic_file import remove, replaced
from lenstui.support.errors import LensError, unreadable
from lenstui.support.field_types import wrong_field
from lenstui.support.small_file import read_json

if TYPE_CHECKING:
    from lenstui.fitting.plan import AnyOptions
    from lenstui.fitting.processes import Processes

VERSION = 1
PROGRESS = ".progress"
EVERY = 2.0  # seconds between two versions of the file, at least

_Stage = Literal["logit lens", "closed form", "refining", "checking", "prompts", "measuring", "done"]
_Rows = tuple[float | None, ...] | None  # by row, None where a number is not finite


@dataclass(frozen=True, slots=True)
class Watched:
    """A fit as its progress file has it.

    Attributes:
        version: the version of the file.
        kind: the kind of lens.
        unit: what a step is called.
        preset: the preset of the fit.
        model: what the model is called.
        processes: the number of processes that fit it together.
        stage: as in `FitProgress`, as all that follow, but that what is not finite is None.
    """

    version: int
    kind: Literal["tuned", "jacobian"]
    unit: Literal["step", "prompt"]
    preset: str
    model: str
    processes: int
    stage: _Stage
    share: float
    step: int
    steps: int
    tokens: int
    seconds: float
    eta: float | None
    loss: _Rows
    logit_lens_kl: _Rows
    held_out_kl: _Rows
    held_out_error: float | None
    measured_step: int
    measured_tokens: int
    convergence: _Rows

    @property
    def progress(self) -> FitProgress:
        """The progress of the fit."""
        own: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(FitProgress)}
        for name, value in own.items():
            if isinstance(value, tuple):
                own[name] = np.array([math.nan if each is None else each for each in value])
        if self.held_out_error is None:
            own["held_out_error"] = math.nan
        return FitProgress(**own)


class ProgressFile:
    """The progress file of a fit, as the fit writes it."""

    def __init__(self, lens: Path, options: AnyOptions, model: str, processes: Processes) -> None:
        """Prepare the file; nothing is written yet.

        Args:
            lens: the file that the lens is to be saved to.
            options: the options of the fit.
            model: what the model is called.
            processes: the processes that fit it together, of which the first one writes.
        """
        self._processes = processes
        self.file = progress_path(lens)
        self._facts = {
            **{"version": VERSION, "kind": options.kind, "unit": options.unit, "preset": options.preset},
            **{"model": model, "processes": processes.count},
        }
        self._written = -math.inf

    def show(self, progress: FitProgress) -> None:
        """Write the progress of the fit, unless that was done a moment ago."""
        if self._processes.is_first and time.monotonic() - self._written >= EVERY:
            self._write(progress)

    def remove(self) -> None:
        """Remove the file, at the end of the fit."""
        if self._processes.is_first:
            with suppress(OSError):  # the folder may be read-only by now
                remove(self.file)

    def _write(self, progress: FitProgress) -> None:
        content = {**self._facts, **{name: _plain(value) for name, value in asdict(progress).items()}}
        # Nobody can watch a fit whose folder cannot be written; that is said of its checkpoint.
        with suppress(LensError), replaced(self.file, durable=False) as file:
            file.write(json.dumps(content, allow_nan=False).encode())
        self._written = time.monotonic()


def progress_path(lens: Path) -> Path:
    """Return the progress file of a fit, by its lens file, its checkpoint or the progress file itself."""
    return lens.with_name(_stem(lens) + PROGRESS)


def lens_of(progress: Path) -> Path:
    """Return the file of the lens whose fit a progress file is of."""
    return progress.with_name(_stem(progress) + ".pt")


def _stem(file: Path) -> str:
    for ending in (".pt", CHECKPOINT, PROGRESS):
        if file.name.endswith(ending):
            return file.name.removesuffix(ending)
    return file.name


def read_progress(path: Path) -> Watched:
    """Read a progress file.

    Raises:
        FileNotFoundError: if there is none.
        LensError: if it cannot be read, or is none.
    """
    try:
        content = read_json(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError:
        content = None
    if not isinstance(content, dict) or wrong_field(Watched, content) is not None:
        raise LensError(f"{path} is no progress file of a fit.")
    values: dict[str, Any] = {field.name: content[field.name] for field in fields(Watched)}
    for name, value in values.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return Watched(**values)


def _plain(value: Any) -> Any:
    """Return a value that JSON has, with None for what is not finite."""
    if isinstance(value, np.ndarray | list | tuple):
        items: Iterable[Any] = value.tolist() if isinstance(value, np.ndarray) else value
        return [_plain(each) for each in items]
    return None if isinstance(value, float) and not math.isfinite(value) else value
