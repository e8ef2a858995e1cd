"""`lenstui train --watch`: follow a fit of another process, on any machine, by its progress file."""

from __future__ import annotations

import time
from pathlib import Path

from lenstui.cli.fit_display import Show, display
from lenstui.cli.stderr import say
from lenstui.export.command import resume_command
from lenstui.fitting.names import checkpoint_path
from lenstui.support.errors import LensError

_LOOK_EVERY = 0.5  # seconds
_QUIET = 60.0  # seconds without news after which that is said


def watch(named: Path) -> int:
    """Show the progress of a fit until it ends, and return the exit status.

    Args:
        named: its lens file, its checkpoint or its progress file.

    Raises:
        LensError: if there is no such fit, or its progress file cannot be read.
    """
    from lenstui.fitting.progress_file import lens_of, progress_path, read_progress

    file = progress_path(named)
    try:
        first = read_progress(file)
    except FileNotFoundError:
        raise LensError(f"There is no {file}: no fit of that name is under way.") from None
    together = f", {first.processes} processes" if first.processes > 1 else ""
    say(f"{first.preset} of {first.model}{together}. Ctrl+C ends watching, not the fit.")
    with display(first.unit) as show:
        _follow(file, show)
    lens, checkpoint = lens_of(file), checkpoint_path(lens_of(file))
    if checkpoint.exists():
        say(f"The fit was stopped, or has failed. {resume_command(checkpoint)} goes on with it.")
    else:
        say(f"The fit is done: {lens}" if lens.exists() else "The fit has ended without a lens.")
    return 0 if lens.exists() else 1


def _follow(file: Path, show: Show) -> None:
    """Show the progress until the fit ends."""
    from lenstui.fitting.progress_file import read_progress

    last, changed, is_quiet = None, time.monotonic(), False
    while True:
        try:
            now = read_progress(file)
        except FileNotFoundError:  # what a fit does last
            return
        if now != last:
            show(now.progress)
            last, changed, is_quiet = now, time.monotonic(), False
        elif time.monotonic() - changed > _QUIET and not is_quiet:
            say(f"Nothing new for {_QUIET:.0f} s: the fit does something long, or was killed.")
            is_quiet = True
        time.sleep(_LOOK_EVERY)
