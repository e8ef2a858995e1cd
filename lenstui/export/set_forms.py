"""A prompt set in any of the forms of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lenstui.export.figures.style import FIGURE_FORMS, FigureStyle
from lenstui.export.set_tidy import SetHeading
from lenstui.export.tidy import TokenText
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.support.atomic_file import written
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.export.figures.file import FigureFile

Cases = Iterable[CaseReadout | FailedCase]


@dataclass(frozen=True, slots=True)
class SetManner:
    """Settings of a form.

    Attributes:
        texts: display texts of all tokens in the set.
        value: the key of the means in a form that shows one; None for the ones that suit the set.
        command: the command that repeats the readout, for a form that names it.
        style: how a figure looks.
    """

    texts: TokenText
    value: str | None = None
    command: str = ""
    style: FigureStyle = field(default=FigureStyle())


def write_set(form: str, cases: Cases, heading: SetHeading, manner: SetManner, file: Path) -> None:
    """Write the readout of a set; the former content of `file` stays until all is written.

    Args:
        form: `csv`, `parquet`, `json`, `svg`, `pdf` or `md`.
        cases: the readouts of the cases, in order.
        heading: the heading of the set.
        manner: settings of the form.
        file: the file to write.

    Raises:
        LensError: if the file cannot be written, the form lists readings and there is none, or a figure
            cannot be drawn at its width.
    """
    cases = list(cases)
    if form in {"csv", "parquet"} and not any(isinstance(case, CaseReadout) for case in cases):
        raise LensError("No prompt could be read: there is nothing to write in this form.")
    if form in FIGURE_FORMS:
        set_figure_of(form, cases, heading, manner).write(file)
        return
    with written(file) as out:
        if form == "parquet":
            write_set_bytes(cases, heading, manner, out)
            return
        for piece in set_text(form, cases, heading, manner):
            out.write(piece.encode("utf-8"))


def set_figure_of(form: str, cases: Cases, heading: SetHeading, manner: SetManner) -> FigureFile:
    """Return a plot of a set's means as a figure.

    Raises:
        LensError: if no prompt was read, its width is too small, or matplotlib is not installed.
    """
    from lenstui.export.figures.prompt_set import set_figure
    from lenstui.export.set_values import columns_of, mean_value

    cases = list(cases)
    value = mean_value(manner.value, cases)
    if not (columns := columns_of(cases, value, heading.above)):
        raise LensError("No prompt could be read: there is nothing to draw.")
    return set_figure(form, columns, heading, value, style=manner.style, command=manner.command)


def write_set_bytes(cases: Cases, heading: SetHeading, manner: SetManner, out: IO[bytes]) -> None:
    """Write a set as Parquet, case by case as they come."""
    from lenstui.export.parquet_file import write_groups
    from lenstui.export.set_tidy import tidy_groups

    read = (case for case in cases if isinstance(case, CaseReadout))
    write_groups(tidy_groups(read, heading, manner.texts), heading.facts(), out)


def set_text(form: str, cases: Cases, heading: SetHeading, manner: SetManner) -> Iterator[str]:
    """Yield a set in a form of text, in pieces; CSV case by case as they come."""
    if form == "csv":
        from lenstui.export.set_tidy import set_csv

        read = (case for case in cases if isinstance(case, CaseReadout))
        yield from set_csv(read, heading, manner.texts)
    elif form == "json":
        from lenstui.export.set_json import set_json

        yield set_json(list(cases), heading, manner.texts)
    else:
        from lenstui.export.set_markdown import set_markdown
        from lenstui.export.set_values import mean_value

        cases = list(cases)
        yield set_markdown(cases, heading, mean_value(manner.value, cases), manner.command)
