"""`lenstui scan FOLDER`: queries over the records in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.output import deliver, table_width
from lenstui.lens.kinds import TUNED
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.export.scan import Found
    from lenstui.scan.folder import Manifest

FORMATS = ("table", "json", "csv", "md")
TOP = 20
_ANY = "all positions"


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """The requested query.

    Attributes:
        query: the name of a query; None for none.
        where: a condition, which has to hold too; None for none.
        by: the key of the lens of queries and counts; None for the tuned lens or else the first, of those
            that are compared where the query is of a comparison by row.
        sort: the column to sort by; None for that of the query, or the order of the text.
        top: the number of matches to show.
    """

    query: str | None = None
    where: str | None = None
    by: str | None = None
    sort: str | None = None
    top: int = TOP

    def lens(self, manifest: Manifest) -> str:
        """Return the key of the lens, of those that were scanned.

        Raises:
            LensError: if it is none of them.
        """
        from lenstui.scan.queries import query_named

        lenses: Sequence[str] = manifest.lenses
        if self.by is None:
            if self.query is not None and query_named(self.query).needs == "lens" and manifest.second:
                lenses = list(manifest.second.lenses) or lenses
            return TUNED if TUNED in lenses else lenses[0]
        if self.by not in lenses:
            raise LensError(f"There are no records of the lens {self.by}: --by {' or '.join(lenses)}.")
        return self.by


def check_query(asked: AskedQuery, manifest: Manifest) -> None:
    """Refuse a wrong query before a text is read for it.

    Raises:
        LensError: if the lens, the condition or the column to sort by is wrong, or the query is of a
            comparison that there is not.
    """
    from lenstui.scan.condition import parse_condition
    from lenstui.scan.matches import sort_order
    from lenstui.scan.queries import check_query_for, query_named

    lens, columns = asked.lens(manifest), manifest.columns
    if asked.query is not None:
        check_query_for(query_named(asked.query), manifest.second, lens)
    if asked.where is not None:
        parse_condition(asked.where, columns)
    if asked.sort is not None:
        sort_order(asked.sort, columns)


def show_matches(folder: Path, asked: AskedQuery, form: str, output: Path | None) -> int:
    """Search the records in a folder, write what was found, and return the exit status."""
    from lenstui.export.command import command_text
    from lenstui.export.scan import scan_csv, scan_json, scan_markdown, scan_table

    if output is not None:
        check_place(output, special=True)
    found = _find(folder, asked)
    if form == "json":
        deliver(scan_json(found), output)
    elif form == "csv":
        deliver(scan_csv(found), output)
    elif form == "md":
        command = ["lenstui", "scan", str(folder)]
        command += [] if asked.query is None else ["--query", asked.query]
        command += [] if asked.where is None else ["--where", asked.where]
        command += ["--by", found.matches.lens]
        command += [] if asked.sort is None else ["--sort", asked.sort]
        command += ["--top", str(asked.top), "--format", "md"]
        command += [] if output is None else ["-o", str(output)]
        deliver(scan_markdown(found, command_text(command)), output)
    else:
        deliver(scan_table(found, table_width(output)), output)
    return 0


def show_comparison(folder: Path, form: str, output: Path | None) -> int:
    """Compare the two sides of the records in a folder, write it, and return the exit status."""
    from lenstui.export.command import command_text
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
        command = ["lenstui", "scan", str(folder), "--comparison", "--format", "md"]
        command += [] if output is None else ["-o", str(output)]
        deliver(comparison_markdown(compared, command_text(command)), output)
    else:
        deliver(comparison_table(compared, table_width(output)), output)
    return 0


def _find(folder: Path, asked: AskedQuery) -> Found:
    from lenstui.export.scan import Found
    from lenstui.scan.comparison import compare_sides
    from lenstui.scan.matches import find_matches, open_records
    from lenstui.scan.queries import condition_of, query_named

    records = open_records(folder)
    lens = asked.lens(records.manifest)
    check_query(asked, records.manifest)  # alone, so that a message has its own places
    condition, sort, title = asked.where or "", asked.sort or "", asked.where or _ANY
    if asked.query is not None:
        query = query_named(asked.query)
        of_query, usual = condition_of(query, lens, records.manifest.rows)
        condition = of_query if asked.where is None else f"({of_query}) and ({asked.where})"
        title = query.title if asked.where is None else f"{query.title}; and {asked.where}"
        sort = sort or usual
    matches = find_matches(records, condition, lens=lens, sort=sort, top=asked.top)
    return Found(matches, records, asked.query, title, compare_sides(records))
