"""The forms of why a cell says what it says, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lenstui.export.why import Why
from lenstui.export.why_html import why_html
from lenstui.export.why_json import why_csv, why_json
from lenstui.export.why_text import why_markdown, why_table


def why_text(
    form: str, why: Why, command: Callable[[], str], width: int | None = None
) -> str | Iterable[str]:
    """Return the contributions in a form of `lenstui why`, or pieces of the text in order.

    Args:
        form: `table`, `md`, `csv`, `json` or `html`.
        why: the contributions.
        command: returns the command that repeats them, for forms that have it.
        width: the width of a table's line in terminal cells; None for no limit.
    """
    if form == "json":
        return why_json(why)
    if form == "csv":
        return why_csv(why)
    if form == "table":
        return why_table(why, width)
    return {"md": why_markdown, "html": why_html}[form](why, command())
