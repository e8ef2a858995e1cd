"""A readout as Markdown tables, one for each lens, for an issue or a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lenstui.export.crystallization import SETTLES, settled_by_lens, settled_texts
from lenstui.export.difference import DIFFERENT, Difference, differing
from lenstui.export.pinned import Words, pinned_heads, pinned_texts, pinned_title
from lenstui.export.tidy import TokenText
from lenstui.lens.names import lens_title
from lenstui.model.tokens import Prompt
from lenstui.opening.source import (
    Source,
    depth_text,
    edits_text,
    filter_text,
    parting_text,
    sublayers_text,
    turns_text,
    versions_text,
)
from lenstui.readout.cells import NOT_READ, Cells
from lenstui.readout.pins import Pin
from lenstui.readout.reading import WORDS_ONLY
from lenstui.readout.values import Value
from lenstui.support.fixed_text import NONE
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.readout.tiles import Readout


def markdown(
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    pins: Sequence[Pin] = (),
    words: Words | None = None,
    diff: bool = False,
    command: str,
) -> str:
    """Return each cell's likeliest token and a value, the top of the network first, and the source.

    Args:
        readout: the readout.
        texts: display texts of all tokens in it.
        source: the source of its numbers.
        value: the value to show behind the tokens.
        pins: the words of its pinned tokens, whose numbers in the last column get a separate table.
        words: those of several tokens, by their place among the pins.
        diff: whether to show the second lens's tokens, and its value minus that of the first.
        command: the command that repeats the readout.
    """
    heads = [code_span(texts[token]) for token in readout.prompt.ids]
    lines: list[str] = []
    filtered = f" · {WORDS_ONLY}" * source.words_only
    if diff:
        shown = Difference.of_two(value, readout.lenses)
        other = lens_title(shown.left)
        title = (
            f"**{shown.title}** · {value.label}{filtered} · {DIFFERENT} another token leads by the {other}"
        )
        settled = settled_by_lens(readout)
        labels, rows = list(readout.rows[::-1]), list(_differences(readout.lenses, texts, shown))
        if settled is not None:
            labels.append(SETTLES)
            rows.append([", ".join(column) for column in settled])
        lines += [title, "", *markdown_table(heads, labels, rows), ""]
    for name in readout.lenses if not diff else ():
        of_lens, cells = readout.rows_of(name)
        title = f"**{lens_title(name)}** · {value.label}{filtered}"
        labels, rows = list(of_lens[::-1]), list(_cells(cells, texts, value))
        if (where := settled_texts(readout, name)) is not None:
            labels.append(SETTLES)
            rows.append(where)
        lines += [title, "", *markdown_table(heads, labels, rows), ""]
    for name in readout.lenses if pins else ():
        of_lens, _ = readout.rows_of(name)
        heads = [code_span(head) for head in pinned_heads(name, pins, words or {}, texts)]
        title = f"**{lens_title(name)}** · {pinned_title(name, words or {})}"
        lines += [title, "", *markdown_table(heads, of_lens[::-1], _pinned(readout, name, words or {})), ""]
    lines += [sublayers_text(source, readout.left_over), ""] if source.sublayers else []
    lines += [filter_text(source), ""] if source.words_only else []
    for sentence in filter(None, (depth_text(source), parting_text(source))):
        lines += [number_text(sentence), ""]
    lines += [_said(readout, source), "", "```sh", command, "```", ""]
    return "\n".join(lines)


def markdown_table(
    heads: Sequence[str], labels: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    """Yield the lines of a table with a column of labels."""
    yield _row(["", *heads])
    yield _row(["--:", *[":--"] * len(heads)])
    for label, row in zip(labels, rows, strict=True):
        yield _row([label, *row])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(cells: Cells, texts: TokenText, value: Value) -> Iterator[list[str]]:
    """Yield the rows of a lens's table, the top of the network first."""
    for ids, numbers in zip(cells.top_ids[::-1, :, 0], value.of(cells)[::-1], strict=True):
        yield [
            f"{_token(texts, token)} {number_text(value.format(number))}" if token != NOT_READ else NONE
            for token, number in zip(ids.tolist(), numbers.tolist(), strict=True)
        ]


def _differences(
    lenses: Mapping[str, Cells], texts: TokenText, difference: Difference
) -> Iterator[list[str]]:
    """Yield the rows of a difference, top of the network first, with the first lens's token if it differs."""
    left, right = difference.pair(lenses)
    numbers = difference.of(left, right)[::-1].tolist()
    tokens, others = (cells.top_ids[::-1, :, 0].tolist() for cells in (right, left))
    marks = differing(left, right)[::-1].tolist()
    for row in zip(tokens, others, marks, numbers, strict=True):
        yield [
            f"{_token(texts, token)} {difference.format(number)}"
            + (f" {DIFFERENT} {code_span(texts[other])}" if mark else "")
            for token, other, mark, number in zip(*row, strict=True)
        ]


def _token(texts: TokenText, token: int) -> str:
    """Return a cell's token as a code span; a dash where the cell is not a number."""
    return code_span(texts[token]) if token >= 0 else NONE


def _pinned(readout: Readout, name: str, words: Words) -> Iterator[list[str]]:
    """Yield the pins' numbers in the last column, the top of the network first."""
    for line in pinned_texts(readout, name, words):
        yield [number_text(", ".join(filter(None, texts))) for texts in line]


def _said(readout: Readout, source: Source) -> str:
    return said(source, prompt_said(readout.prompt))


def prompt_said(prompt: Prompt, name: str = "prompt") -> str:
    """Return a prompt in a code span, with what is known of its turns."""
    turns = turns_text(prompt)
    return f"{name} {code_span(prompt.text)}" + (f" ({number_text(turns)})" if turns else "")


def said(source: Source, what: str) -> str:
    """Return the source of numbers on one line, with `what` as the prompt or prompts that were read."""
    read = " · beside ".join(map(_model_said, source.models))
    norm = "" if source.final_norm else "logit lens without the final norm · "
    norm += "prompt in the chat template · " if source.chat else ""
    norm += f"{code_span(edits_text(source))} · " if source.edits else ""
    return f"{read} · {norm}{what} · {versions_text(source)}"


def _model_said(source: Source) -> str:
    at = f" at {code_span(source.revision)}" if source.revision else ""
    lens = ", ".join(each.in_words(code_span) for each in source.lenses) or source.read_through
    return f"{code_span(source.title)}{at} · {source.ran} · {lens}"


def number_text(text: str) -> str:
    """Return a number's text with `<` escaped, which Markdown would take for a tag."""
    return text.replace("<", "&lt;")


def code_span(text: str) -> str:
    """Return a code span: nothing in it is a name to notify, the number of an issue, emphasis or mathematics.

    Pipes and backticks are not safe within backticks in a table, so such text goes into HTML's `<code>`, with
    all its ASCII punctuation as character references.
    """
    text = printable(text)
    if "|" not in text and "`" not in text:
        return f"`{text}`"
    safe = (c if c.isalnum() or c == " " or not c.isascii() else f"&#{ord(c)};" for c in text)
    return f"<code>{''.join(safe)}</code>"
