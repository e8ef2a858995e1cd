"""`lenstui scan FOLDER`: queries over the records in a folder."""

from __future__ import annotations

from pathlib import Path

from lenstui.cli.output import deliver, table_width
from lenstui.scan.asked_query import AskedQuery
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError

FORMATS = ("table", "json", "csv", "md")


def show_matches(folder: Path, asked: AskedQuery, form: str, output: Path | None) -> int:
    """Search the records in a folder, write what was found, and return the exit status."""
    from lenstui.export.command import scan_command
    from lenstui.export.scan import find, scan_csv, scan_json, scan_markdown, scan_table
    from lenstui.scan.matches import open_records

    if output is not None:
        check_place(output, special=True)
    found = find(open_records(folder), asked)
    if form == "json":
        deliver(scan_json(found), output)
    elif form == "csv":
        deliver(scan_csv(found), output)
    elif form == "md":
        command = scan_command(found, asked, form, output)
        deliver(scan_markdown(found, command), output)
    else:
        deliver(scan_table(found, table_width(output)), output)
    return 0


def show_comparison(folder: Path, form: str, output: Path | None) -> int:
    """Compare the two sides of the records in a folder, write it, and return the exit status."""
    from lenstui.export.command import comparison_command
    from lenstui.export.scan_comparison import (
        Compared,
        comparison_csv,
        comparison_json,
        comparison_markdown,
        comparison_table,
    )
    from lenstui.scan.comparison import compare_sides
    from lenstui.scan.matches import open_records

    if output is not None:
        check_place(output, special=True)
    records = open_records(folder)
    if (comparison := compare_sides(records)) is None:
        raise LensError(
            f"The records in {folder} compare nothing: scan with --against-model or --against-lens."
        )
    compared = Compared(comparison, records)
    if form == "json":
        deliver(comparison_json(compared), output)
    elif form == "csv":
        deliver(comparison_csv(compared), output)
    elif form == "md":
        deliver(comparison_markdown(compared, comparison_command(folder, form, output)), output)
    else:
        deliver(comparison_table(compared, table_width(output)), output)
    return 0
