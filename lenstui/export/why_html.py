"""Why a cell says what it says, as one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from html import escape

from lenstui.export.colours import LIGHT_DIVERGING_COLOURS, readable
from lenstui.export.table import summary
from lenstui.export.why import (
    DIRECT,
    Table,
    Why,
    contribution_map,
    contribution_scale,
    reasons_of,
    tables_of,
)
from lenstui.opening.source import turns_text, versions_text
from lenstui.readout.scales import NO_LEVEL, STEPS
from lenstui.support.fixed_text import fixed_text
from lenstui.support.printable import printable
from lenstui.support.version import __version__

_STYLE = """
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem; color: #1a1a1a; background: #fff; }
figure { margin: 1rem 0; overflow-x: auto; }
.tables { display: flex; flex-wrap: wrap; gap: 2rem; align-items: flex-start; }
table { border-collapse: collapse; }
caption { text-align: left; font-weight: 600; padding-bottom: .25rem; }
th, td { padding: .1rem .75rem .1rem 0; text-align: right; white-space: pre; }
th { font-weight: normal; color: #666; }
td { font-family: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; font-size: 12px; }
.words { text-align: left; }
.prompt { white-space: pre-wrap; }
footer { color: #666; margin-top: 2rem; }
.map td { padding: .1rem .3rem; border: 1px solid #fff; min-width: 2ch; }
"""
_STYLE += "".join(
    f".l{STEPS + step} {{ background: {colour}; color: {readable(colour)}; }}\n"
    for step, colour in enumerate(LIGHT_DIVERGING_COLOURS)
)


def why_html(why: Why, command: str) -> str:
    """Return a page with the map of blocks by heads and MLP, and the tables of the command line.

    Nothing in a prompt, a name or a token can become markup, and no script can run.

    Args:
        why: the contributions.
        command: the command that writes this page again.
    """
    digest = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'"
    lines = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        f'<meta name="generator" content="lenstui {__version__}">',
        f"<title>{_safe(f'{why.source.title} · {why.cell}')}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{_safe(why.cell)}</h1>",
        f'<p class="prompt">{_safe(why.prompt.text)}</p>',
        f"<p>{_safe(why.sum)}</p>",
        *_map(why),
        '<div class="tables">',
        *(line for table in tables_of(why) for line in _table(table)),
        "</div><footer>",
        *(f"<p>{_safe(text)}</p>" for text in (*reasons_of(why), DIRECT, turns_text(why.prompt)) if text),
        f"<p>{_safe(summary(why.source))} · {_safe(versions_text(why.source))}</p>",
        f"<p><code>{_safe(command)}</code></p></footer></body></html>",
        "",
    ]
    return "\n".join(lines)


def _map(why: Why) -> Iterator[str]:
    """Yield the map of contributions: a row for each block, the last one on top."""
    names, numbers = contribution_map(why.contributions)
    levels = contribution_scale(why.contributions).levels(numbers)
    yield '<figure><table class="map"><caption>contribution to the logit, nats</caption>'
    heads = "".join(f'<th scope="col">{_safe(name)}</th>' for name in names)
    yield f"<thead><tr><th>block</th>{heads}</tr></thead><tbody>"
    for block in reversed(range(len(numbers))):
        cells = []
        for name, number, level in zip(names, numbers[block].tolist(), levels[block].tolist(), strict=True):
            if level == NO_LEVEL:
                cells.append("<td></td>")
            else:
                what = f"{block}.{name} {fixed_text(number, 3)}"
                cells.append(f'<td class="l{level}" title="{_safe(what)}">{fixed_text(number, 2)}</td>')
        yield f'<tr><th scope="row">{block}</th>{"".join(cells)}</tr>'
    yield "</tbody></table></figure>"


def _table(table: Table) -> Iterator[str]:
    def cells(kind: str, texts: tuple[str, ...]) -> str:
        marked = (
            (' class="words"' if place in table.words else "", text) for place, text in enumerate(texts)
        )
        return "".join(f"<{kind}{mark}>{_safe(text)}</{kind}>" for mark, text in marked)

    yield f"<table><caption>{_safe(table.title)}</caption>"
    yield f"<thead><tr>{cells('th', table.heads)}</tr></thead><tbody>"
    for row in table.rows:
        yield f"<tr>{cells('td', row)}</tr>"
    yield "</tbody></table>"


def _safe(text: str) -> str:
    return escape(printable(text))
