"""The command line. No heavy module is imported before a command needs it: `lenstui --help` is instant.

Results go to stdout, everything else to stderr. Exit status: 0 on success, 2 for a wrong call, 1 for a
failure, 130 after Ctrl+C.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from lenstui.cli.ending import interrupt_again
from lenstui.cli.stderr import only_ours, say
from lenstui.support.errors import LensError, is_debugging, is_panic

# The commands, and the modules whose `run` they are. What is imported is the one that is called.
_COMMANDS = {
    "convert": "convert",
    "eval": "eval",
    "lenses": "lenses",
    "paths": "places",
    "read": "read",
    "report": "report",
    "scan": "scan",
    "serve": "serve",
    "trace": "trace",
    "train": "train",
    "why": "why",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after the program's name; None for those of the process.

    Returns:
        The exit status. A wrong call and `--help` raise `SystemExit`, as argparse does.
    """
    words = sys.argv[1:] if argv is None else argv
    interrupt_again()
    if reason := _why_not_run():
        say(reason)
        return 1
    # Display text is Unicode; a terminal without it shows escapes rather than a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            with only_ours():
                return _run(words)
        finally:
            sys.stdout.flush()
    except LensError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has closed it
        _abandon_stdout()
        return 0
    except OSError as error:
        say(f"{error.filename or 'Standard output'}: {error.strerror or error}.")
        _abandon_stdout()
        return 1
    except BaseException as error:  # a defect: the log has where, and the terminal no traceback
        from lenstui.support.crash_log import crash_line

        if is_debugging() or not (isinstance(error, Exception) or is_panic(error)):
            raise
        say(crash_line(error))
        return 1


def _why_not_run() -> str:
    """Return why no command can be run; nothing where one can."""
    if not _has_output():
        return "Standard output is closed."
    if sys.flags.optimize > 1:
        return "transformers needs its docstrings: run lenstui without PYTHONOPTIMIZE=2 or -OO."
    return ""


def _has_output() -> bool:
    """Return whether standard output was open, and open which of the standard streams are closed.

    Else a file that is opened later would be standard output to all that writes there.
    """
    has_output = sys.stdout is not None
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    return has_output


def _run(words: Sequence[str]) -> int:
    try:
        Path.cwd()
    except OSError as error:  # names of files would mean nothing, and MKL ends the process
        raise LensError(f"The current folder is gone ({error.strerror}): change to another one.") from error
    module, rest = (_COMMANDS[words[0]], words[1:]) if words and words[0] in _COMMANDS else ("screen", words)
    status: int = import_module(f"lenstui.cli.{module}").run(rest)
    return status


def _abandon_stdout() -> None:
    """Discard what stdout still buffers, which Python would try to write, and complain about, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
