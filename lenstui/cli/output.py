"""Results on their way out: what is said of where they come from, and where they go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser
from lenstui.lens.errors import LensError

if TYPE_CHECKING:
    from lenstui.export.source import Source
    from lenstui.opening import Opened


_FORMATS = ("table", "json")
_ENDINGS = {"": "table", ".txt": "table", ".json": "json"}


def add_output(parser: Parser) -> argparse._ArgumentGroup:
    """Add the arguments that say where results go and how; more may be added to the group."""
    output = parser.add_argument_group("output")
    output.add_argument("--format", choices=_FORMATS, help="default: what the ending of -o says, else table")
    output.add_argument("-o", "--output", metavar="FILE", type=Path, help="write to this file, not to stdout")
    return output


def output_format(parser: Parser, given: argparse.Namespace) -> str:
    """`table` or `json`, as `--format` or the file's ending says."""
    ending = "" if given.output is None else given.output.suffix
    form: str | None = given.format or _ENDINGS.get(ending.lower())
    if form is None:
        parser.error(f"the ending {ending} does not tell the format: add --format {' or '.join(_FORMATS)}")
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


def deliver(text: str, file: Path | None) -> None:
    """Write `text` to `file`, or to stdout for None.

    Raises:
        LensError: if the file cannot be written.
    """
    if file is None:
        sys.stdout.write(text)
        return
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LensError(f"{file} cannot be written: {error.strerror or error}.") from error
