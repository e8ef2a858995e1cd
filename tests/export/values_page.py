"""The page of values, from the registry: python -m tests.export.values_page > assets/manual/values.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from lenstui.readout.values import Value, all_values

_TITLE = """\
# The values of a cell

Every value below colours the grids (`v` goes to the next one), and `--value KEY` of `lenstui read` shows it
behind the tokens of a table or Markdown, and as the colour of HTML, SVG and PDF. The legend under a grid says
which numbers the colours stand for. The [numbers](numbers.md) say when there is none, and to what precision
they hold. This page is made by `tests/export/values_page.py`.
"""
_FILES = """\
**In lists** of a cell's numbers are those under the grids, in the text of a cell for the clipboard (but for
the next token), and below the grids of an HTML page. **In files** is the name in JSON, CSV and Parquet,
which hold all values at once, and for those that need no next token in the files of prompt sets too. These
hold probabilities with the tokens, and log-probability and rank of every pin with the pins. **Over prompt
sets** there are means of these values, of the target's probability and rank, and of the log-probability of
the whole target (`whole`); of prompts with a foil also of the logit of the target minus that of the foil
(`foil-diff`), and of the log-probabilities of both whole words, one minus the other (`foil-whole`). Of a
pinned word or a target of several tokens all others are its first one's.
"""


def page() -> str:
    """All of it, as Markdown."""
    return "\n".join([_TITLE, *_table(), "", _FILES])


def _table() -> Iterator[str]:
    yield "| key | on screen | what it is | unit | needs | in lists | in files | over prompt sets |"
    yield "|---|---|---|---|---|---|---|---|"
    for value in all_values():
        stored = f"`{value.stored}`" if value.stored else ""
        mean = "mean" if value.stored and value.error_format else ""
        cells = [f"`{value.key}`", value.label, value.meaning, value.unit, _needs(value)]
        yield f"| {' | '.join([*cells, 'yes' if value.brief else '', stored, mean])} |"


def _needs(value: Value) -> str:
    """What a value needs besides a cell."""
    if value.of_next:
        return "a next token"
    return {0: "", 1: "a pin", 2: "two pins"}[value.pins]


if __name__ == "__main__":
    sys.stdout.write(page())
