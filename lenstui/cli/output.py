"""Results on their way out: what is said of where they come from, and where they go."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lenstui.cli.arguments import Parser
from lenstui.lens.errors import LensError

if TYPE_CHECKING:
    from lenstui.export.source import Source
    from lenstui.opening import Opened


FORMATS = ("table", "json", "csv", "parquet", "html", "svg", "md")
_TABLE_OR_JSON = FORMATS[:2]
_ENDINGS = {"": "table", ".txt": "table", ".htm": "html"} | {f".{form}": form for form in FORMATS[1:]}


def add_output(parser: Parser, formats: Sequence[str] = _TABLE_OR_JSON) -> argparse._ArgumentGroup:
    """Add the arguments that say where results go and how; more may be added to the group."""
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=formats, help="default: what the ending of -o says, else table")
    output.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to this file, not to stdout")
    return output


def output_format(parser: Parser, given: argparse.Namespace, formats: Sequence[str] = _TABLE_OR_JSON) -> str:
    """One of `formats`, as `--format` or the file's ending says."""
    ending = "" if given.output is None else given.output.suffix
    form: str | None = given.format or _ENDINGS.get(ending.lower())
    if form is None or form not in formats:
        parser.error(f"the ending {ending} does not tell the format: add --format {' or '.join(formats)}")
    return form


def source_of(opened: Opened, *, tuned: bool) -> Source:
    """Where numbers come from.

    Args:
        opened: the model they were read from.
        tuned: whether a tuned lens had part in them.
    """
    import torch
    import transformers

    from lenstui.export.source import Source

    model = opened.model
    lens = None if opened.lens_file is None else opened.lens_file.name
    return Source(
        model=model.name,
        revision=model.revision,
        dtype=model.dtype_name,
        lens=lens if tuned else None,
        wiring=tuple(check.worst for check in model.wiring),
        device=str(model.device),
        versions=(("torch", str(torch.__version__)), ("transformers", transformers.__version__)),
    )


def check_place(file: Path) -> None:
    """Raise `LensError` if `file` cannot be written where it is to be, before any work is done in vain."""
    if file.is_dir():
        raise LensError(f"{file} is a folder: name a file in it.")
    if not file.parent.is_dir():
        raise LensError(f"There is no folder {file.parent} to write {file.name} to.")
    if not os.access(file.parent, os.W_OK) or (file.exists() and not os.access(file, os.W_OK)):
        raise LensError(f"{file} may not be written: choose another folder.")


def deliver(text: str | Iterable[str], file: Path | None) -> None:
    """Write `text`, or its pieces as they come, to `file`, or to stdout for None.

    Raises:
        LensError: if the file cannot be written.
    """
    pieces = [text] if isinstance(text, str) else text
    if file is None:
        for piece in pieces:
            sys.stdout.write(piece)
        return
    with _place(file) as out:
        for piece in pieces:
            out.write(piece.encode("utf-8"))


def deliver_bytes(write: Callable[[IO[bytes]], object], file: Path | None) -> None:
    """Have `write` fill `file`, or stdout for None.

    Raises:
        LensError: if the file cannot be written.
    """
    if file is None:
        write(sys.stdout.buffer)
        return
    with _place(file) as out:
        write(out)


@contextmanager
def _place(file: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `file` once all is written; a device or a pipe is written as it is."""
    target = file.resolve()
    special = target.exists() and not target.is_file()
    written = target if special else target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with written.open("wb") as out:
            yield out
        if not special:
            written.replace(target)
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        if not special:
            with suppress(OSError):  # a folder that cannot be written has nothing to tidy up
                written.unlink(missing_ok=True)
