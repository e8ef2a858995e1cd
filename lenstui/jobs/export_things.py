"""The things that can be exported: forms of files, and texts for the clipboard."""

from __future__ import annotations

from dataclasses import dataclass

LENS_IN_NO_FILE = "No command reads the same: the lens in use is in no file. o lists it, s saves it."


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing that can be exported: a form of file, or a text for the clipboard.

    Attributes:
        key: the name in the code; for a form of `lenstui read`, the name of that form.
        label: the name on screen.
        does: a description of the contents.
        ending: the ending of the file's name.
        copies: whether it goes to the clipboard unless a file is wanted.
    """

    key: str
    label: str
    does: str
    ending: str
    copies: bool = False


NOTEBOOK = Thing("notebook", "lab notebook", "the view with its figure, for `lenstui report`", "")
"""The export that a key of its own makes, to no file that the user names."""
REPORT = Thing("report", "lab notebook", "all that was kept with K, as HTML or .md", ".html")
"""The export of all kept views, whatever is on screen."""
FILES = (
    Thing("html", "HTML page", "every lens in colour, all numbers of every cell", ".html"),
    Thing("svg", "figure, SVG", "the grids with the chosen value as colour", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("md", "Markdown", "tables with the chosen value, and the command", ".md"),
    Thing("csv", "CSV", "a line for each cell and lens, every number", ".csv"),
    Thing("parquet", "Parquet", "the same as columns, for pandas and the like", ".parquet"),
    Thing("json", "JSON", "everything, as `lenstui read --format json` has it", ".json"),
    Thing("screen", "picture of screen", "this screen as it is, as SVG", ".svg"),
)
PIN_FILES = (
    Thing("pins-svg", "pin plot, SVG", "the pinned words by row in the cursor's column", ".svg"),
    Thing("pins-pdf", "pin plot, PDF", "the same, its font embedded", ".pdf"),
)
"""Figures of the pinned words; behind the dash is the form of `lenstui read`."""
COPIES = (
    Thing("cell", "cell", "the tokens and numbers under the cursor", ".txt", copies=True),
    Thing("row", "row", "the cursor's row, tab-separated", ".tsv", copies=True),
    Thing("column", "column", "the cursor's column, tab-separated", ".tsv", copies=True),
    Thing("markdown", "table, Markdown", "all cells with the chosen value", ".md", copies=True),
    Thing("table", "table, tabs", "the same, tab-separated", ".tsv", copies=True),
    Thing("command", "command", "the `lenstui read …` that reads the same", ".sh", copies=True),
)
SET_FILES = (
    Thing("csv", "CSV", "a line for each prompt, lens and row, every number", ".csv"),
    Thing("parquet", "Parquet", "the same as columns, for pandas and the like", ".parquet"),
    Thing("json", "JSON", "everything, means by group, and what failed", ".json"),
    Thing("svg", "figure, SVG", "the plotted means by row", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("md", "Markdown", "the prompts, the plotted means, and the command", ".md"),
)
SET_COPIES = (
    Thing("command", "command", "the `lenstui read --prompts …` that reads the same", ".sh", copies=True),
)
TRACE_FILES = (
    Thing("csv", "CSV", "a line for each patch: recovered, raw value, standard error", ".csv"),
    Thing("json", "JSON", "everything, as `lenstui trace --format json` has it", ".json"),
    Thing("svg", "figure, SVG", "the map as coloured cells", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("md", "Markdown", "the map as a table, and the command", ".md"),
)
TRACE_COPIES = (
    Thing("table", "table", "the map as text, as `lenstui trace` prints it", ".txt", copies=True),
    Thing("command", "command", "the `lenstui trace …` that makes the same", ".sh", copies=True),
)
EVALUATION_FILES = (
    Thing("csv", "CSV", "a line for each lens and row, every measure and error", ".csv"),
    Thing("parquet", "Parquet", "the same as columns, for pandas and the like", ".parquet"),
    Thing("json", "JSON", "everything, as `lenstui eval --format json` has it", ".json"),
    Thing("svg", "figure, SVG", "measures by row, a line for each lens", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("md", "Markdown", "a table for each lens, and the command", ".md"),
)
EVALUATION_COPIES = (
    Thing("table", "table", "all measures and errors, as `lenstui eval` prints them", ".txt", copies=True),
    Thing("command", "command", "the `lenstui eval …` that measures the same", ".sh", copies=True),
)
SCAN_FILES = (
    Thing("csv", "CSV", "a line for each match that is kept, every number of it", ".csv"),
    Thing("json", "JSON", "everything, as `lenstui scan --format json` has it", ".json"),
    Thing("md", "Markdown", "the matches, counts and means, and the command", ".md"),
)
SCAN_COPIES = (
    Thing("table", "table", "the same as text, as `lenstui scan` prints it", ".txt", copies=True),
    Thing("command", "command", "the `lenstui scan …` that finds the same", ".sh", copies=True),
)
COMPARISON_FILES = (
    Thing("csv", "CSV", "a line for each lens and row", ".csv"),
    Thing("json", "JSON", "everything, as `lenstui scan --comparison --format json` has it", ".json"),
    Thing("md", "Markdown", "the tables by row, and the command", ".md"),
)
COMPARISON_COPIES = (
    Thing(
        "table", "table", "the same as text, as `lenstui scan --comparison` prints it", ".txt", copies=True
    ),
    Thing(
        "command", "command", "the `lenstui scan … --comparison` that compares the same", ".sh", copies=True
    ),
)
CURVE_FILES = (
    Thing("svg", "figure, SVG", "held-out KL by step, in the mean and by row", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("csv", "CSV", "a line for each measurement and row", ".csv"),
    Thing("json", "JSON", "everything, as `lenstui lenses --curve --format json` has it", ".json"),
)
CURVE_COPIES = (
    Thing("table", "table", "held-out KL by step and row, as text", ".txt", copies=True),
    Thing("command", "command", "the `lenstui lenses --curve …` that shows the same", ".sh", copies=True),
)
WHY_FILES = (
    Thing("html", "HTML page", "the map, the tables, and what heads read", ".html"),
    Thing("svg", "figure, SVG", "the map of blocks by heads, or what the chosen one read", ".svg"),
    Thing("pdf", "figure, PDF", "the same, its font embedded", ".pdf"),
    Thing("md", "Markdown", "the tables, and the command", ".md"),
    Thing("csv", "CSV", "a line for each contribution, sources too", ".csv"),
    Thing("json", "JSON", "everything, as `lenstui why --format json` has it", ".json"),
)
WHY_COPIES = (
    Thing("table", "table", "the strongest parts, heads, and how the logit grew", ".txt", copies=True),
    Thing("command", "command", "the `lenstui why …` that says the same", ".sh", copies=True),
)
THINGS = {thing.key: thing for thing in (*FILES, *PIN_FILES, REPORT, *COPIES)}
