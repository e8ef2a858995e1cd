"""`lenstui report`: the views that were kept on screen, as one page."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime

from lenstui.cli.arguments import Parser
from lenstui.cli.output import add_output_file, deliver, output_format
from lenstui.cli.stderr import say
from lenstui.support.errors import LensError
from lenstui.support.paths import notebook
from lenstui.support.typed_number import whole_number

FORMS = ("html", "md")
_EPILOG = """\
A view is kept with its figure, where matplotlib is installed, its numbers as a table,
their source, and the command that makes it again. The oldest go where there are more
than 500."""


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui report` and run the command."""
    parser = Parser(
        "lenstui report",
        "Make a lab notebook of the views that were kept on screen with K.",
        usage="lenstui report [-o FILE] [options]",
        epilog=_EPILOG,
    )
    add_output_file(parser)
    parser.add_argument("--format", choices=FORMS, help="default: what the ending of -o says, else html")
    parser.add_argument(
        "--since", metavar="DATE", type=_moment, help="only what was kept on this day or later: 2026-01-31"
    )
    parser.add_argument("--last", metavar="N", type=_count, help="only the last N of these")
    parser.add_argument(
        "--clear", action="store_true", help="remove the views of the report from the notebook afterwards"
    )
    given = parser.parse_args(words)
    form = "html"
    if given.format is not None or given.output is not None:
        form = output_format(parser, given, FORMS)
    if form == "html" and given.output is None and sys.stdout.isatty():
        parser.error("html is nothing for a terminal: name a file with -o, or add --format md")
    _report(given, form)
    return 0


def _report(given: argparse.Namespace, form: str) -> None:
    """Write the report.

    Raises:
        LensError: if there is no view to report, or the file cannot be written.
    """
    from lenstui.export.notebook import NOTHING, forget, read_notebook
    from lenstui.export.report import report_html, report_markdown, write_report

    found = read_notebook(notebook())
    if found.damaged:
        what = "1 file is" if len(found.damaged) == 1 else f"{len(found.damaged)} files are"
        say(f"{what} damaged and passed over: {', '.join(file.name for file in found.damaged)}.")
    since: datetime | None = given.since
    views = {file: view for file, view in found.views.items() if since is None or view.kept >= since}
    if not found.views:
        raise LensError(NOTHING)
    if not views:
        raise LensError(f"Nothing was kept since {since:%Y-%m-%d %H:%M}: an earlier --since shows what was.")
    files = list(views)[-(given.last or 0) :]
    chosen = {file: views[file] for file in files}
    if given.output is not None:
        write_report(chosen, form, given.output)
    else:
        if form == "md" and any(view.figure for view in chosen.values()):
            say("The figures are left out: -o notes.md writes them into a folder beside it.")
        make = report_html if form == "html" else report_markdown
        deliver(make(list(chosen.values())), None)
    if given.clear:
        forget(files)
        say("1 view was removed." if len(files) == 1 else f"{len(files)} views were removed.")


def _moment(text: str) -> datetime:
    """Return a day's beginning, or a time of a day, in local time."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no date: 2026-01-31 is one") from None


def _count(text: str) -> int:
    number = whole_number(text)
    if not number:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of views: 1 or more")
    return number
