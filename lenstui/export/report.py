"""The report of kept views: one page of HTML, or Markdown, in the order in which they were kept."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from html import escape, unescape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lenstui.export.markdown import code_span
from lenstui.export.notebook import KeptView
from lenstui.support.atomic_file import check_place, is_special, replaced, written
from lenstui.support.printable import printable
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline

TITLE = "Lab notebook"
_MARKS = re.compile(r"[\\`*_\[\]<>&|~$@#!]")  # what may mean something within a line of Markdown
_CODE = re.compile("<code>(.*?)</code>")  # the code of which `code_span` makes character references


def write_report(views: Mapping[Path, KeptView], form: str, file: Path) -> None:
    """Write a report; that of Markdown has its figures in a folder beside it: `notes_figures` of `notes.md`.

    Args:
        views: the views, by their files in the notebook.
        form: `html` or `md`.
        file: the file to write; a device gets Markdown without figures.

    Raises:
        LensError: if a file cannot be written; of the notes the former content stays then.
    """
    if form == "html":
        pieces = report_html(list(views.values()))
    else:
        links = {} if is_special(file) else _written_figures(views, file)
        pieces = report_markdown(list(views.values()), [links.get(each, "") for each in views])
    with written(file) as out:
        for piece in pieces:
            out.write(piece.encode("utf-8"))


def _written_figures(views: Mapping[Path, KeptView], file: Path) -> dict[Path, str]:
    """Write the figures of views beside a file of notes, and return the link to each, by the view's file."""
    drawn = {name: view for name, view in views.items() if view.figure}
    if not drawn:
        return {}
    check_place(file)  # before the figures, which would be of no use without the notes
    folder = file.with_name(f"{file.stem}_figures")
    for name, view in drawn.items():
        with replaced(folder / f"{name.stem}.svg", make_folder=True) as out:
            out.write(view.figure.encode())
    return {name: quote(f"{folder.name}/{name.stem}.svg") for name in drawn}


def report_markdown(views: Sequence[KeptView], figures: Sequence[str] = ()) -> Iterator[str]:
    """Yield a report as Markdown, in pieces: the views under the days on which they were kept.

    Args:
        views: the views, the oldest first.
        figures: the link to the figure of each, empty for none; without links there are no figures.
    """
    yield f"# {TITLE}\n\n{_made_by(views)}\n"
    links = iter(figures)
    for day, kept in _by_day(views):
        yield f"\n## {day}\n"
        for view in kept:
            yield f"\n### {view.kept:%H:%M} · {view.kind} · {code_span(view.subject)}\n\n"
            if link := next(links, ""):
                caption = _plain(view.caption)
                yield f"![{caption}]({link})\n\n*{caption}*\n\n"
            yield view.markdown


def report_html(views: Sequence[KeptView]) -> Iterator[str]:
    """Yield a report as one page that needs no network, no script and no other file, in pieces.

    Nothing in a prompt, a name or a token can become markup, and no script can run, for figures neither.
    """
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    renderer = _renderer()
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="lenstui {__version__}">\n'
        f"<title>{TITLE}</title>\n<style>{style}</style></head><body>\n"
        f"<h1>{TITLE}</h1>\n<p>{_made_by(views)}</p>\n"
    )
    for day, kept in _by_day(views):
        yield f"<h2>{day}</h2>\n"
        for view in kept:
            yield from _article(view, renderer)
    yield "</body></html>\n"


def _article(view: KeptView, renderer: MarkdownIt) -> Iterator[str]:
    when = f'<time datetime="{view.kept.isoformat(timespec="seconds")}">{view.kept:%H:%M}</time>'
    yield f"<article>\n<h3>{when} {_safe(view.kind)} <span>{_safe(view.subject)}</span></h3>\n"
    if view.figure:
        # As a picture, an SVG runs no script, and its ids are its own.
        content, caption = b64encode(view.figure.encode()).decode(), _safe(view.caption)
        yield f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{content}">'
        yield f"<figcaption>{caption}</figcaption></figure>\n"
    yield f"{renderer.render(view.markdown)}</article>\n"


def _by_day(views: Iterable[KeptView]) -> Iterator[tuple[date, Iterator[KeptView]]]:
    return groupby(views, lambda view: view.kept.date())


def _made_by(views: Sequence[KeptView]) -> str:
    count = "1 view" if len(views) == 1 else f"{len(views)} views"
    return f"{count}, kept and reported by lenstui {__version__}"


def _plain(text: str) -> str:
    """Return text in which nothing is Markdown, for within a line."""
    return _MARKS.sub(r"\\\g<0>", printable(text)).strip()


def _safe(text: str) -> str:
    return escape(printable(text))


# ── Markdown as HTML ─────────────────────────────────────────────────────────────────────────────────────


def _renderer() -> MarkdownIt:
    """Return what makes HTML of the Markdown of a view, in which all HTML but `<code>` is text."""
    from markdown_it import MarkdownIt

    renderer = (
        MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink"])
    )
    renderer.inline.ruler.before("escape", "code_span", _code_element)
    renderer.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    renderer.add_render_rule("table_close", lambda *_: "</table></div>\n")
    for cell in ("th_open", "td_open"):  # whose alignment would be a style of their own, which no policy lets
        renderer.add_render_rule(cell, _plain_cell)
    return renderer


def _plain_cell(_: Any, tokens: Sequence[Any], place: int, *__: Any) -> str:
    return f"<{tokens[place].tag}>"


def _code_element(state: StateInline, silent: bool) -> bool:
    """Take a `<code>` of `code_span` as code, whose text is in character references."""
    found = _CODE.match(state.src, state.pos)
    if found is None:
        return False
    if not silent:
        token = state.push("code_inline", "code", 0)
        token.content = unescape(found[1])
    state.pos = found.end()
    return True
